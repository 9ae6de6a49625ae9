// Where jobs run: an interface, so that the daemon does not care whether a job is a process on this machine or a batch
// job elsewhere.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/error.h"
#include "ops/job/job.h"
#include "ops/job/job_id.h"

namespace contimg::ops {

struct JobLimits {
  double job_s = 1800;                    // the whole job
  std::map<std::string, double> stage_s;  // of single stages; absent: no limit of its own
  double silence_s = 0;                   // without any sign of progress; 0: no limit
  double grace_s = 10;                    // between TERM and KILL
  std::uint64_t memory_bytes = 0;         // resident; 0: no limit
};

struct JobRequest {
  JobId job;
  std::string name;  // of this attempt, JobId::AttemptName: known before the start, and to whoever comes later
  std::filesystem::path folder;  // holds job.json; receives progress.jsonl, report.json and output.log
  JobLimits limits;
};

// What one job may use where it will run: goes into its job.json.
struct JobResources {
  int threads = 1;
  std::uint64_t memory_bytes = 0;  // resident; 0: no limit
};

// How a job ended.
struct JobOutcome {
  JobId job;
  std::optional<JobReport> report;   // what the worker could still say
  bool ok = false;                   // the report says so and nothing contradicts it
  ErrorKind kind = ErrorKind::kBug;  // when not ok
  std::string message;               // when not ok: one sentence
  std::string command;               // repeats the job
  std::string last_output;           // the last lines of its stderr
  std::string last_stage;
  int exit_status = 0;
  int signal = 0;
  double wall_s = 0, user_s = 0, system_s = 0;
  std::uint64_t peak_memory_bytes = 0;
};

struct RunningJob {
  JobId job;
  std::string stage;
  double fraction = 0;
  double running_s = 0;
  std::string where;  // "process 1234", "slurm 5678"
  std::uint64_t memory_bytes = 0;
};

class Executor {
 public:
  struct Events {
    std::function<void(const JobId& job, const ProgressLine& line)> progress;
    std::function<void(const JobOutcome& outcome)> finished;  // once per job; never from inside Start or Stop
  };
  virtual ~Executor() = default;

  // "local": for the records.
  virtual std::string_view kind() const = 0;
  // For the next job; follows the settings.
  virtual JobResources Resources() const = 0;
  virtual void Apply(const Settings& settings) = 0;

  // Takes a job on and returns at once, without waiting for anything outside of this process: the job counts as running
  // from now on. That it could not be started is told by `finished`, as every other end.
  virtual void Start(const JobRequest& request) = 0;
  // Ends a job before its time: TERM, and KILL when it does not obey. `finished` follows with this kind and message.
  virtual void Stop(const JobId& job, ErrorKind kind, const std::string& message) = 0;
  // Called about once a second: progress, limits, silent deaths.
  virtual void Tick() = 0;
  virtual std::vector<RunningJob> Running() const = 0;
  // Jobs whose end has not been told: those of Running, and ends that are on their way to `finished`.
  virtual std::size_t n_running() const = 0;
  // Makes sure that none of these jobs of an earlier daemon is running any more: asks all of them to end, then waits.
  virtual void EndStrays(const std::vector<JobRequest>& jobs) = 0;
};

}  // namespace contimg::ops
