#include "ops/daemon/queue_summary.h"

#include <utility>

namespace contimg::ops {

bool QueueSummary::Refresh(double unix_s) {
  const auto mark = store_.database().Changes();
  if (mark == counted_) return false;
  counted_ = mark;
  groups_ = store_.Summary();
  n_late_files_ = store_.CountFiles("late");
  task_counts_ = tasks_.Counts();
  tasks_done_at_ = tasks_.LastDone(unix_s);
  state::GroupQuery first_waiting;
  first_waiting.states = {state::GroupState::kReady, state::GroupState::kFailed};
  first_waiting.limit = 1;
  first_waiting.newest_first = false;
  auto rows = store_.List(first_waiting);
  oldest_waiting_ = rows.empty() ? std::nullopt : std::optional(std::move(rows.front()));
  return true;
}

std::int64_t QueueSummary::n_waiting() const {
  std::int64_t n = 0;
  for (const auto& [state, count] : groups_.counts) {
    if (state == state::GroupState::kReady || state == state::GroupState::kFailed) n += count;
  }
  return n;
}

}  // namespace contimg::ops
