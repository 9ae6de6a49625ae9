#include "state/task_store.h"

#include <fmt/format.h>

#include <utility>

#include "state/clock_slack.h"
#include "state/work_columns.h"

namespace contimg::state {
namespace {

#define CONTIMG_TASK_COLUMNS CONTIMG_WORK_COLUMNS ", kind, subject"

TaskRow ReadTask(Query& query) {
  TaskRow row;
  ReadWork(query, row);
  row.kind = query.Text();
  row.subject = query.Text();
  return row;
}

}  // namespace

TaskStore::TaskStore(const std::filesystem::path& path, const DatabaseOptions& options)
    : WorkTable(path, options, "tasks", "task") {}
TaskStore::TaskStore(Database& database) : WorkTable(database, "tasks", "task") {}

TaskRow TaskStore::Create(std::string_view kind, std::string_view subject, std::string_view actor,
                          std::string_view detail, double now) {
  TaskRow row;
  row.id = fmt::format("{}/{}", kind, subject);
  row.state = WorkState::kReady;
  row.kind = std::string(kind);
  row.subject = std::string(subject);
  row.created_at = row.updated_at = row.next_attempt_at = now;
  database().Write([&] {
    if (FindWork(row.id)) throw Error(ErrorKind::kUsage, "state", row.id, "the task exists already");
    Query query(database(), "INSERT INTO tasks (" CONTIMG_TASK_COLUMNS
                            ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    BindWork(query, row);
    query.Bind(row.kind, row.subject).Run();
    AddStateEvent(row, "", actor, detail, now);
  });
  return row;
}

std::optional<TaskRow> TaskStore::Find(std::string_view id) {
  Query query(database(), "SELECT " CONTIMG_TASK_COLUMNS " FROM tasks WHERE id = ?");
  query.Bind(id);
  if (!query.Next()) return std::nullopt;
  return ReadTask(query);
}

std::vector<TaskRow> TaskStore::List(const TaskQuery& selection) {
  std::string where = " WHERE (?1 = '' OR kind = ?1) AND subject >= ?2 AND (?3 = '' OR subject < ?3)";
  if (!selection.states.empty()) {
    std::vector<std::string> words;
    for (const WorkState state : selection.states) words.push_back(fmt::format("'{}'", ToString(state)));
    where += fmt::format(" AND state IN ({})", fmt::join(words, ", "));
  }
  if (selection.error_kind) where += fmt::format(" AND error_kind = '{}'", ToString(*selection.error_kind));
  const char* order = selection.newest_first ? "DESC" : "ASC";
  Query query(database(), "SELECT " CONTIMG_TASK_COLUMNS " FROM tasks" + where +
                              fmt::format(" ORDER BY created_at {0}, id {0} LIMIT ?4", order));
  query.Bind(selection.kind, selection.subject_from, selection.subject_before,
             selection.limit > 0 ? selection.limit : -1);
  std::vector<TaskRow> rows;
  while (query.Next()) rows.push_back(ReadTask(query));
  return rows;
}

std::optional<TaskRow> TaskStore::Newest(std::string_view kind, std::optional<double> now) {
  Query query(database(), "SELECT " CONTIMG_TASK_COLUMNS
                          " FROM tasks WHERE kind = ?1 AND (?2 IS NULL OR created_at <= ?2)"
                          " ORDER BY created_at DESC, id DESC LIMIT 1");
  query.Bind(kind, now);
  return query.Next() ? std::optional(ReadTask(query)) : std::nullopt;
}

std::vector<TaskRow> TaskStore::Troubled() {
  Query query(database(), "SELECT " CONTIMG_TASK_COLUMNS
                          " FROM tasks AS t WHERE state IN ('failed', 'dead', 'held') AND created_at >= coalesce("
                          "(SELECT max(created_at) FROM tasks WHERE kind = t.kind AND state = 'done'), 0) "
                          "ORDER BY created_at DESC, id DESC");
  std::vector<TaskRow> rows;
  while (query.Next()) rows.push_back(ReadTask(query));
  return rows;
}

std::map<std::string, double> TaskStore::LastDone(double now) {
  std::map<std::string, double> last;
  Query query(database(),
              "SELECT kind, max(finished_at) FROM tasks WHERE state = 'done' AND finished_at <= ? GROUP BY kind");
  query.Bind(now + kClockSlackS);
  while (query.Next()) {
    const std::string kind = query.Text();
    last[kind] = query.Number();
  }
  return last;
}

std::map<std::string, std::map<WorkState, std::int64_t>> TaskStore::Counts() {
  std::map<std::string, std::map<WorkState, std::int64_t>> counts;
  Query query(database(), "SELECT kind, state, count(*) FROM tasks GROUP BY kind, state");
  while (query.Next()) {
    const std::string kind = query.Text();
    const WorkState state = ParseGroupState(query.Text());
    counts[kind][state] = query.Integer();
  }
  return counts;
}

#undef CONTIMG_TASK_COLUMNS

}  // namespace contimg::state
