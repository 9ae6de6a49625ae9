// Where jobs run: an interface, so that the daemon does not care whether a job is a process on this machine or a batch
// job elsewhere.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/error.h"
#include "ops/job/job.h"

namespace contimg::ops {

struct JobLimits {
  double job_s = 1800;                    // the whole job
  std::map<std::string, double> stage_s;  // of single stages; absent: no limit of its own
  double silence_s = 0;                   // without any sign of progress; 0: no limit
  double grace_s = 10;                    // between TERM and KILL
  std::uint64_t memory_bytes = 0;         // resident; 0: no limit
};

struct JobRequest {
  std::string group;
  std::filesystem::path folder;  // holds job.json; receives report.json and output.log
  JobLimits limits;
};

// How a job ended.
struct JobOutcome {
  std::string group;
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
  std::string group;
  std::string stage;
  double fraction = 0;
  double running_s = 0;
  std::string where;  // "process 1234", "slurm 5678"
  std::uint64_t memory_bytes = 0;
};

class Executor {
 public:
  struct Events {
    std::function<void(const std::string& group, const ProgressLine& line)> progress;
    std::function<void(const JobOutcome& outcome)> finished;  // once per job; never from inside Start or Stop
  };
  virtual ~Executor() = default;

  // Starts a job; throws Error when it cannot even be started. Returns an id for the records ("process 1234 567890").
  virtual std::string Start(const JobRequest& request) = 0;
  // Ends a job before its time: TERM, and KILL when it does not obey. `finished` follows with this kind and message.
  virtual void Stop(const std::string& group, ErrorKind kind, const std::string& message) = 0;
  // Called about once a second: limits, silent deaths.
  virtual void Tick() = 0;
  virtual std::vector<RunningJob> Running() const = 0;
  virtual std::size_t n_running() const = 0;
  // Makes sure that a job recorded by an earlier daemon under `id` is not running any more (waits for its death).
  virtual void EndStray(const std::string& id) = 0;
};

}  // namespace contimg::ops
