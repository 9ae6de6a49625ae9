#include "state/group_store.h"

#include <fmt/format.h>

#include <utility>

#include "state/stage_name.h"
#include "state/work_columns.h"

namespace contimg::state {
namespace {

// The columns of GroupRow, in the order in which ReadGroup takes them.
#define CONTIMG_GROUP_COLUMNS \
  CONTIMG_WORK_COLUMNS ", subbands_present, subbands_expected, data_start_mjd, data_end_mjd, first_file_at"

GroupRow ReadGroup(Query& query) {
  GroupRow row;
  ReadWork(query, row);
  row.subbands_present = query.Int();
  row.subbands_expected = query.Int();
  row.data_start_mjd = query.Number();
  row.data_end_mjd = query.Number();
  row.first_file_at = query.Number();
  return row;
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

// The WHERE clause of a GroupQuery. State and error words come from enumerations, so they are written in place; ids are
// parameters 1 and 2.
std::string Where(const GroupQuery& query) {
  std::string where = " WHERE id >= ?1 AND (?2 = '' OR id < ?2)";
  if (!query.states.empty()) {
    std::vector<std::string> words;
    words.reserve(query.states.size());
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

GroupStore::GroupStore(const std::filesystem::path& path, const DatabaseOptions& options)
    : WorkTable(path, options, "groups", "group") {}

void GroupStore::Insert(const GroupRow& row) {
  Query query(database(), "INSERT INTO groups (" CONTIMG_GROUP_COLUMNS
                          ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  BindWork(query, row);
  query.Bind(row.subbands_present, row.subbands_expected, row.data_start_mjd, row.data_end_mjd, row.first_file_at)
      .Run();
}

std::optional<GroupRow> GroupStore::Find(std::string_view id) {
  Query query(database(), "SELECT " CONTIMG_GROUP_COLUMNS " FROM groups WHERE id = ?");
  query.Bind(id);
  if (!query.Next()) return std::nullopt;
  return ReadGroup(query);
}

void GroupStore::Create(const GroupRow& row, std::string_view actor, double now) {
  if (row.state == GroupState::kRunning) {
    throw Error(ErrorKind::kUsage, kStage, row.id, "a group cannot be created running: it must be acquired");
  }
  database().Write([&] {
    if (Find(row.id)) throw Error(ErrorKind::kUsage, kStage, row.id, "the group exists already");
    GroupRow fresh = row;
    fresh.created_at = fresh.updated_at = now;
    Insert(fresh);
    AddStateEvent(fresh, "", actor, "new group", now);
  });
}

bool GroupStore::AddFiles(const GroupRow& group, const std::vector<SubbandFileRow>& files, std::string_view actor,
                          double now) {
  bool is_new = false;
  database().Write([&] {
    if (!Find(group.id)) {
      is_new = true;
      Create(group, actor, now);
    }
    for (const SubbandFileRow& file : files) {
      Query query(database(),
                  "INSERT INTO subband_files (group_id, subband, path, size_bytes, mtime, checksum, status, seen_at) "
                  "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (group_id, subband, path) DO UPDATE SET "
                  "size_bytes = excluded.size_bytes, mtime = excluded.mtime, checksum = excluded.checksum, "
                  "status = excluded.status, seen_at = excluded.seen_at");
      query
          .Bind(group.id, file.subband, file.path, file.size_bytes, file.mtime, file.checksum, file.status,
                file.seen_at)
          .Run();
      AddEvent({0, now, group.id, "file", "", "", std::string(actor),
                fmt::format("sb{:02} {} {}", file.subband, file.status, file.path)});
    }
    Query count(database(),
                "UPDATE groups SET updated_at = ?1, subbands_present = (SELECT count(DISTINCT subband) FROM "
                "subband_files WHERE group_id = ?2 AND status = 'present') WHERE id = ?2");
    count.Bind(now, group.id).Run();
  });
  return is_new;
}

void GroupStore::Rename(std::string_view id, std::string_view new_id, std::string_view actor, double now) {
  if (id == new_id) return;
  database().Write([&] {
    const WorkRow row = FindOrRefuse(id);
    if (row.state != GroupState::kCollecting) {
      throw Error(ErrorKind::kUsage, kStage, row.id,
                  fmt::format("the id of a group in state {} is frozen", ToString(row.state)));
    }
    if (Find(new_id)) throw Error(ErrorKind::kUsage, kStage, std::string(new_id), "the group exists already");
    Query(database(), "UPDATE groups SET id = ?, updated_at = ? WHERE id = ?").Bind(new_id, now, id).Run();
    Query(database(), "UPDATE events SET group_id = ? WHERE group_id = ?").Bind(new_id, id).Run();
    AddEvent({0, now, std::string(new_id), "rename", "", "", std::string(actor), fmt::format("was {}", id)});
  });
}

void GroupStore::Mark(std::string_view id, std::string_view sentence, std::string_view actor, double now) {
  database().Write([&] {
    const WorkRow row = FindOrRefuse(id);
    if (row.state != GroupState::kDone) return;
    Query(database(), "UPDATE groups SET error = ?, updated_at = ? WHERE id = ?").Bind(sentence, now, id).Run();
    AddEvent({0, now, row.id, "marked", "", "", std::string(actor), std::string(sentence)});
  });
}

std::vector<GroupRow> GroupStore::List(const GroupQuery& selection) {
  Query query(database(), "SELECT " CONTIMG_GROUP_COLUMNS " FROM groups" + Where(selection) + Order(selection));
  query.Bind(selection.id_from, selection.id_before, selection.limit > 0 ? selection.limit : -1, selection.offset);
  std::vector<GroupRow> rows;
  while (query.Next()) rows.push_back(ReadGroup(query));
  return rows;
}

void GroupStore::ForEach(const GroupQuery& selection, const std::function<void(const GroupLine&)>& take) {
  Query query(database(),
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
  Query query(database(), "SELECT count(*) FROM groups" + Where(selection));
  query.Bind(selection.id_from, selection.id_before);
  query.Next();
  return query.Integer();
}

std::vector<SubbandFileRow> GroupStore::Files(std::string_view id) {
  Query query(database(),
              "SELECT group_id, subband, path, size_bytes, mtime, checksum, status, seen_at FROM subband_files WHERE "
              "group_id = ? ORDER BY subband, path");
  query.Bind(id);
  std::vector<SubbandFileRow> rows;
  while (query.Next()) rows.push_back(ReadFile(query));
  return rows;
}

std::optional<SubbandFileRow> GroupStore::FindFile(std::string_view path) {
  Query query(database(),
              "SELECT group_id, subband, path, size_bytes, mtime, checksum, status, seen_at FROM subband_files WHERE "
              "path = ? ORDER BY seen_at DESC LIMIT 1");
  query.Bind(path);
  if (!query.Next()) return std::nullopt;
  return ReadFile(query);
}

GroupSummary GroupStore::Summary() {
  GroupSummary summary;
  for (const GroupState state : AllGroupStates()) summary.counts.emplace_back(state, 0);
  database().Read([&] {
    Query counts(database(), "SELECT state, count(*) FROM groups GROUP BY state");
    while (counts.Next()) {
      const GroupState state = ParseGroupState(counts.Text());
      summary.counts[static_cast<std::size_t>(state)].second = counts.Integer();
    }
    for (const GroupState state :
         {GroupState::kCollecting, GroupState::kReady, GroupState::kRunning, GroupState::kFailed}) {
      Query oldest(database(), "SELECT id, first_file_at FROM groups WHERE state = ? ORDER BY id LIMIT 1");
      oldest.Bind(ToString(state));
      if (!oldest.Next()) continue;
      const std::string id = oldest.Text();
      if (!summary.oldest_unprocessed.empty() && summary.oldest_unprocessed <= id) continue;
      summary.oldest_unprocessed = id;
      summary.oldest_unprocessed_since = oldest.Number();
    }
    Query newest(database(), "SELECT max(seen_at) FROM subband_files");
    newest.Next();
    summary.last_file_at = newest.OptionalNumber().value_or(0);
  });
  return summary;
}

std::int64_t GroupStore::CountFiles(std::string_view status) {
  Query query(database(), "SELECT count(*) FROM subband_files WHERE status = ?");
  query.Bind(status);
  query.Next();
  return query.Integer();
}

std::optional<GroupRow> GroupStore::AcquireNext(std::string_view owner, QueueOrder order, double lease_s, double now) {
  std::optional<GroupRow> taken;
  database().Write([&] {
    if (const auto work = TakeNext(owner, order, lease_s, now)) taken = Find(work->id);
  });
  return taken;
}

std::optional<GroupRow> GroupStore::Acquire(std::string_view id, std::string_view owner, double lease_s, double now) {
  std::optional<GroupRow> taken;
  database().Write([&] {
    if (const auto work = Take(id, owner, lease_s, now)) taken = Find(work->id);
  });
  return taken;
}

#undef CONTIMG_GROUP_COLUMNS

}  // namespace contimg::state
