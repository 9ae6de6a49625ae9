// The kinds of tasks: what each needs in its job file, how it is done, and when the service asks for it by itself. To
// add one: its work in a file of its own, its line in the table in task_kinds.cc.
//
// Tasks that open databases are done in a process like the jobs of groups (`contimg worker job.json`), not on the
// daemon's loop. They are not part of the worker's library: what makes tiles never links the state.
#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/os.h"
#include "config/product_paths.h"
#include "config/run_context.h"
#include "config/settings.h"
#include "ops/job/job.h"
#include "state/task_store.h"

namespace contimg::ops {

using TaskWork = void (*)(const nlohmann::json& work, const RunContext& context, nlohmann::json& figures);

struct TaskKind {
  std::string_view name;    // the first part of its tasks' ids
  std::string_view stages;  // its progress: one word
  // What the job file says of the work.
  nlohmann::json (*describe)(const state::TaskRow& row, const Settings& settings, const ProductPaths& paths);
  // Does it. Fills `figures`; "summary" is one sentence for the trail. Throws Error. Null: who calls RunTaskWorker
  // brings it, for the service is to have no part of what it takes (casacore).
  TaskWork run;
  // How often the service asks for one by itself, s; 0: never.
  double (*every_s)(const Settings& settings);
};

const std::vector<TaskKind>& TaskKinds();
// Throws Error{kUsage} for a kind that this program does not know.
const TaskKind& FindTaskKind(std::string_view name);

// Makes the tasks that are due by the clock: the last one of the kind was asked for `every_s` ago or longer, or there
// was none and the queue holds something as old. While one is still open no other is made. Returns their ids.
std::vector<std::string> CreateDueTasks(state::TaskStore& tasks, const Settings& settings, double now);

// The free space that a cleanup by the service is to reach: retention.min_free_bytes, and no less than where the disk's
// warning begins. 0: it is not wanted.
std::uint64_t CleanupTarget(std::uint64_t total_bytes, const Settings& settings);
// Why a cleanup is wanted now; empty: it is not.
std::string RoomWanted(const DiskSpace& space, const Settings& settings);
// A cleanup because the disk asks for it (`why`, for the trail), unless one is open or was asked for within the last
// ten minutes. Returns its id.
std::optional<std::string> CreateCleanup(state::TaskStore& tasks, std::string_view why, double now);

// `contimg worker` with the job file of a task. `brought`: the work of kinds that have none. Returns the exit status.
int RunTaskWorker(const std::filesystem::path& job_file, Os& os,
                  const std::map<std::string_view, TaskWork>& brought = {});

}  // namespace contimg::ops
