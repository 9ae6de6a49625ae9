#include "state/cal_table_store.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <sstream>

#include "state/query.h"
#include "state/schema/schemas.h"
#include "state/stage_name.h"

namespace contimg::state {
namespace {

const std::string kSelect =
    "SELECT id, path, kind, interval, valid_from_mjd, valid_to_mjd, source_group, model, refant, status, reason, "
    "quality_json, flag_fractions_json, checksum, rests_on, registered_at, updated_at FROM tables ";

// Lists of numbers as JSON: "[3,7]".
template <typename Number>
std::string FormatList(const std::vector<Number>& numbers) {
  return fmt::format("[{}]", fmt::join(numbers, ","));
}
template <typename Number>
std::vector<Number> ParseList(const std::string& text) {
  std::vector<Number> numbers;
  std::istringstream in(text);
  in.get();
  for (Number number = 0; in >> number; in.get()) numbers.push_back(number);
  return numbers;
}

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
  row.rests_on = ParseList<std::int64_t>(query.Text());
  row.registered_at = query.Number();
  row.updated_at = query.Number();
  return row;
}

const std::string kSelectObservation =
    "SELECT group_id, mid_mjd, duration_s, ra_deg, dec_deg, longitude_deg, app_dec_deg, antennas, dish_m, "
    "baseline_deciles_m, integration_s, channel_width_hz, low_hz, high_hz, subbands FROM observations ";

GroupObservation ReadObservation(Query& query) {
  GroupObservation row;
  row.group_id = query.Text();
  row.mid_mjd = query.Number();
  row.duration_s = query.Number();
  row.ra_deg = query.Number();
  row.dec_deg = query.Number();
  row.longitude_deg = query.Number();
  row.app_dec_deg = query.Number();
  row.antennas = query.Int();
  row.dish_m = query.Number();
  row.baseline_deciles_m = ParseList<double>(query.Text());
  row.integration_s = query.Number();
  row.channel_width_hz = query.Number();
  row.low_hz = query.Number();
  row.high_hz = query.Number();
  row.subbands = query.Int();
  return row;
}

const std::string kSelectSolve =
    "SELECT id, group_id, mid_mjd, dec_deg, interval, model, predicted_snr, reason, outcome, detail, started_at, "
    "finished_at FROM solves ";

std::vector<SolveRow> ReadSolves(Query& query) {
  std::vector<SolveRow> rows;
  while (query.Next()) {
    SolveRow row;
    row.id = query.Integer();
    row.group_id = query.Text();
    row.mid_mjd = query.Number();
    row.dec_deg = query.Number();
    row.interval = query.Text();
    row.model = query.Text();
    row.predicted_snr = query.Number();
    row.reason = query.Text();
    row.outcome = query.Text();
    row.detail = query.Text();
    row.started_at = query.Number();
    row.finished_at = query.Number();
    rows.push_back(std::move(row));
  }
  return rows;
}

std::vector<CalTableRow> ReadTables(Query& query) {
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
    Query query(
        db_,
        "INSERT INTO tables (path, kind, interval, valid_from_mjd, valid_to_mjd, source_group, model, refant, "
        "status, reason, quality_json, flag_fractions_json, checksum, rests_on, registered_at, updated_at) VALUES "
        "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    query
        .Bind(row.path, row.kind, row.interval, row.valid_from_mjd, row.valid_to_mjd, row.source_group, row.model,
              row.refant, row.status, row.reason, row.quality_json, row.flag_fractions_json, row.checksum,
              FormatList(row.rests_on), now, now)
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
  return ReadTables(query);
}

std::vector<CalTableRow> CalTableStore::Near(std::string_view kind, double mjd, double margin_days) {
  Query query(db_, kSelect +
                       "WHERE kind = ?1 AND valid_from_mjd <= ?2 + ?3 AND valid_to_mjd > ?2 - ?3 ORDER BY kind, "
                       "valid_from_mjd, id");
  query.Bind(kind, mjd, margin_days);
  return ReadTables(query);
}

void CalTableStore::Supersede(std::int64_t id, double now) {
  int changed = 0;
  db_.Write([&] {
    Query query(db_,
                "UPDATE tables SET path = path || ' (replaced, table ' || id || ')', status = 'retired', reason = "
                "'its files were replaced by another solve', updated_at = ?1 WHERE id = ?2");
    changed = query.Bind(now, id).Run();
  });
  if (changed == 0) throw Error(ErrorKind::kUsage, kStage, fmt::format("table {}", id), "no such calibration table");
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
  return query.Bind(table_id).Texts();
}

void CalTableStore::SaveObservation(const GroupObservation& row) {
  db_.Write([&] {
    Query query(db_,
                "INSERT OR REPLACE INTO observations (group_id, mid_mjd, duration_s, ra_deg, dec_deg, longitude_deg, "
                "app_dec_deg, antennas, dish_m, baseline_deciles_m, integration_s, channel_width_hz, low_hz, high_hz, "
                "subbands) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    query
        .Bind(row.group_id, row.mid_mjd, row.duration_s, row.ra_deg, row.dec_deg, row.longitude_deg, row.app_dec_deg,
              row.antennas, row.dish_m, FormatList(row.baseline_deciles_m), row.integration_s, row.channel_width_hz,
              row.low_hz, row.high_hz, row.subbands)
        .Run();
  });
}

std::optional<GroupObservation> CalTableStore::Observation(std::string_view group_id) {
  Query query(db_, kSelectObservation + "WHERE group_id = ?");
  query.Bind(group_id);
  if (!query.Next()) return std::nullopt;
  return ReadObservation(query);
}

std::optional<GroupObservation> CalTableStore::LatestObservation() {
  Query query(db_, kSelectObservation + "ORDER BY mid_mjd DESC LIMIT 1");
  if (!query.Next()) return std::nullopt;
  return ReadObservation(query);
}

std::int64_t CalTableStore::AddSolve(const SolveRow& row) {
  std::int64_t id = 0;
  db_.Write([&] {
    Query query(db_,
                "INSERT INTO solves (group_id, mid_mjd, dec_deg, interval, model, predicted_snr, reason, outcome, "
                "detail, started_at, finished_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    query
        .Bind(row.group_id, row.mid_mjd, row.dec_deg, row.interval, row.model, row.predicted_snr, row.reason,
              row.outcome, row.detail, row.started_at, row.finished_at)
        .Run();
    id = db_.handle().getLastInsertRowid();
  });
  return id;
}

void CalTableStore::EndSolve(std::int64_t id, std::string_view outcome, std::string_view detail, double now) {
  if (outcome != "passed" && outcome != "failed" && outcome != "abandoned") {
    throw Error(ErrorKind::kUsage, kStage, std::string(outcome), "expected passed, failed or abandoned");
  }
  db_.Write([&] {
    Query query(db_, "UPDATE solves SET outcome = ?, detail = ?, finished_at = ? WHERE id = ? AND outcome = 'running'");
    query.Bind(outcome, detail, now, id).Run();
  });
}

std::vector<SolveRow> CalTableStore::SolvesOf(std::string_view group_id) {
  Query query(db_, kSelectSolve + "WHERE group_id = ? ORDER BY id");
  query.Bind(group_id);
  return ReadSolves(query);
}

std::vector<SolveRow> CalTableStore::Solves(double from_mjd, double to_mjd, bool running_only) {
  Query query(db_, kSelectSolve +
                       "WHERE mid_mjd >= ?1 AND mid_mjd < ?2 AND (?3 = 0 OR outcome = 'running') ORDER BY mid_mjd, id");
  query.Bind(from_mjd, to_mjd, running_only);
  return ReadSolves(query);
}

void CalTableStore::RecordDecision(const DecisionRow& row) {
  db_.Write([&] {
    Query query(db_, "INSERT OR REPLACE INTO decisions (group_id, action, reason, decided_at) VALUES (?, ?, ?, ?)");
    query.Bind(row.group_id, row.action, row.reason, row.decided_at).Run();
  });
}

std::optional<DecisionRow> CalTableStore::Decision(std::string_view group_id) {
  Query query(db_, "SELECT group_id, action, reason, decided_at FROM decisions WHERE group_id = ?");
  query.Bind(group_id);
  if (!query.Next()) return std::nullopt;
  DecisionRow row;
  row.group_id = query.Text();
  row.action = query.Text();
  row.reason = query.Text();
  row.decided_at = query.Number();
  return row;
}

std::int64_t CalTableStore::Revision() {
  // data_version changes with other connections' commits, total_changes with our own.
  Query query(db_, "PRAGMA data_version");
  if (!query.Next()) return 0;
  return (query.Integer() << 32) + db_.handle().getTotalChanges();
}

}  // namespace contimg::state
