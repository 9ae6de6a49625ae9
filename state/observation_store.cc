#include "state/observation_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "state/observation_columns.h"
#include "state/query.h"
#include "state/stage_name.h"

namespace contimg::state {
namespace {

struct Recorded {
  std::int64_t id = 0;
  std::optional<std::int64_t> n_integrations;
};

Recorded RecordedObservation(Database& db, std::string_view group_id) {
  Query query(db, "SELECT id, n_integrations FROM observations WHERE group_id = ?");
  query.Bind(group_id);
  if (!query.Next()) throw Error(ErrorKind::kUsage, kStage, std::string(group_id), "no such observation is on record");
  Recorded found;
  found.id = query.Integer();
  found.n_integrations = query.OptionalInteger();
  return found;
}

std::string AxesJson(const std::vector<std::int64_t>& axes) { return fmt::format("[{}]", fmt::join(axes, ",")); }

std::vector<std::int64_t> AxesOf(std::string_view json) {
  std::vector<std::int64_t> axes;
  std::int64_t value = -1;
  for (const char c : json) {
    if (c >= '0' && c <= '9') {
      value = std::max<std::int64_t>(value, 0) * 10 + (c - '0');
    } else if (value >= 0) {
      axes.push_back(std::exchange(value, -1));
    }
  }
  return axes;
}

}  // namespace

std::vector<ObservationRow> ObservationStore::List(const ObservationQuery& wanted) {
  double mjd = -1e9;
  std::int64_t id = 0;
  if (!wanted.after.empty()) {
    Query query(db_, "SELECT mjd, id FROM observations WHERE group_id = ?");
    query.Bind(wanted.after);
    if (!query.Next()) {
      throw Error(ErrorKind::kUsage, kStage, wanted.after, "the list cannot go on behind it: no such observation");
    }
    mjd = query.Number();
    id = query.Integer();
  }
  Query query(db_,
              "SELECT " CONTIMG_OBSERVATION_COLUMNS
              " WHERE t.mjd >= ?1 AND (t.mjd > ?1 OR t.id > ?2) AND t.mjd BETWEEN ?3 AND ?4 AND (?5 = '' OR t.type = "
              "?5) AND (?6 = '' OR i.name = ?6) AND (?7 = '' OR k.target = ?7) ORDER BY t.mjd, t.id LIMIT ?8");
  query.Bind(mjd, id, wanted.from_mjd, wanted.to_mjd, wanted.type, wanted.instrument, wanted.target, wanted.limit);
  std::vector<ObservationRow> rows;
  while (query.Next()) rows.push_back(ReadObservation(query));
  return rows;
}

void ObservationStore::ReplaceFrames(std::string_view group_id, const std::vector<FrameRow>& rows) {
  db_.Write([&] {
    const std::int64_t id = RecordedObservation(db_, group_id).id;
    std::vector<std::int64_t> kept;
    for (const FrameRow& row : rows) {
      Query insert(
          db_,
          "INSERT INTO fits_frames (type, cadence, observation_id, path, simple, bitpix, naxis, "
          "naxis_values_json, extended, bscale, bzero) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT "
          "(type, cadence, observation_id) DO UPDATE SET path = excluded.path, simple = excluded.simple, bitpix "
          "= excluded.bitpix, naxis = excluded.naxis, naxis_values_json = excluded.naxis_values_json, extended = "
          "excluded.extended, bscale = excluded.bscale, bzero = excluded.bzero RETURNING id");
      insert.Bind(row.type, row.cadence, id, row.path, row.simple, row.bitpix,
                  static_cast<std::int64_t>(row.axes.size()), AxesJson(row.axes), row.extended, row.bscale, row.bzero);
      insert.Next();
      kept.push_back(insert.Integer());
      if (std::count(kept.begin(), kept.end(), kept.back()) > 1) {
        throw Error(ErrorKind::kBadInput, kStage, std::string(group_id),
                    fmt::format("has two frames {} of the type {}", row.cadence, row.type));
      }
    }
    Query before(db_, "SELECT id FROM fits_frames WHERE observation_id = ?");
    for (const std::int64_t each : before.Bind(id).Integers()) {
      if (std::find(kept.begin(), kept.end(), each) != kept.end()) continue;
      Query(db_, "DELETE FROM fits_frames WHERE id = ?").Bind(each).Run();
    }
  });
}

std::vector<FrameRow> ObservationStore::Frames(const FrameQuery& wanted) {
  Query query(
      db_,
      "SELECT f.id, f.type, f.role, f.cadence, f.path, f.simple, f.bitpix, f.naxis_values_json, f.extended, "
      "f.bscale, f.bzero, t.group_id FROM fits_frames f JOIN observations t ON t.id = f.observation_id WHERE f.id "
      "> ?1 AND (?2 = '' OR f.observation_id = (SELECT id FROM observations WHERE group_id = ?2)) AND (?3 = '' OR "
      "f.type = ?3) AND (?4 = '' OR f.role = ?4) ORDER BY f.id LIMIT ?5");
  query.Bind(wanted.after, wanted.group_id, wanted.type, wanted.role, wanted.limit);
  std::vector<FrameRow> rows;
  while (query.Next()) {
    FrameRow& row = rows.emplace_back();
    row.id = query.Integer();
    row.type = query.Text();
    row.role = query.Text();
    row.cadence = query.Integer();
    row.path = query.Text();
    row.simple = query.Flag();
    row.bitpix = query.Int();
    row.axes = AxesOf(query.View());
    row.extended = query.Flag();
    row.bscale = query.Number();
    row.bzero = query.Number();
    row.group_id = query.Text();
  }
  return rows;
}

std::vector<std::pair<std::int64_t, std::string>> ObservationStore::WithoutFrames(std::int64_t after, int limit) {
  Query query(db_,
              "SELECT id, group_id FROM observations t WHERE id > ? AND NOT EXISTS (SELECT 1 FROM fits_frames f WHERE "
              "f.observation_id = t.id) ORDER BY id LIMIT ?");
  query.Bind(after, limit);
  std::vector<std::pair<std::int64_t, std::string>> rows;
  while (query.Next()) {
    const std::int64_t id = query.Integer();
    rows.emplace_back(id, query.Text());
  }
  return rows;
}

void ObservationStore::SaveFlags(const FlagArrayRow& row) {
  db_.Write([&] {
    const Recorded observation = RecordedObservation(db_, row.group_id);
    const auto n = static_cast<std::int64_t>(row.flags.size());
    if (n == 0 || n != observation.n_integrations.value_or(n)) {
      throw Error(
          ErrorKind::kBadInput, kStage, row.group_id,
          fmt::format("expected flags of {} integrations, found {}", observation.n_integrations.value_or(1), n));
    }
    Query(db_,
          "INSERT INTO quality_flag_arrays (type, observation_id, source_id, flags, created_on) VALUES (?, ?, ?, ?, ?) "
          "ON "
          "CONFLICT (type, observation_id) WHERE source_id IS NULL DO UPDATE SET flags = excluded.flags, created_on = "
          "excluded.created_on ON CONFLICT (type, observation_id, source_id) WHERE source_id IS NOT NULL DO UPDATE SET "
          "flags = excluded.flags, created_on = excluded.created_on")
        .Bind(row.type, observation.id, row.source_id,
              Blob{{reinterpret_cast<const char*>(row.flags.data()), row.flags.size() * sizeof(QualityFlags)}},
              row.created_on)
        .Run();
  });
}

std::vector<FlagArrayRow> ObservationStore::Flags(std::string_view group_id) {
  Query query(
      db_,
      "SELECT a.type, a.source_id, a.flags, t.flags, a.created_on FROM observations t JOIN quality_flag_arrays a "
      "ON a.observation_id = t.id WHERE t.group_id = ? ORDER BY a.source_id NULLS FIRST, a.type");
  query.Bind(group_id);
  std::vector<FlagArrayRow> rows;
  while (query.Next()) {
    FlagArrayRow& row = rows.emplace_back();
    row.type = query.Text();
    row.group_id = group_id;
    row.source_id = query.OptionalInteger();
    const std::string_view bytes = query.Bytes();
    row.flags.resize(bytes.size() / sizeof(QualityFlags));
    std::memcpy(row.flags.data(), bytes.data(), row.flags.size() * sizeof(QualityFlags));
    const auto of_all = static_cast<QualityFlags>(query.Integer());
    for (QualityFlags& word : row.flags) word |= of_all;
    row.created_on = query.Number();
  }
  return rows;
}

}  // namespace contimg::state
