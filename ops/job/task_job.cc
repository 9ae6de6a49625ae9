#include "ops/job/task_job.h"

#include <fmt/format.h>

#include "config/error.h"

namespace contimg::ops {
namespace {

constexpr int kTaskVersion = 1;

}  // namespace

nlohmann::json ToJson(const TaskJob& job) {
  return {{"task_version", kTaskVersion},     {"job", job.job.text()},
          {"attempt", job.attempt},           {"threads", job.threads},
          {"memory_bytes", job.memory_bytes}, {"work", job.work}};
}

bool IsTaskJob(const nlohmann::json& json) { return json.is_object() && json.contains("task_version"); }

TaskJob ParseTaskJob(const nlohmann::json& json, const std::string& subject) {
  try {
    if (json.at("task_version") != kTaskVersion) {
      throw Error(
          ErrorKind::kBadInput, "worker", subject,
          fmt::format("expected version {} of a task's job, found {}", kTaskVersion, json.at("task_version").dump()));
    }
    TaskJob job;
    job.job = JobId::Parse(json.at("job").get<std::string>());
    job.attempt = json.at("attempt");
    job.threads = json.at("threads");
    job.memory_bytes = json.at("memory_bytes");
    job.work = json.at("work");
    return job;
  } catch (const nlohmann::json::exception& error) {
    throw Error(ErrorKind::kBadInput, "worker", subject, fmt::format("is no job of a task: {}", error.what()));
  }
}

}  // namespace contimg::ops
