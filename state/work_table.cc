#include "state/work_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "state/schema/schemas.h"
#include "state/stage_name.h"
#include "state/work_columns.h"

namespace contimg::state {
namespace {

EventRow ReadEvent(Query& query) {
  EventRow row;
  row.id = query.Integer();
  row.at = query.Number();
  row.group_id = query.Text();
  row.kind = query.Text();
  row.from_state = query.Text();
  row.to_state = query.Text();
  row.actor = query.Text();
  row.detail = query.Text();
  return row;
}

}  // namespace

WorkTable::WorkTable(const std::filesystem::path& path, const DatabaseOptions& options, std::string table,
                     std::string noun)
    : own_(std::make_unique<Database>(path, IngestSchema(), options)),
      database_(own_.get()),
      table_(std::move(table)),
      noun_(std::move(noun)) {}
WorkTable::WorkTable(Database& database, std::string table, std::string noun)
    : database_(&database), table_(std::move(table)), noun_(std::move(noun)) {}
WorkTable::~WorkTable() = default;

std::optional<WorkRow> WorkTable::FindWork(std::string_view id) {
  Query query(database(), "SELECT " CONTIMG_WORK_COLUMNS " FROM " + table_ + " WHERE id = ?");
  query.Bind(id);
  if (!query.Next()) return std::nullopt;
  WorkRow row;
  ReadWork(query, row);
  return row;
}

WorkRow WorkTable::FindOrRefuse(std::string_view id) {
  if (auto row = FindWork(id)) return *row;
  throw Error(ErrorKind::kUsage, kStage, std::string(id), "no such " + noun_);
}

// Writes what a transition may have changed.
void WorkTable::Save(const WorkRow& row) {
  Query query(database(),
              "UPDATE " + table_ +
                  " SET state = ?, attempts = ?, next_attempt_at = ?, error_kind = ?, error = ?, updated_at = ?, "
                  "started_at = ?, finished_at = ?, lease_owner = ?, lease_expires_at = ?, stage = ?, "
                  "progress = ?, timings_json = ? WHERE id = ?");
  query
      .Bind(ToString(row.state), row.attempts, row.next_attempt_at, ErrorWord(row.error_kind), row.error,
            row.updated_at, row.started_at, row.finished_at, row.lease_owner, row.lease_expires_at, row.stage,
            row.progress, row.timings_json, row.id)
      .Run();
}

std::int64_t WorkTable::AddEvent(const EventRow& event) {
  std::int64_t id = 0;
  database().Write([&] {
    Query query(database(),
                "INSERT INTO events (at, group_id, kind, from_state, to_state, actor, detail) VALUES (?, ?, ?, ?, ?, "
                "?, ?)");
    query.Bind(event.at, event.group_id, event.kind, event.from_state, event.to_state, event.actor, event.detail).Run();
    id = database().handle().getLastInsertRowid();
  });
  return id;
}

void WorkTable::AddStateEvent(const WorkRow& row, std::string_view from, std::string_view actor,
                              std::string_view detail, double now) {
  AddEvent({0, now, row.id, "state", std::string(from), std::string(ToString(row.state)), std::string(actor),
            std::string(detail)});
}

// One step of its life, in the caller's transaction.
void WorkTable::Move(WorkRow& row, WorkState to, const TransitionDetails& details, double now) {
  const WorkState from = row.state;
  if (!IsLegalTransition(from, to)) {
    throw Error(ErrorKind::kUsage, kStage, row.id,
                fmt::format("a {} in state {} cannot become {}", noun_, ToString(from), ToString(to)));
  }
  row.state = to;
  row.updated_at = now;
  if (from == WorkState::kRunning) {
    row.finished_at = now;
    row.lease_owner.clear();
    row.lease_expires_at = 0;
  }
  if (details.error_kind) {
    row.error_kind = details.error_kind;
    row.error = details.error;
  }
  // Why a group is held is its cause while it is held; what it failed with before is in the trail.
  if (to == WorkState::kHeld && !details.error_kind) {
    row.error_kind.reset();
    row.error = details.detail;
  }
  if (from == WorkState::kHeld && !details.error_kind) row.error.clear();
  if (to == WorkState::kDone) {
    row.error_kind.reset();
    row.error.clear();
    row.progress = 1;
  }
  if (to == WorkState::kReady) row.next_attempt_at = now;
  if (details.next_attempt_at) row.next_attempt_at = *details.next_attempt_at;
  if (details.timings_json) row.timings_json = *details.timings_json;
  if (details.reset_attempts) row.attempts = 0;
  Save(row);
  AddStateEvent(row, ToString(from), details.actor, details.detail, now);
}

// Gives the row in hand to `owner`, in the caller's transaction.
void WorkTable::Lend(WorkRow& row, std::string_view owner, double lease_s, double now) {
  if (row.state == WorkState::kFailed) {
    TransitionDetails retry;
    retry.actor = std::string(owner);
    retry.detail = "retry";
    Move(row, WorkState::kReady, retry, now);
  }
  const std::string from(ToString(row.state));
  row.state = WorkState::kRunning;
  row.attempts += 1;
  row.updated_at = row.started_at = now;
  row.lease_owner = std::string(owner);
  row.lease_expires_at = now + lease_s;
  row.stage.clear();
  row.progress = 0;
  Save(row);
  AddStateEvent(row, from, owner, fmt::format("attempt {}", row.attempts), now);
}

std::vector<std::string> WorkTable::Reclaim(const std::string& which, std::string_view key, double due,
                                            std::string_view actor, std::string_view why, double now,
                                            const std::set<std::string>& kept) {
  std::vector<std::string> ids;
  database().Write([&] {
    std::vector<WorkRow> rows;
    {
      Query query(database(), "SELECT " CONTIMG_WORK_COLUMNS " FROM " + table_ + " WHERE state = 'running' AND " +
                                  which + " ORDER BY id");
      query.Bind(key, due);
      while (query.Next()) ReadWork(query, rows.emplace_back());
    }
    for (WorkRow& row : rows) {
      if (kept.count(row.id) != 0) continue;
      TransitionDetails details;
      details.actor = std::string(actor);
      details.detail = fmt::format("{}, lease of {}", why, row.lease_owner);
      Move(row, WorkState::kReady, details, now);
      ids.push_back(row.id);
    }
  });
  return ids;
}

void WorkTable::SetPriority(std::string_view id, int priority, std::string_view actor, double now) {
  database().Write([&] {
    const WorkRow row = FindOrRefuse(id);
    Query(database(), "UPDATE " + table_ + " SET priority = ?, updated_at = ? WHERE id = ?")
        .Bind(priority, now, id)
        .Run();
    AddEvent(
        {0, now, row.id, "priority", "", "", std::string(actor), fmt::format("from {} to {}", row.priority, priority)});
  });
}

void WorkTable::Transition(std::string_view id, WorkState to, const TransitionDetails& details, double now) {
  if (to == WorkState::kRunning) {
    throw Error(ErrorKind::kUsage, kStage, std::string(id),
                fmt::format("a {} becomes running only by being acquired", noun_));
  }
  database().Write([&] {
    WorkRow row = FindOrRefuse(id);
    if (!details.lease_owner.empty() && row.lease_owner != details.lease_owner) {
      throw Error(ErrorKind::kBusy, kStage, row.id,
                  fmt::format("expected the lease of {}, found {}", details.lease_owner,
                              row.lease_owner.empty() ? "none" : row.lease_owner));
    }
    Move(row, to, details, now);
  });
}

std::optional<WorkRow> WorkTable::TakeNext(std::string_view owner, QueueOrder order, double lease_s, double now) {
  std::optional<WorkRow> taken;
  database().Write([&] {
    {
      const bool newest = order == QueueOrder::kNewest;
      Query query(database(), fmt::format("SELECT " CONTIMG_WORK_COLUMNS
                                          " FROM {0} INDEXED BY {0}_due_{1} WHERE state IN ('ready', 'failed') AND "
                                          "next_attempt_at <= ? ORDER BY priority DESC, id {2} LIMIT 1",
                                          table_, newest ? "newest" : "oldest", newest ? "DESC" : "ASC"));
      query.Bind(now);
      if (!query.Next()) return;
      ReadWork(query, taken.emplace());
    }
    Lend(*taken, owner, lease_s, now);
  });
  return taken;
}

std::optional<WorkRow> WorkTable::Take(std::string_view id, std::string_view owner, double lease_s, double now) {
  std::optional<WorkRow> taken;
  database().Write([&] {
    auto row = FindWork(id);
    if (!row || (row->state != WorkState::kReady && row->state != WorkState::kFailed &&
                 row->state != WorkState::kAwaitingCalibration)) {
      return;
    }
    Lend(*row, owner, lease_s, now);
    taken = std::move(row);
  });
  return taken;
}

bool WorkTable::Heartbeat(std::string_view id, std::string_view owner, double lease_s, double now) {
  int changed = 0;
  database().Write([&] {
    Query query(database(), "UPDATE " + table_ +
                                " SET lease_expires_at = ? WHERE id = ? AND state = 'running' AND lease_owner = ?");
    changed = query.Bind(now + lease_s, id, owner).Run();
  });
  return changed == 1;
}

bool WorkTable::SetProgress(std::string_view id, std::string_view owner, std::string_view stage, double progress,
                            double now) {
  int changed = 0;
  database().Write([&] {
    Query query(database(), "UPDATE " + table_ +
                                " SET stage = ?, progress = ?, updated_at = ? WHERE id = ? AND state = 'running' AND "
                                "lease_owner = ?");
    changed = query.Bind(stage, progress, now, id, owner).Run();
  });
  return changed == 1;
}

void WorkTable::SetExecutor(std::string_view id, std::string_view executor, std::string_view executor_id, double now) {
  database().Write([&] {
    FindOrRefuse(id);
    Query(database(), "UPDATE " + table_ + " SET executor = ?, executor_id = ?, updated_at = ? WHERE id = ?")
        .Bind(executor, executor_id, now, id)
        .Run();
  });
}

std::vector<std::string> WorkTable::ReclaimExpired(std::string_view actor, double now,
                                                   const std::set<std::string>& kept) {
  return Reclaim("?1 = '' AND lease_expires_at <= ?2", "", now, actor, "lease expired", now, kept);
}

std::vector<std::string> WorkTable::ReclaimOwned(std::string_view owner_prefix, std::string_view actor, double now,
                                                 const std::set<std::string>& kept) {
  return Reclaim("substr(lease_owner, 1, length(?1)) = ?1 AND ?2 >= 0", owner_prefix, 0, actor, "owner is gone", now,
                 kept);
}

std::vector<std::string> WorkTable::PullIn(double latest, std::string_view actor, double now) {
  std::vector<std::string> ids;
  database().Write([&] {
    {
      Query query(database(),
                  "SELECT id FROM " + table_ + " WHERE state IN ('ready', 'failed') AND next_attempt_at > ?");
      ids = query.Bind(latest).Texts();
    }
    for (const std::string& id : ids) {
      Query(database(), "UPDATE " + table_ + " SET next_attempt_at = ?, updated_at = ? WHERE id = ?")
          .Bind(now, now, id)
          .Run();
      AddEvent({0, now, id, "note", "", "", std::string(actor), "due now: the clock has been set back"});
    }
  });
  return ids;
}

std::vector<WorkRow> WorkTable::Running(std::string_view owner_prefix) {
  Query query(database(), "SELECT " CONTIMG_WORK_COLUMNS " FROM " + table_ +
                              " WHERE state = 'running' AND substr(lease_owner, 1, length(?1)) = ?1 ORDER BY id");
  query.Bind(owner_prefix);
  std::vector<WorkRow> rows;
  while (query.Next()) ReadWork(query, rows.emplace_back());
  return rows;
}

std::vector<EventRow> WorkTable::Events(std::string_view id, int limit) {
  Query query(database(),
              id.empty()
                  ? "SELECT id, at, group_id, kind, from_state, to_state, actor, detail FROM events WHERE ?1 = '' "
                    "ORDER BY id DESC LIMIT ?2"
                  : "SELECT id, at, group_id, kind, from_state, to_state, actor, detail FROM events WHERE "
                    "group_id = ?1 ORDER BY id DESC LIMIT ?2");
  query.Bind(id, limit > 0 ? limit : -1);
  std::vector<EventRow> rows;
  while (query.Next()) rows.push_back(ReadEvent(query));
  std::reverse(rows.begin(), rows.end());
  return rows;
}

std::optional<double> WorkTable::FirstEventAt() {
  Query query(database(), "SELECT at FROM events ORDER BY id LIMIT 1");
  if (!query.Next()) return std::nullopt;
  return query.Number();
}

}  // namespace contimg::state
