#include "ops/worker/worker.h"

#include <string>
#include <utility>

#include "config/os.h"
#include "ops/job/worker_process.h"
#include "ops/worker/stages.h"

namespace contimg::ops {

JobReport RunJob(const Job& job, const RunContext& context) {
  JobState state;
  state.report = BeginReport(JobId::OfGroup(job.group), job.attempt);
  state.report.settings_hash = SettingsHash(job.settings);
  const auto run = [&](const std::string& name, const std::function<void(nlohmann::json&)>& work) {
    RunStage(name, context, job.trees, state.report, work);
  };
  CompleteReport(state.report, [&] {
    std::size_t last_change = 0;
    for (std::size_t i = 0; i < job.stages.size(); ++i) {
      if (FindStage(job.stages[i]).changes_data) last_change = i + 1;
    }
    for (std::size_t i = 0; i < job.stages.size(); ++i) {
      const Stage& stage = FindStage(job.stages[i]);
      const bool has_its_data = !state.taken || stage.name == "apply";
      const bool images = stage.name == "refine" || stage.name == "image" || stage.name == "measure";
      if (has_its_data && !(state.waiting && images)) {
        run(job.stages[i], [&](nlohmann::json& figures) { stage.run(job, context, state, figures); });
      }
      if (i + 1 == last_change) StartWriting(job, context, state);
    }
    run("write", [&](nlohmann::json& figures) { FinishWriting(job, context, state, figures); });
  });
  return std::move(state.report);
}

int RunWorker(const std::filesystem::path& job_file, Os& os) {
  const Job job = ParseJob(ReadJsonFile(job_file), job_file.string());
  const WorkerIdentity identity{JobId::OfGroup(job.group), job.attempt, job.threads, job.memory_bytes, job.trees};
  return RunWorkerProcess(job_file, os, identity, [&](const RunContext& context) { return RunJob(job, context); });
}

}  // namespace contimg::ops
