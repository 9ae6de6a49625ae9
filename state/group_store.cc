#include "state/group_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "state/query.h"
#include "state/schema/schemas.h"

namespace contimg::state {
namespace {

constexpr const char* kStage = "state";
constexpr std::array<std::string_view, kGroupStateCount> kStateWords{
    "collecting", "ready", "running", "awaiting_calibration", "done", "failed", "dead", "held", "cancelled"};

// Row: from; column: to; both in the order of GroupState.
constexpr bool kLegal[kGroupStateCount][kGroupStateCount] = {
    // collecting ready running awaiting done failed dead held cancelled
    {false, true, false, false, false, true, true, true, true},      // collecting
    {true, false, true, false, false, false, true, true, true},      // ready
    {false, true, false, true, true, true, true, true, true},        // running
    {false, true, true, false, false, true, true, true, true},       // awaiting_calibration
    {false, true, false, false, false, false, false, false, false},  // done
    {false, true, false, false, false, false, true, true, true},     // failed
    {false, true, false, false, false, false, false, true, true},    // dead
    {true, true, false, true, false, false, false, false, true},     // held
    {true, true, false, false, false, false, false, false, false},   // cancelled
};

// The columns of GroupRow, in the order in which ReadGroup takes them.
#define CONTIMG_GROUP_COLUMNS                                                                                \
  "id, state, priority, attempts, next_attempt_at, error_kind, error, subbands_present, subbands_expected, " \
  "data_start_mjd, data_end_mjd, first_file_at, created_at, updated_at, started_at, finished_at, executor, " \
  "executor_id, lease_owner, lease_expires_at, stage, progress, timings_json"

GroupRow ReadGroup(Query& query) {
  GroupRow row;
  row.id = query.Text();
  row.state = ParseGroupState(query.Text());
  row.priority = query.Int();
  row.attempts = query.Int();
  row.next_attempt_at = query.Number();
  if (const auto kind = query.OptionalText()) row.error_kind = ParseErrorKind(*kind);
  row.error = query.Text();
  row.subbands_present = query.Int();
  row.subbands_expected = query.Int();
  row.data_start_mjd = query.Number();
  row.data_end_mjd = query.Number();
  row.first_file_at = query.Number();
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
  return row;
}

std::optional<std::string> ErrorWord(const std::optional<ErrorKind>& kind) {
  if (!kind) return std::nullopt;
  return std::string(ToString(*kind));
}

SubbandFileRow ReadFile(Query& query) {
  SubbandFileRow row;
  row.group_id = query.Text();
  row.subband = query.Int();
  row.path = query.Text();
  row.size_bytes = query.Integer();
  row.mtime = query.Number();
  row.checksum = query.Text();
  row.status = query.Text();
  row.seen_at = query.Number();
  return row;
}

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

// The WHERE clause of a GroupQuery. State and error words come from enumerations, so they are written in place; ids are
// parameters 1 and 2.
std::string Where(const GroupQuery& query) {
  std::string where = " WHERE id >= ?1 AND (?2 = '' OR id < ?2)";
  if (!query.states.empty()) {
    std::vector<std::string> words;
    for (const GroupState state : query.states) words.push_back(fmt::format("'{}'", ToString(state)));
    where += fmt::format(" AND state IN ({})", fmt::join(words, ", "));
  }
  if (query.late_files) {
    where +=
        " AND id IN (SELECT group_id FROM subband_files WHERE status = 'late' UNION ALL"
        " SELECT id FROM groups WHERE state = 'done' AND error <> '')";
  }
  if (query.error_kind) where += fmt::format(" AND error_kind = '{}'", ToString(*query.error_kind));
  return where;
}

// What follows it: parameters 3 and 4 are limit and offset.
std::string Order(const GroupQuery& query) {
  return std::string(" ORDER BY id ") + (query.newest_first ? "DESC" : "ASC") + " LIMIT ?3 OFFSET ?4";
}

}  // namespace

std::string_view ToString(GroupState state) { return kStateWords.at(static_cast<std::size_t>(state)); }

GroupState ParseGroupState(std::string_view word) {
  const auto found = std::find(kStateWords.begin(), kStateWords.end(), word);
  if (found == kStateWords.end()) {
    throw Error(ErrorKind::kUsage, kStage, std::string(word),
                fmt::format("is no state of a group: expected one of {}", fmt::join(kStateWords, ", ")));
  }
  return static_cast<GroupState>(found - kStateWords.begin());
}

const std::vector<GroupState>& AllGroupStates() {
  static const std::vector<GroupState> all = [] {
    std::vector<GroupState> states;
    for (int i = 0; i < kGroupStateCount; ++i) states.push_back(static_cast<GroupState>(i));
    return states;
  }();
  return all;
}

bool IsLegalTransition(GroupState from, GroupState to) {
  return kLegal[static_cast<std::size_t>(from)][static_cast<std::size_t>(to)];
}

struct GroupStore::Impl {
  Impl(const std::filesystem::path& path, const DatabaseOptions& options) : db(path, IngestSchema(), options) {}

  std::optional<GroupRow> Find(std::string_view id) {
    Query query(db, "SELECT " CONTIMG_GROUP_COLUMNS " FROM groups WHERE id = ?");
    query.Bind(id);
    if (!query.Next()) return std::nullopt;
    return ReadGroup(query);
  }

  GroupRow FindOrRefuse(std::string_view id) {
    if (auto row = Find(id)) return *row;
    throw Error(ErrorKind::kUsage, kStage, std::string(id), "no such group");
  }

  void Insert(const GroupRow& row) {
    Query query(db, "INSERT INTO groups (" CONTIMG_GROUP_COLUMNS
                    ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    query
        .Bind(row.id, ToString(row.state), row.priority, row.attempts, row.next_attempt_at, ErrorWord(row.error_kind),
              row.error, row.subbands_present, row.subbands_expected, row.data_start_mjd, row.data_end_mjd,
              row.first_file_at, row.created_at, row.updated_at, row.started_at, row.finished_at, row.executor,
              row.executor_id, row.lease_owner, row.lease_expires_at, row.stage, row.progress, row.timings_json)
        .Run();
  }

  // Writes what a transition may have changed.
  void SaveTransition(const GroupRow& row) {
    Query query(db,
                "UPDATE groups SET state = ?, attempts = ?, next_attempt_at = ?, error_kind = ?, error = ?, "
                "updated_at = ?, started_at = ?, finished_at = ?, lease_owner = ?, lease_expires_at = ?, stage = ?, "
                "progress = ?, timings_json = ? WHERE id = ?");
    query
        .Bind(ToString(row.state), row.attempts, row.next_attempt_at, ErrorWord(row.error_kind), row.error,
              row.updated_at, row.started_at, row.finished_at, row.lease_owner, row.lease_expires_at, row.stage,
              row.progress, row.timings_json, row.id)
        .Run();
  }

  std::int64_t AddEvent(const EventRow& event) {
    Query query(
        db,
        "INSERT INTO events (at, group_id, kind, from_state, to_state, actor, detail) VALUES (?, ?, ?, ?, ?, ?, "
        "?)");
    query.Bind(event.at, event.group_id, event.kind, event.from_state, event.to_state, event.actor, event.detail).Run();
    return db.handle().getLastInsertRowid();
  }

  void AddStateEvent(const GroupRow& row, std::string_view from, std::string_view actor, std::string_view detail,
                     double now) {
    AddEvent({0, now, row.id, "state", std::string(from), std::string(ToString(row.state)), std::string(actor),
              std::string(detail)});
  }

  // One step of a group's life, in the caller's transaction.
  void Move(GroupRow& row, GroupState to, const TransitionDetails& details, double now) {
    const GroupState from = row.state;
    if (!IsLegalTransition(from, to)) {
      throw Error(ErrorKind::kUsage, kStage, row.id,
                  fmt::format("a group in state {} cannot become {}", ToString(from), ToString(to)));
    }
    row.state = to;
    row.updated_at = now;
    if (from == GroupState::kRunning) {
      row.finished_at = now;
      row.lease_owner.clear();
      row.lease_expires_at = 0;
    }
    if (details.error_kind) {
      row.error_kind = details.error_kind;
      row.error = details.error;
    }
    // Why a group is held is its cause while it is held; what it failed with before is in the trail.
    if (to == GroupState::kHeld && !details.error_kind) {
      row.error_kind.reset();
      row.error = details.detail;
    }
    if (from == GroupState::kHeld && !details.error_kind) row.error.clear();
    if (to == GroupState::kDone) {
      row.error_kind.reset();
      row.error.clear();
      row.progress = 1;
    }
    if (to == GroupState::kReady) row.next_attempt_at = now;
    if (details.next_attempt_at) row.next_attempt_at = *details.next_attempt_at;
    if (details.timings_json) row.timings_json = *details.timings_json;
    if (details.reset_attempts) row.attempts = 0;
    SaveTransition(row);
    AddStateEvent(row, ToString(from), details.actor, details.detail, now);
  }

  // Gives the group in hand to `owner`, in the caller's transaction.
  void Lend(GroupRow& row, std::string_view owner, double lease_s, double now) {
    if (row.state == GroupState::kFailed) {
      TransitionDetails retry;
      retry.actor = std::string(owner);
      retry.detail = "retry";
      Move(row, GroupState::kReady, retry, now);
    }
    const std::string from(ToString(row.state));
    row.state = GroupState::kRunning;
    row.attempts += 1;
    row.updated_at = row.started_at = now;
    row.lease_owner = std::string(owner);
    row.lease_expires_at = now + lease_s;
    row.stage.clear();
    row.progress = 0;
    SaveTransition(row);
    AddStateEvent(row, from, owner, fmt::format("attempt {}", row.attempts), now);
  }

  std::vector<std::string> Reclaim(std::string_view sql, std::string_view key, double due, std::string_view actor,
                                   std::string_view why, double now, const std::set<std::string>& kept) {
    std::vector<std::string> ids;
    db.Write([&] {
      std::vector<GroupRow> rows;
      {
        Query query(db, sql);
        query.Bind(key, due);
        while (query.Next()) rows.push_back(ReadGroup(query));
      }
      for (GroupRow& row : rows) {
        if (kept.count(row.id) != 0) continue;
        TransitionDetails details;
        details.actor = std::string(actor);
        details.detail = fmt::format("{}, lease of {}", why, row.lease_owner);
        Move(row, GroupState::kReady, details, now);
        ids.push_back(row.id);
      }
    });
    return ids;
  }

  Database db;
};

GroupStore::GroupStore(const std::filesystem::path& path, const DatabaseOptions& options)
    : impl_(std::make_unique<Impl>(path, options)) {}
GroupStore::~GroupStore() = default;
GroupStore::GroupStore(GroupStore&&) noexcept = default;
GroupStore& GroupStore::operator=(GroupStore&&) noexcept = default;
Database& GroupStore::database() { return impl_->db; }

void GroupStore::Create(const GroupRow& row, std::string_view actor, double now) {
  if (row.state == GroupState::kRunning) {
    throw Error(ErrorKind::kUsage, kStage, row.id, "a group cannot be created running: it must be acquired");
  }
  impl_->db.Write([&] {
    if (impl_->Find(row.id)) throw Error(ErrorKind::kUsage, kStage, row.id, "the group exists already");
    GroupRow fresh = row;
    fresh.created_at = fresh.updated_at = now;
    impl_->Insert(fresh);
    impl_->AddStateEvent(fresh, "", actor, "new group", now);
  });
}

bool GroupStore::AddFiles(const GroupRow& group, const std::vector<SubbandFileRow>& files, std::string_view actor,
                          double now) {
  bool is_new = false;
  impl_->db.Write([&] {
    if (!impl_->Find(group.id)) {
      is_new = true;
      Create(group, actor, now);
    }
    for (const SubbandFileRow& file : files) {
      Query query(impl_->db,
                  "INSERT INTO subband_files (group_id, subband, path, size_bytes, mtime, checksum, status, seen_at) "
                  "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (group_id, subband, path) DO UPDATE SET "
                  "size_bytes = excluded.size_bytes, mtime = excluded.mtime, checksum = excluded.checksum, "
                  "status = excluded.status, seen_at = excluded.seen_at");
      query
          .Bind(group.id, file.subband, file.path, file.size_bytes, file.mtime, file.checksum, file.status,
                file.seen_at)
          .Run();
      impl_->AddEvent({0, now, group.id, "file", "", "", std::string(actor),
                       fmt::format("sb{:02} {} {}", file.subband, file.status, file.path)});
    }
    Query count(impl_->db,
                "UPDATE groups SET updated_at = ?1, subbands_present = (SELECT count(DISTINCT subband) FROM "
                "subband_files WHERE group_id = ?2 AND status = 'present') WHERE id = ?2");
    count.Bind(now, group.id).Run();
  });
  return is_new;
}

void GroupStore::Rename(std::string_view id, std::string_view new_id, std::string_view actor, double now) {
  if (id == new_id) return;
  impl_->db.Write([&] {
    const GroupRow row = impl_->FindOrRefuse(id);
    if (row.state != GroupState::kCollecting) {
      throw Error(ErrorKind::kUsage, kStage, row.id,
                  fmt::format("the id of a group in state {} is frozen", ToString(row.state)));
    }
    if (impl_->Find(new_id)) throw Error(ErrorKind::kUsage, kStage, std::string(new_id), "the group exists already");
    Query(impl_->db, "UPDATE groups SET id = ?, updated_at = ? WHERE id = ?").Bind(new_id, now, id).Run();
    Query(impl_->db, "UPDATE events SET group_id = ? WHERE group_id = ?").Bind(new_id, id).Run();
    impl_->AddEvent({0, now, std::string(new_id), "rename", "", "", std::string(actor), fmt::format("was {}", id)});
  });
}

void GroupStore::SetDataTimes(std::string_view id, double start_mjd, double end_mjd, double now) {
  impl_->db.Write([&] {
    impl_->FindOrRefuse(id);
    Query(impl_->db, "UPDATE groups SET data_start_mjd = ?, data_end_mjd = ?, updated_at = ? WHERE id = ?")
        .Bind(start_mjd, end_mjd, now, id)
        .Run();
  });
}

void GroupStore::Mark(std::string_view id, std::string_view sentence, std::string_view actor, double now) {
  impl_->db.Write([&] {
    const GroupRow row = impl_->FindOrRefuse(id);
    if (row.state != GroupState::kDone) return;
    Query(impl_->db, "UPDATE groups SET error = ?, updated_at = ? WHERE id = ?").Bind(sentence, now, id).Run();
    impl_->AddEvent({0, now, row.id, "marked", "", "", std::string(actor), std::string(sentence)});
  });
}

void GroupStore::SetPriority(std::string_view id, int priority, std::string_view actor, double now) {
  impl_->db.Write([&] {
    const GroupRow row = impl_->FindOrRefuse(id);
    Query(impl_->db, "UPDATE groups SET priority = ?, updated_at = ? WHERE id = ?").Bind(priority, now, id).Run();
    impl_->AddEvent(
        {0, now, row.id, "priority", "", "", std::string(actor), fmt::format("from {} to {}", row.priority, priority)});
  });
}

std::optional<GroupRow> GroupStore::Find(std::string_view id) { return impl_->Find(id); }

std::vector<GroupRow> GroupStore::List(const GroupQuery& selection) {
  Query query(impl_->db, "SELECT " CONTIMG_GROUP_COLUMNS " FROM groups" + Where(selection) + Order(selection));
  query.Bind(selection.id_from, selection.id_before, selection.limit > 0 ? selection.limit : -1, selection.offset);
  std::vector<GroupRow> rows;
  while (query.Next()) rows.push_back(ReadGroup(query));
  return rows;
}

void GroupStore::ForEach(const GroupQuery& selection, const std::function<void(const GroupLine&)>& take) {
  Query query(impl_->db,
              "SELECT id, state, coalesce(error_kind, ''), error, attempts, subbands_present, subbands_expected, "
              "updated_at FROM groups" +
                  Where(selection) + Order(selection));
  query.Bind(selection.id_from, selection.id_before, selection.limit > 0 ? selection.limit : -1, selection.offset);
  GroupLine line;
  while (query.Next()) {
    line.id = query.View();
    line.state = query.View();
    line.error_kind = query.View();
    line.error = query.View();
    line.attempts = query.Int();
    line.subbands_present = query.Int();
    line.subbands_expected = query.Int();
    line.updated_at = query.Number();
    take(line);
  }
}

std::int64_t GroupStore::Count(const GroupQuery& selection) {
  Query query(impl_->db, "SELECT count(*) FROM groups" + Where(selection));
  query.Bind(selection.id_from, selection.id_before);
  query.Next();
  return query.Integer();
}

std::vector<SubbandFileRow> GroupStore::Files(std::string_view id) {
  Query query(impl_->db,
              "SELECT group_id, subband, path, size_bytes, mtime, checksum, status, seen_at FROM subband_files WHERE "
              "group_id = ? ORDER BY subband, path");
  query.Bind(id);
  std::vector<SubbandFileRow> rows;
  while (query.Next()) rows.push_back(ReadFile(query));
  return rows;
}

std::optional<SubbandFileRow> GroupStore::FindFile(std::string_view path) {
  Query query(impl_->db,
              "SELECT group_id, subband, path, size_bytes, mtime, checksum, status, seen_at FROM subband_files WHERE "
              "path = ? ORDER BY seen_at DESC LIMIT 1");
  query.Bind(path);
  if (!query.Next()) return std::nullopt;
  return ReadFile(query);
}

GroupSummary GroupStore::Summary() {
  GroupSummary summary;
  for (const GroupState state : AllGroupStates()) summary.counts.emplace_back(state, 0);
  impl_->db.Read([&] {
    Query counts(impl_->db, "SELECT state, count(*) FROM groups GROUP BY state");
    while (counts.Next()) {
      const GroupState state = ParseGroupState(counts.Text());
      summary.counts[static_cast<std::size_t>(state)].second = counts.Integer();
    }
    for (const GroupState state :
         {GroupState::kCollecting, GroupState::kReady, GroupState::kRunning, GroupState::kFailed}) {
      Query oldest(impl_->db, "SELECT id, first_file_at FROM groups WHERE state = ? ORDER BY id LIMIT 1");
      oldest.Bind(ToString(state));
      if (!oldest.Next()) continue;
      const std::string id = oldest.Text();
      if (!summary.oldest_unprocessed.empty() && summary.oldest_unprocessed <= id) continue;
      summary.oldest_unprocessed = id;
      summary.oldest_unprocessed_since = oldest.Number();
    }
    Query newest(impl_->db, "SELECT max(seen_at) FROM subband_files");
    newest.Next();
    summary.last_file_at = newest.OptionalNumber().value_or(0);
  });
  return summary;
}

std::int64_t GroupStore::CountFiles(std::string_view status) {
  Query query(impl_->db, "SELECT count(*) FROM subband_files WHERE status = ?");
  query.Bind(status);
  query.Next();
  return query.Integer();
}

void GroupStore::Transition(std::string_view id, GroupState to, const TransitionDetails& details, double now) {
  if (to == GroupState::kRunning) {
    throw Error(ErrorKind::kUsage, kStage, std::string(id), "a group becomes running only by being acquired");
  }
  impl_->db.Write([&] {
    GroupRow row = impl_->FindOrRefuse(id);
    if (!details.lease_owner.empty() && row.lease_owner != details.lease_owner) {
      throw Error(ErrorKind::kBusy, kStage, row.id,
                  fmt::format("expected the lease of {}, found {}", details.lease_owner,
                              row.lease_owner.empty() ? "none" : row.lease_owner));
    }
    impl_->Move(row, to, details, now);
  });
}

std::optional<GroupRow> GroupStore::AcquireNext(std::string_view owner, QueueOrder order, double lease_s, double now) {
  std::optional<GroupRow> taken;
  impl_->db.Write([&] {
    {
      Query query(impl_->db, order == QueueOrder::kNewest
                                 ? "SELECT " CONTIMG_GROUP_COLUMNS
                                   " FROM groups INDEXED BY groups_due_newest WHERE state IN ('ready', 'failed') AND "
                                   "next_attempt_at <= ? ORDER BY priority DESC, id DESC LIMIT 1"
                                 : "SELECT " CONTIMG_GROUP_COLUMNS
                                   " FROM groups INDEXED BY groups_due_oldest WHERE state IN ('ready', 'failed') AND "
                                   "next_attempt_at <= ? ORDER BY priority DESC, id ASC LIMIT 1");
      query.Bind(now);
      if (!query.Next()) return;
      taken = ReadGroup(query);
    }
    impl_->Lend(*taken, owner, lease_s, now);
  });
  return taken;
}

std::optional<GroupRow> GroupStore::Acquire(std::string_view id, std::string_view owner, double lease_s, double now) {
  std::optional<GroupRow> taken;
  impl_->db.Write([&] {
    auto row = impl_->Find(id);
    if (!row || (row->state != GroupState::kReady && row->state != GroupState::kFailed &&
                 row->state != GroupState::kAwaitingCalibration)) {
      return;
    }
    impl_->Lend(*row, owner, lease_s, now);
    taken = std::move(row);
  });
  return taken;
}

bool GroupStore::Heartbeat(std::string_view id, std::string_view owner, double lease_s, double now) {
  int changed = 0;
  impl_->db.Write([&] {
    Query query(impl_->db,
                "UPDATE groups SET lease_expires_at = ? WHERE id = ? AND state = 'running' AND lease_owner = ?");
    changed = query.Bind(now + lease_s, id, owner).Run();
  });
  return changed == 1;
}

bool GroupStore::SetProgress(std::string_view id, std::string_view owner, std::string_view stage, double progress,
                             double now) {
  int changed = 0;
  impl_->db.Write([&] {
    Query query(impl_->db,
                "UPDATE groups SET stage = ?, progress = ?, updated_at = ? WHERE id = ? AND state = 'running' AND "
                "lease_owner = ?");
    changed = query.Bind(stage, progress, now, id, owner).Run();
  });
  return changed == 1;
}

void GroupStore::SetExecutor(std::string_view id, std::string_view executor, std::string_view executor_id, double now) {
  impl_->db.Write([&] {
    impl_->FindOrRefuse(id);
    Query(impl_->db, "UPDATE groups SET executor = ?, executor_id = ?, updated_at = ? WHERE id = ?")
        .Bind(executor, executor_id, now, id)
        .Run();
  });
}

std::vector<std::string> GroupStore::ReclaimExpired(std::string_view actor, double now,
                                                    const std::set<std::string>& kept) {
  return impl_->Reclaim("SELECT " CONTIMG_GROUP_COLUMNS
                        " FROM groups WHERE state = 'running' AND ?1 = '' AND lease_expires_at <= ?2 ORDER BY id",
                        "", now, actor, "lease expired", now, kept);
}

std::vector<std::string> GroupStore::ReclaimOwned(std::string_view owner_prefix, std::string_view actor, double now,
                                                  const std::set<std::string>& kept) {
  return impl_->Reclaim("SELECT " CONTIMG_GROUP_COLUMNS
                        " FROM groups WHERE state = 'running' AND substr(lease_owner, 1, length(?1)) = ?1 AND "
                        "?2 >= 0 ORDER BY id",
                        owner_prefix, 0, actor, "owner is gone", now, kept);
}

std::vector<std::string> GroupStore::PullIn(double latest, std::string_view actor, double now) {
  std::vector<std::string> ids;
  impl_->db.Write([&] {
    {
      Query query(impl_->db, "SELECT id FROM groups WHERE state IN ('ready', 'failed') AND next_attempt_at > ?");
      query.Bind(latest);
      while (query.Next()) ids.push_back(query.Text());
    }
    for (const std::string& id : ids) {
      Query(impl_->db, "UPDATE groups SET next_attempt_at = ?, updated_at = ? WHERE id = ?").Bind(now, now, id).Run();
      impl_->AddEvent({0, now, id, "note", "", "", std::string(actor), "due now: the clock has been set back"});
    }
  });
  return ids;
}

std::optional<double> GroupStore::NextDue() {
  Query query(impl_->db,
              "SELECT next_attempt_at FROM groups WHERE state IN ('ready', 'failed') ORDER BY next_attempt_at LIMIT 1");
  if (!query.Next()) return std::nullopt;
  return query.Number();
}

std::int64_t GroupStore::AddEvent(const EventRow& event) {
  std::int64_t id = 0;
  impl_->db.Write([&] { id = impl_->AddEvent(event); });
  return id;
}

std::vector<EventRow> GroupStore::Events(std::string_view id, int limit) {
  Query query(impl_->db,
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

#undef CONTIMG_GROUP_COLUMNS

}  // namespace contimg::state
