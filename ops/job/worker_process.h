// What every worker process does around its work, whatever its kind: it listens to SIGTERM, says how far it is, and
// leaves a report in the job's folder however it ends.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "config/run_context.h"
#include "ops/job/job.h"
#include "ops/job/job_id.h"

namespace contimg::ops {

// What the process needs to know of its job before it begins.
struct WorkerIdentity {
  JobId job;
  int attempt = 1;
  int threads = 1;
  std::uint64_t memory_bytes = 0;
  ExpectedTrees trees;
};

// The instruction sets of this processor that results depend on in their last bits: "sse4.2 avx2 fma".
std::string InstructionSet();
// Largest resident memory of this process so far.
std::uint64_t PeakMemoryBytes();

// A report with who, where and when; no stage yet.
JobReport BeginReport(const JobId& job, int attempt);
// Runs one stage and adds what it took to the report. `work` fills the stage's figures; what it throws goes through.
void RunStage(const std::string& name, const RunContext& context, const ExpectedTrees& trees, JobReport& report,
              const std::function<void(nlohmann::json& figures)>& work);
// Runs `stages`; whatever it throws ends up in the report, as does the time of its end.
void CompleteReport(JobReport& report, const std::function<void()>& stages);

// The process: `work` returns the report. Progress goes to progress.jsonl beside the job file and to stdout, the report
// to report.json. SIGTERM asks for an early end (reported as cancelled). Returns the exit status (config/error.h).
int RunWorkerProcess(const std::filesystem::path& job_file, Os& os, const WorkerIdentity& identity,
                     const std::function<JobReport(const RunContext&)>& work);

}  // namespace contimg::ops
