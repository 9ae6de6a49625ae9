#include "state/cal_table_store.h"

#include <fmt/format.h>

#include "state/query.h"
#include "state/schema/schemas.h"

namespace contimg::state {
namespace {

constexpr const char* kStage = "state";
const std::string kSelect =
    "SELECT id, path, kind, interval, valid_from_mjd, valid_to_mjd, source_group, model, refant, status, reason, "
    "quality_json, flag_fractions_json, checksum, registered_at, updated_at FROM tables ";

CalTableRow ReadTable(Query& query) {
  CalTableRow row;
  row.id = query.Integer();
  row.path = query.Text();
  row.kind = query.Text();
  row.interval = query.Text();
  row.valid_from_mjd = query.Number();
  row.valid_to_mjd = query.Number();
  row.source_group = query.Text();
  row.model = query.Text();
  row.refant = query.Text();
  row.status = query.Text();
  row.reason = query.Text();
  row.quality_json = query.Text();
  row.flag_fractions_json = query.Text();
  row.checksum = query.Text();
  row.registered_at = query.Number();
  row.updated_at = query.Number();
  return row;
}

std::vector<CalTableRow> ReadAll(Query& query) {
  std::vector<CalTableRow> rows;
  while (query.Next()) rows.push_back(ReadTable(query));
  return rows;
}

}  // namespace

CalTableStore::CalTableStore(const std::filesystem::path& path, const DatabaseOptions& options)
    : db_(path, CalRegistrySchema(), options) {}

std::int64_t CalTableStore::Register(const CalTableRow& row, double now) {
  if (!(row.valid_to_mjd > row.valid_from_mjd)) {
    throw Error(ErrorKind::kUsage, kStage, row.path,
                fmt::format("expected a validity window, found MJD {} to {}", row.valid_from_mjd, row.valid_to_mjd));
  }
  std::int64_t id = 0;
  db_.Write([&] {
    if (FindByPath(row.path)) throw Error(ErrorKind::kUsage, kStage, row.path, "the table is registered already");
    Query query(db_,
                "INSERT INTO tables (path, kind, interval, valid_from_mjd, valid_to_mjd, source_group, model, refant, "
                "status, reason, quality_json, flag_fractions_json, checksum, registered_at, updated_at) VALUES (?, ?, "
                "?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    query
        .Bind(row.path, row.kind, row.interval, row.valid_from_mjd, row.valid_to_mjd, row.source_group, row.model,
              row.refant, row.status, row.reason, row.quality_json, row.flag_fractions_json, row.checksum, now, now)
        .Run();
    id = db_.handle().getLastInsertRowid();
  });
  return id;
}

void CalTableStore::SetStatus(std::int64_t id, std::string_view status, std::string_view reason, double now) {
  if (status != "active" && status != "retired" && status != "failed") {
    throw Error(ErrorKind::kUsage, kStage, std::string(status), "expected active, retired or failed");
  }
  int changed = 0;
  db_.Write([&] {
    Query query(db_, "UPDATE tables SET status = ?, reason = ?, updated_at = ? WHERE id = ?");
    changed = query.Bind(status, reason, now, id).Run();
  });
  if (changed == 0) throw Error(ErrorKind::kUsage, kStage, fmt::format("table {}", id), "no such calibration table");
}

std::optional<CalTableRow> CalTableStore::Find(std::int64_t id) {
  Query query(db_, kSelect + "WHERE id = ?");
  query.Bind(id);
  if (!query.Next()) return std::nullopt;
  return ReadTable(query);
}

std::optional<CalTableRow> CalTableStore::FindByPath(std::string_view path) {
  Query query(db_, kSelect + "WHERE path = ?");
  query.Bind(path);
  if (!query.Next()) return std::nullopt;
  return ReadTable(query);
}

std::vector<CalTableRow> CalTableStore::List(const CalTableQuery& selection) {
  Query query(db_, kSelect +
                       "WHERE (?1 = '' OR kind = ?1) AND (?2 = '' OR status = ?2) AND (?3 IS NULL OR (valid_from_mjd "
                       "<= ?3 AND ?3 < valid_to_mjd)) AND (?4 IS NULL OR valid_to_mjd > ?4) AND (?5 IS NULL OR "
                       "valid_from_mjd < ?5) ORDER BY kind, valid_from_mjd, id LIMIT ?6");
  query.Bind(selection.kind, selection.status, selection.covering_mjd, selection.from_mjd, selection.before_mjd,
             selection.limit > 0 ? selection.limit : -1);
  return ReadAll(query);
}

std::vector<CalTableRow> CalTableStore::Near(std::string_view kind, double mjd, double margin_days) {
  Query query(db_, kSelect +
                       "WHERE kind = ?1 AND valid_from_mjd <= ?2 + ?3 AND valid_to_mjd > ?2 - ?3 ORDER BY kind, "
                       "valid_from_mjd, id");
  query.Bind(kind, mjd, margin_days);
  return ReadAll(query);
}

void CalTableStore::RecordChoice(const CalChoiceRow& row) {
  db_.Write([&] {
    Query query(db_,
                "INSERT INTO choices (group_id, kind, table_id, reason, chosen_at) VALUES (?, ?, ?, ?, ?) ON CONFLICT "
                "(group_id, kind) DO UPDATE SET table_id = excluded.table_id, reason = excluded.reason, chosen_at = "
                "excluded.chosen_at");
    query.Bind(row.group_id, row.kind, row.table_id, row.reason, row.chosen_at).Run();
  });
}

std::vector<CalChoiceRow> CalTableStore::Choices(std::string_view group_id) {
  Query query(db_, "SELECT group_id, kind, table_id, reason, chosen_at FROM choices WHERE group_id = ? ORDER BY kind");
  query.Bind(group_id);
  std::vector<CalChoiceRow> rows;
  while (query.Next()) {
    CalChoiceRow row;
    row.group_id = query.Text();
    row.kind = query.Text();
    row.table_id = query.OptionalInteger();
    row.reason = query.Text();
    row.chosen_at = query.Number();
    rows.push_back(std::move(row));
  }
  return rows;
}

std::vector<std::string> CalTableStore::GroupsUsing(std::int64_t table_id) {
  Query query(db_, "SELECT DISTINCT group_id FROM choices WHERE table_id = ? ORDER BY group_id");
  query.Bind(table_id);
  std::vector<std::string> groups;
  while (query.Next()) groups.push_back(query.Text());
  return groups;
}

}  // namespace contimg::state
