// Work that is no group of subband files: backups, and whatever else the service does for itself or for an operator. It
// goes through the same machine of states as groups and is leased, retried, held and shown like them
// (state/work_table.h).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "state/work_table.h"

namespace contimg::state {

struct TaskRow : WorkRow {  // id: "<kind>/<subject>"
  std::string kind;         // "backup"
  std::string subject;      // of a backup: when it became due, "2025-10-13T03:00:00"
};

// Selection for List; unset members do not restrict.
struct TaskQuery {
  std::vector<WorkState> states;
  std::string kind;
  std::optional<ErrorKind> error_kind;
  std::string subject_from, subject_before;  // inclusive, exclusive
  int limit = 0;                             // 0: all
  bool newest_first = true;                  // by creation
};

class TaskStore : public WorkTable {
 public:
  // Opens the queue's database at `path`: see state/database.h for its errors.
  explicit TaskStore(const std::filesystem::path& path, const DatabaseOptions& options = {});
  // Shares the connection of another store, and its transactions.
  explicit TaskStore(Database& database);

  // Whether the id names a task: "backup/2025-10-13T03:00:00". Ids of groups have no slash.
  static bool IsTaskId(std::string_view id) { return id.find('/') != std::string_view::npos; }

  // A new task in state ready, due at once, with its event. Error{kUsage} when there is one of that kind and subject.
  TaskRow Create(std::string_view kind, std::string_view subject, std::string_view actor, std::string_view detail,
                 double now);
  std::optional<TaskRow> Find(std::string_view id);
  std::vector<TaskRow> List(const TaskQuery& query);
  // By creation; of those that were created by then, unless `now` is not given: a clock that was ahead once must not
  // keep what is due waiting for years.
  std::optional<TaskRow> Newest(std::string_view kind, std::optional<double> now = std::nullopt);
  // Failed, given up or held, and none of the kind was done since; newest first.
  std::vector<TaskRow> Troubled();
  // kind → when the newest one was done (unix_s), as MaintenanceStore::LastSuccess.
  std::map<std::string, double> LastDone(double now);
  // kind → state → number; only what there is.
  std::map<std::string, std::map<WorkState, std::int64_t>> Counts();
};

}  // namespace contimg::state
