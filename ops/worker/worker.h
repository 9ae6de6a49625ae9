// Runs one job in this process.
#pragma once

#include <filesystem>

#include "config/run_context.h"
#include "ops/job/job.h"

namespace contimg::ops {

// Runs the job's stages in order. Errors of a stage end up in the report; nothing is thrown for them.
JobReport RunJob(const Job& job, const RunContext& context);

// The worker process for a group's job: see RunWorkerProcess (ops/job/worker_process.h).
int RunWorker(const std::filesystem::path& job_file, Os& os);

}  // namespace contimg::ops
