// The job of a task on paper: job.json of work that is no group. Its report is that of any job (ops/job/job.h).
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "ops/job/job_id.h"

namespace contimg::ops {

struct TaskJob {
  JobId job;
  int attempt = 1;
  int threads = 1;
  std::uint64_t memory_bytes = 0;  // 0: no limit
  nlohmann::json work;             // what the kind needs: ops/upkeep/task_kinds.h
};

nlohmann::json ToJson(const TaskJob& job);
// Throws Error{kBadInput} for missing or wrong fields.
TaskJob ParseTaskJob(const nlohmann::json& json, const std::string& subject);
// Whether a job.json is a task's.
bool IsTaskJob(const nlohmann::json& json);

}  // namespace contimg::ops
