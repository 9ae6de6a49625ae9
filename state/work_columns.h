// The columns that every table of work has, in the order in which ReadWork takes them. Internal to state/.
#pragma once

#include <optional>
#include <string>

#include "state/query.h"
#include "state/work_table.h"

#define CONTIMG_WORK_COLUMNS                                                                                \
  "id, state, priority, attempts, next_attempt_at, error_kind, error, created_at, updated_at, started_at, " \
  "finished_at, executor, executor_id, lease_owner, lease_expires_at, stage, progress, timings_json"

namespace contimg::state {

inline void ReadWork(Query& query, WorkRow& row) {
  row.id = query.Text();
  row.state = ParseGroupState(query.Text());
  row.priority = query.Int();
  row.attempts = query.Int();
  row.next_attempt_at = query.Number();
  if (const auto kind = query.OptionalText()) row.error_kind = ParseErrorKind(*kind);
  row.error = query.Text();
  row.created_at = query.Number();
  row.updated_at = query.Number();
  row.started_at = query.Number();
  row.finished_at = query.Number();
  row.executor = query.Text();
  row.executor_id = query.Text();
  row.lease_owner = query.Text();
  row.lease_expires_at = query.Number();
  row.stage = query.Text();
  row.progress = query.Number();
  row.timings_json = query.Text();
}

inline std::optional<std::string> ErrorWord(const std::optional<ErrorKind>& kind) {
  if (!kind) return std::nullopt;
  return std::string(ToString(*kind));
}

// Binds the columns above.
inline void BindWork(Query& query, const WorkRow& row) {
  query.Bind(row.id, ToString(row.state), row.priority, row.attempts, row.next_attempt_at, ErrorWord(row.error_kind),
             row.error, row.created_at, row.updated_at, row.started_at, row.finished_at, row.executor, row.executor_id,
             row.lease_owner, row.lease_expires_at, row.stage, row.progress, row.timings_json);
}

}  // namespace contimg::state
