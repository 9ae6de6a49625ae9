// One job on paper: what a worker process gets (job.json) and what it leaves (report.json, progress lines). Those of
// groups here, those of tasks in ops/job/task_job.h.
//
// The job file holds everything the work needs, so that a worker reads no settings and no database and the same job
// can be repeated by hand: `contimg worker job.json`. docs/formats/job.md describes the fields.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "config/error.h"
#include "config/os.h"
#include "config/product_kind.h"
#include "config/quality_flags.h"
#include "config/settings.h"
#include "ops/job/table_facts.h"
#include "ops/job/tree_marker.h"

namespace contimg::ops {

// A calibration table that the job is given.
struct JobTable {
  std::int64_t id = 0;  // in the registry; 0: not registered
  std::string kind;     // "K", "BP", "G"
  std::filesystem::path path;
  std::string checksum;  // ops/base/table_checksum.h; empty: not checked
};

// What the stage "solve" is to solve.
struct JobSolve {
  std::vector<std::string> kinds;  // of "K", "BP", "G"
  std::string model;               // "calibrator:NAME" (a flux standard or a source of sky_model) or "field"
  std::filesystem::path prefix;    // makes PREFIX.kcal, PREFIX.bpcal, PREFIX.gpcal
  std::string interval;            // "24h" or "1h"
  std::vector<JobTable> apply;     // held fixed, and applied with what is solved: K and BP of the day for an hourly G
  std::optional<JobTable> anchor;  // the G of the 24-hour solve: an hourly G keeps its mean amplitude
  std::vector<JobTable> previous;  // last accepted ones, at most one of a kind: the gate compares with them
  std::vector<std::string> reference_antennas;  // in order of preference; empty: the best one
};

// A known source that the stage "measure" measures.
struct JobPlace {
  std::int64_t source_id = 0;      // of our own sources; 0: a catalogue's that was not met before
  std::string name;                // its own, or "nvss 133108+303033"
  double ra_deg = 0, dec_deg = 0;  // ICRS
  double flux_jy = 0;              // at 1.4 GHz; 0: not known
  std::optional<double> spectral_index;
  QualityFlags flags = 0;  // of the place
};

struct Job {
  std::string group;  // group id
  int attempt = 1;
  std::vector<std::string> stages;            // in order; names of ops/worker/stages.h
  std::vector<std::filesystem::path> inputs;  // subband files
  int expected_subbands = 16;
  int threads = 1;
  std::uint64_t memory_bytes = 0;         // that the worker may hold: it refuses in words what needs more; 0: no limit
  std::filesystem::path measurement_set;  // the final name
  std::filesystem::path staging_root;
  std::filesystem::path fallback_root;
  // What an existing `measurement_set` means to the stage "convert": left by an earlier attempt of this very job that
  // could not report any more (checked and taken), or an error.
  bool take_existing = false;
  bool replace_existing = false;  // reprocessing: the old one is moved aside and removed at the end

  std::vector<JobTable> tables;     // to apply, at most one of a kind; after a solve: when its result is refused
  std::optional<JobSolve> solve;    // present exactly when "solve" is among the stages
  std::filesystem::path sky_model;  // CSV of the catalogue's sources about the field: models, image quality; or empty
  ExpectedTrees trees;              // whose markers must be there before anything is made; none: nothing is asked
  std::vector<JobPlace> places;     // that the stage "measure" measures
  QualityFlags tile_flags = 0;      // of all that is measured, as far as the daemon knows
  std::filesystem::path image_prefix, qa_prefix;  // PREFIX.image.fits…; PREFIX.qa.png, PREFIX.metrics.json
  Settings settings;                              // all but the section "paths"
};

struct JobProduct {
  ProductKind kind = ProductKind::kScienceMs;
  std::filesystem::path path;
  std::uint64_t bytes = 0;
  std::string checksum;                        // ops/base/checksum.h; of a caltable: its TableChecksum
  std::vector<std::filesystem::path> parents;  // what it was made from: paths of other products
};

struct StageReport {
  std::string name;
  double seconds = 0;                   // wall-clock
  double cpu_s = 0;                     // of the whole process meanwhile
  std::uint64_t peak_memory_bytes = 0;  // of the process up to the end of the stage
  nlohmann::json figures = nlohmann::json::object();
};

// One table that the stage "solve" made, passed by the gate or not.
struct JobCalibration {
  std::string kind;
  std::filesystem::path path;
  std::string interval;  // "24h", "1h"
  std::string model;
  std::string reference_antenna;
  bool accepted = false;
  std::vector<std::string> failures;  // sentences of the gate; empty when accepted
  double reduced_chi_square = 0, residual_fraction = 0;
  std::size_t antennas_with_data = 0;
  double scale_change = 0;  // array-mean amplitude of an hourly G against the anchor, as found; 0: no anchor
  nlohmann::json figures = nlohmann::json::object();
  TableFacts table;  // read back from the disk
};

// Where and when the data are; what a record of the group needs. Known once the tile is read.
struct JobObservation {
  double start_mjd = 0, end_mjd = 0;  // MJD days UTC
  double ra_deg = 0, dec_deg = 0;     // phase centre, ICRS
};

struct JobReport {
  std::string job;    // "group/2025-10-13T13:28:03"
  std::string group;  // its subject; empty for a task
  int attempt = 1;
  bool ok = false;
  std::optional<ErrorKind> error_kind;  // when not ok
  std::string error_stage, error_subject, error_message;
  double started_at = 0, finished_at = 0;  // unix_s
  std::string program_version, host, settings_hash, instruction_set;
  std::optional<JobObservation> observation;
  std::vector<StageReport> stages;
  std::vector<JobProduct> products;
  std::vector<JobCalibration> calibration;
  std::vector<std::filesystem::path> applied;  // the tables in CORRECTED_DATA and in the image; empty: uncalibrated
  nlohmann::json quality = nlohmann::json::object();  // of the image: its metrics; empty without one
  std::vector<std::string> warnings;
  std::string next_state = "done";  // what the group becomes: "done", "awaiting_calibration"
};

// Throw Error{kBadInput} for missing or wrong fields.
nlohmann::json ToJson(const Job& job);
Job ParseJob(const nlohmann::json& json, const std::string& subject);
nlohmann::json ToJson(const JobReport& report);
JobReport ParseJobReport(const nlohmann::json& json, const std::string& subject);

// {"section": {"name": "value"}}, values spelled as in settings files; what is absent has its default.
nlohmann::json SettingsJson(const Settings& settings);
Settings ParseSettings(const nlohmann::json& json, const std::string& subject);

// Reads a JSON file; Error{kIo} when it cannot be read, Error{kBadInput} when it is not JSON.
nlohmann::json ReadJsonFile(const std::filesystem::path& path, Os& os = RealOs());

// Names inside a job's folder.
std::filesystem::path JobFile(const std::filesystem::path& folder);     // job.json
std::filesystem::path ReportFile(const std::filesystem::path& folder);  // report.json
std::filesystem::path OutputFile(const std::filesystem::path& folder);  // output.log: the worker's stderr

// One line of a worker's progress.jsonl, and of its stdout.
struct ProgressLine {
  enum class Kind { kProgress, kWarning, kInfo } kind = Kind::kProgress;
  std::string stage;
  double fraction = 0;
  std::string message;
};
std::string FormatProgressLine(const ProgressLine& line);                // without newline
std::optional<ProgressLine> ParseProgressLine(const std::string& text);  // nullopt for anything else

}  // namespace contimg::ops
