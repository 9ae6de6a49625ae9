// One group job on paper: what a worker process gets (job.json) and what it leaves (report.json, progress lines).
//
// The job file holds everything the work needs, so that a worker reads no settings and no database and the same job
// can be repeated by hand: `contimg worker job.json`. docs/formats/job.md describes the fields.
#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "config/error.h"

namespace contimg::ops {

struct Job {
  std::string group;  // group id
  int attempt = 1;
  std::vector<std::string> stages;            // in order; names of ops/runner/stages.h
  std::vector<std::filesystem::path> inputs;  // subband files
  int expected_subbands = 16;
  int threads = 1;
  std::filesystem::path measurement_set;  // the final name
  std::filesystem::path staging_root;
  std::filesystem::path fallback_root;
  // What an existing `measurement_set` means: left by an earlier attempt of this very job that could not report any
  // more (checked and taken), or an error.
  bool take_existing = false;
  bool replace_existing = false;  // reprocessing: the old one is moved aside and removed at the end
  nlohmann::json settings = nlohmann::json::object();  // per stage: {"convert": {…}, "flag": {…}}
};

struct JobProduct {
  std::string kind;  // "science_ms"…
  std::filesystem::path path;
  std::uint64_t bytes = 0;
};

struct StageReport {
  std::string name;
  double seconds = 0;
  nlohmann::json figures = nlohmann::json::object();
};

struct JobReport {
  std::string group;
  int attempt = 1;
  bool ok = false;
  std::optional<ErrorKind> error_kind;  // when not ok
  std::string error_stage, error_subject, error_message;
  std::vector<StageReport> stages;
  std::vector<JobProduct> products;
  std::vector<std::string> warnings;
  std::string next_state = "done";  // what the group becomes: "done", "awaiting_calibration"
};

// Throw Error{kBadInput} for missing or wrong fields.
nlohmann::json ToJson(const Job& job);
Job ParseJob(const nlohmann::json& json, const std::string& subject);
nlohmann::json ToJson(const JobReport& report);
JobReport ParseJobReport(const nlohmann::json& json, const std::string& subject);

// Reads a JSON file; Error{kIo} when it cannot be read, Error{kBadInput} when it is not JSON.
nlohmann::json ReadJsonFile(const std::filesystem::path& path);

// Names inside a job's folder.
std::filesystem::path JobFile(const std::filesystem::path& folder);     // job.json
std::filesystem::path ReportFile(const std::filesystem::path& folder);  // report.json
std::filesystem::path OutputFile(const std::filesystem::path& folder);  // output.log: the worker's stderr

// One line of a worker's stdout.
struct ProgressLine {
  enum class Kind { kProgress, kWarning, kInfo } kind = Kind::kProgress;
  std::string stage;
  double fraction = 0;
  std::string message;
};
std::string FormatProgressLine(const ProgressLine& line);                // without newline
std::optional<ProgressLine> ParseProgressLine(const std::string& text);  // nullopt for anything else

}  // namespace contimg::ops
