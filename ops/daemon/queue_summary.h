// The queue counted: what status, metrics and the service manager say of groups and tasks. Counting a year of groups
// takes some milliseconds, so it is done only when something has changed.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "state/group_store.h"
#include "state/task_store.h"

namespace contimg::ops {

class QueueSummary {
 public:
  QueueSummary(state::GroupStore& store, state::TaskStore& tasks) : store_(store), tasks_(tasks) {}

  // Counts anew when the queue's database has changed; true when it has. Error as state/database.h says.
  bool Refresh(double unix_s);

  const state::GroupSummary& groups() const { return groups_; }
  std::int64_t n_late_files() const { return n_late_files_; }
  // Kind of task → state → number.
  const std::map<std::string, std::map<state::WorkState, std::int64_t>>& tasks() const { return task_counts_; }
  // Kind of task → when one was last done (unix_s).
  const std::map<std::string, double>& tasks_done_at() const { return tasks_done_at_; }
  // The first group that is ready or has failed and is to be tried again.
  const std::optional<state::GroupRow>& oldest_waiting() const { return oldest_waiting_; }
  // Groups that are ready or have failed and are to be tried again.
  std::int64_t n_waiting() const;

 private:
  state::GroupStore& store_;
  state::TaskStore& tasks_;
  state::Database::ChangeMark counted_;
  state::GroupSummary groups_;
  std::int64_t n_late_files_ = 0;
  std::map<std::string, std::map<state::WorkState, std::int64_t>> task_counts_;
  std::map<std::string, double> tasks_done_at_;
  std::optional<state::GroupRow> oldest_waiting_;
};

}  // namespace contimg::ops
