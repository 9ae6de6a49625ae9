#include "state/light_curve_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "state/instruments.h"
#include "state/observation_columns.h"
#include "state/observation_store.h"
#include "state/query.h"
#include "state/stage_name.h"

namespace contimg::state {
namespace {

#define CONTIMG_MEASUREMENT_COLUMNS                                                                              \
  "m.source_id, m.flux_jy, m.flux_error_jy, m.local_rms_jy, m.response, m.flags | t.flags, k.name, m.mjd, "      \
  "coalesce(d.lst_deg, f.lst_deg, 0), t.frequency_hz, t.scale, t.group_id FROM measurements m CROSS JOIN "       \
  "observations t ON "                                                                                           \
  "t.id = m.observation_id CROSS JOIN photometric_sources k ON k.id = m.kind LEFT JOIN observations_drift d ON " \
  "d.observation_id = t.id LEFT JOIN observations_tracking f ON f.observation_id = t.id"
#define CONTIMG_STATISTICS_COLUMNS                                                                                 \
  "s.source_id, k.name, s.level, s.n_before, s.reference_jy, s.sum_w, s.sum_wi, s.sum_wii, s.sum_i, s.sum_ii, "    \
  "s.before_min_jy, s.before_max_jy, s.before_vs, s.before_m, s.n, s.first_mjd, s.last_mjd, s.mean_jy, s.min_jy, " \
  "s.max_jy, s.eta, s.v, s.vs, s.m, s.p FROM light_curve_statistics s JOIN photometric_sources k ON k.id = s.kind"

QualityFlags ReadFlags(Query& query) { return static_cast<QualityFlags>(query.Integer()); }

std::vector<MeasurementRow> ReadMeasurements(Query& query) {
  std::vector<MeasurementRow> rows;
  while (query.Next()) {
    MeasurementRow row;
    row.source_id = query.Integer();
    row.flux_jy = query.Number();
    row.flux_error_jy = query.Number();
    row.local_rms_jy = query.Number();
    row.response = query.Number();
    row.flags = ReadFlags(query);
    row.kind = query.Text();
    row.mjd = query.Number();
    row.lst_deg = query.Number();
    row.frequency_hz = query.Number();
    row.scale = query.OptionalNumber();
    row.group_id = query.Text();
    rows.push_back(std::move(row));
  }
  return rows;
}

StatisticsRow ReadStatistics(Query& query) {
  StatisticsRow row;
  row.source_id = query.Integer();
  row.kind = query.Text();
  row.level = query.Text();
  row.before.n = query.Integer();
  for (double* value :
       {&row.before.reference_jy, &row.before.sum_w, &row.before.sum_wi, &row.before.sum_wii, &row.before.sum_i,
        &row.before.sum_ii, &row.before.min_jy, &row.before.max_jy, &row.before.vs, &row.before.m}) {
    *value = query.Number();
  }
  row.n = query.Integer();
  for (double* value : {&row.first_mjd, &row.last_mjd, &row.mean_jy, &row.min_jy, &row.max_jy, &row.eta, &row.v,
                        &row.vs, &row.m, &row.p}) {
    *value = query.Number();
  }
  return row;
}

void RequireTile(const ObservationRow& tile) {
  const auto bad = [&](const std::string& words) {
    return Error(ErrorKind::kBadInput, kStage, tile.group_id.empty() ? "tile" : tile.group_id, words);
  };
  if (tile.group_id.empty()) throw bad("a tile needs the name of its group");
  if (!std::isfinite(tile.mjd) || !(tile.duration_s >= 0)) throw bad("expected a time and a duration");
  if ((tile.ra_deg && !(*tile.ra_deg >= 0 && *tile.ra_deg < 360)) ||
      (tile.dec_deg && !(std::abs(*tile.dec_deg) <= 90))) {
    throw bad("expected a centre on the sky");
  }
  if (!(tile.lst_deg >= 0 && tile.lst_deg < 360)) {
    throw bad(fmt::format("expected a sidereal time of 0 to 360 deg, found {}", tile.lst_deg));
  }
  if (!(tile.frequency_hz > 0)) throw bad(fmt::format("expected a frequency, found {} Hz", tile.frequency_hz));
  for (const auto& width : {tile.beam_major_arcsec, tile.beam_minor_arcsec}) {
    if (width && !(*width > 0)) throw bad(fmt::format("expected a beam, found one of {} arcsec", *width));
  }
  if (tile.type != "tracking" && tile.type != "drift_tile") {
    throw bad(fmt::format("expected an observation of type drift_tile or tracking, found '{}'", tile.type));
  }
  if ((tile.type == "tracking") != tile.tracking.has_value())
    throw bad("what tracks has a target, and nothing else has");
  if (tile.tracking && tile.tracking->target.empty()) throw bad("expected the name of its target");
  if (tile.tracking && tile.tracking->exposure_s && !(*tile.tracking->exposure_s > 0)) {
    throw bad(fmt::format("expected an exposure above 0, found {} s", *tile.tracking->exposure_s));
  }
  if ((tile.step_s && !(*tile.step_s > 0)) || (tile.n_integrations && !(*tile.n_integrations > 0))) {
    throw bad("expected integrations that last");
  }
  if (tile.scale && !(*tile.scale > 0)) throw bad(fmt::format("expected a flux scale above 0, found {}", *tile.scale));
}

void RequireMeasurement(const ObservationRow& tile, const MeasurementRow& row) {
  if (std::isfinite(row.flux_jy) && row.flux_error_jy > 0 && std::isfinite(row.flux_error_jy) &&
      row.local_rms_jy >= 0 && row.response > 0) {
    return;
  }
  throw Error(ErrorKind::kBadInput, kStage, tile.group_id,
              fmt::format("source {}: expected a flux with an error above 0, a noise and a response above 0, found "
                          "{} +- {} Jy, {} Jy, {}",
                          row.source_id, row.flux_jy, row.flux_error_jy, row.local_rms_jy, row.response));
}

// What only observations of its type have.
void SaveTypeOf(Database& db, const ObservationRow& tile, std::int64_t id) {
  Query(db, "DELETE FROM observations_drift WHERE observation_id = ?").Bind(id).Run();
  Query(db, "DELETE FROM observations_tracking WHERE observation_id = ?").Bind(id).Run();
  if (tile.tracking) {
    Query(
        db,
        "INSERT INTO observations_tracking (observation_id, lst_deg, target, program, band, exposure_s) VALUES (?, ?, "
        "?, ?, ?, ?)")
        .Bind(id, tile.lst_deg, tile.tracking->target, tile.tracking->program, tile.tracking->band,
              tile.tracking->exposure_s)
        .Run();
  } else {
    Query(db, "INSERT INTO observations_drift (observation_id, lst_deg) VALUES (?, ?)").Bind(id, tile.lst_deg).Run();
  }
}

void SaveIntegrationFlags(Database& db, const ObservationRow& tile) {
  FlagArrayRow row;
  row.group_id = tile.group_id;
  row.flags = tile.integration_flags;
  if (row.flags.empty()) row.flags.resize(static_cast<std::size_t>(tile.n_integrations.value_or(1)));
  row.created_on = tile.recorded_at;
  ObservationStore(db).SaveFlags(row);
}

std::vector<std::int64_t> SourcesOf(Database& db, std::int64_t observation_id) {
  Query query(db, "SELECT DISTINCT source_id FROM measurements WHERE observation_id = ? ORDER BY source_id");
  return query.Bind(observation_id).Integers();
}

}  // namespace

std::int64_t LightCurveStore::KindId(std::string_view kind) {
  if (const auto known = kinds_.find(kind); known != kinds_.end()) return known->second;
  Query query(db_, "SELECT id FROM photometric_sources WHERE name = ?");
  query.Bind(kind);
  if (query.Next()) return kinds_.emplace(std::string(kind), query.Integer()).first->second;
  throw Error(ErrorKind::kUsage, kStage, std::string(kind), "there is no photometry of this name");
}

std::vector<std::int64_t> LightCurveStore::ReplaceTile(const ObservationRow& tile,
                                                       const std::vector<MeasurementRow>& rows) {
  RequireTile(tile);
  std::vector<std::int64_t> touched;
  db_.Write([&] {
    std::int64_t id = 0;
    const std::int64_t instrument = InstrumentId(db_, tile.instrument);
    {
      Query query(db_,
                  "INSERT INTO observations (type, instrument_id, group_id, mjd, duration_s, ra_deg, dec_deg, "
                  "frequency_hz, scale, scale_error, flags, recorded_at, beam_major_arcsec, beam_minor_arcsec, step_s, "
                  "n_integrations) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (group_id) DO "
                  "UPDATE SET "
                  "type = excluded.type, instrument_id = excluded.instrument_id, mjd = excluded.mjd, duration_s = "
                  "excluded.duration_s, ra_deg = excluded.ra_deg, dec_deg = excluded.dec_deg, frequency_hz = "
                  "excluded.frequency_hz, scale = excluded.scale, scale_error = excluded.scale_error, flags = "
                  "excluded.flags, recorded_at = excluded.recorded_at, beam_major_arcsec = excluded.beam_major_arcsec, "
                  "beam_minor_arcsec = excluded.beam_minor_arcsec, step_s = excluded.step_s, n_integrations = "
                  "excluded.n_integrations RETURNING id");
      query.Bind(tile.type, instrument, tile.group_id, tile.mjd, tile.duration_s, tile.ra_deg, tile.dec_deg,
                 tile.frequency_hz, tile.scale, tile.scale_error, static_cast<std::int64_t>(tile.flags),
                 tile.recorded_at, tile.beam_major_arcsec, tile.beam_minor_arcsec, tile.step_s, tile.n_integrations);
      query.Next();
      id = query.Integer();
    }
    SaveTypeOf(db_, tile, id);
    SaveIntegrationFlags(db_, tile);
    touched = SourcesOf(db_, id);
    Query(db_, "DELETE FROM measurements WHERE observation_id = ?").Bind(id).Run();
    for (const MeasurementRow& row : rows) {
      RequireMeasurement(tile, row);
      const std::int64_t kind = KindId(row.kind);
      {
        Query source(db_, "SELECT 1 FROM sources WHERE id = ?");
        source.Bind(row.source_id);
        if (!source.Next()) {
          throw Error(ErrorKind::kBadInput, kStage, tile.group_id, fmt::format("there is no source {}", row.source_id));
        }
      }
      Query insert(db_,
                   "INSERT INTO measurements (source_id, mjd, observation_id, kind, flux_jy, flux_error_jy, "
                   "local_rms_jy, response, flags) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING");
      insert.Bind(row.source_id, tile.mjd, id, kind, row.flux_jy, row.flux_error_jy, row.local_rms_jy, row.response,
                  static_cast<std::int64_t>(row.flags));
      if (insert.Run() != 1) {
        throw Error(ErrorKind::kBadInput, kStage, tile.group_id,
                    fmt::format("source {} was measured twice in this tile", row.source_id));
      }
      touched.push_back(row.source_id);
    }
  });
  std::sort(touched.begin(), touched.end());
  touched.erase(std::unique(touched.begin(), touched.end()), touched.end());
  return touched;
}

std::vector<std::int64_t> LightCurveStore::RemoveTile(std::string_view group_id) {
  std::vector<std::int64_t> touched;
  db_.Write([&] {
    const auto tile = Tile(group_id);
    if (!tile) return;
    touched = SourcesOf(db_, tile->id);
    Query(db_, "DELETE FROM observations WHERE id = ?").Bind(tile->id).Run();
  });
  return touched;
}

std::optional<ObservationRow> LightCurveStore::Tile(std::string_view group_id) {
  Query query(db_, "SELECT " CONTIMG_OBSERVATION_COLUMNS " WHERE t.group_id = ?");
  query.Bind(group_id);
  if (!query.Next()) return std::nullopt;
  return ReadObservation(query);
}

std::vector<ObservationRow> LightCurveStore::Tiles(double from_mjd, double to_mjd) {
  Query query(db_, "SELECT " CONTIMG_OBSERVATION_COLUMNS " WHERE t.mjd BETWEEN ? AND ? ORDER BY t.mjd, t.id");
  query.Bind(from_mjd, to_mjd);
  std::vector<ObservationRow> rows;
  while (query.Next()) rows.push_back(ReadObservation(query));
  return rows;
}

std::vector<MeasurementRow> LightCurveStore::MeasurementsOf(std::string_view group_id) {
  Query query(db_, "SELECT " CONTIMG_MEASUREMENT_COLUMNS
                   " WHERE m.observation_id = (SELECT id FROM observations WHERE group_id = ?) ORDER BY m.source_id, "
                   "m.kind");
  query.Bind(group_id);
  return ReadMeasurements(query);
}

std::vector<MeasurementRow> LightCurveStore::Measurements(std::int64_t source_id, std::string_view kind,
                                                          double from_mjd, double to_mjd) {
  Query query(db_, "SELECT " CONTIMG_MEASUREMENT_COLUMNS
                   " WHERE m.source_id = ? AND m.mjd BETWEEN ? AND ? AND k.name = ? ORDER BY m.mjd, m.observation_id");
  query.Bind(source_id, from_mjd, to_mjd, kind);
  return ReadMeasurements(query);
}

std::vector<TransitRow> LightCurveStore::Transits(std::int64_t source_id, std::string_view kind, double from_mjd,
                                                  double to_mjd) {
  const std::int64_t kind_id = KindId(kind);
  Query query(db_,
              "SELECT mjd, flux_jy, flux_error_jy, tiles, chi2, flags FROM transit_points WHERE source_id = ? AND "
              "kind = ? AND mjd BETWEEN ? AND ? ORDER BY mjd");
  query.Bind(source_id, kind_id, from_mjd, to_mjd);
  std::vector<TransitRow> rows;
  while (query.Next()) {
    TransitRow row;
    row.mjd = query.Number();
    row.flux_jy = query.Number();
    row.flux_error_jy = query.Number();
    row.tiles = query.Int();
    row.chi2 = query.Number();
    row.flags = ReadFlags(query);
    rows.push_back(row);
  }
  return rows;
}

void LightCurveStore::ReplaceTransits(std::int64_t source_id, std::string_view kind, double from_mjd, double to_mjd,
                                      const std::vector<TransitRow>& rows) {
  db_.Write([&] {
    const std::int64_t kind_id = KindId(kind);
    Query(db_, "DELETE FROM transit_points WHERE source_id = ? AND kind = ? AND mjd BETWEEN ? AND ?")
        .Bind(source_id, kind_id, from_mjd, to_mjd)
        .Run();
    for (const TransitRow& row : rows) {
      Query(db_, "INSERT INTO transit_points VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
          .Bind(source_id, kind_id, row.mjd, row.flux_jy, row.flux_error_jy, row.tiles, row.chi2,
                static_cast<std::int64_t>(row.flags))
          .Run();
    }
  });
}

std::optional<StatisticsRow> LightCurveStore::Statistics(std::int64_t source_id, std::string_view kind,
                                                         std::string_view level) {
  const std::int64_t kind_id = KindId(kind);
  Query query(db_, "SELECT " CONTIMG_STATISTICS_COLUMNS " WHERE s.source_id = ? AND s.kind = ? AND s.level = ?");
  query.Bind(source_id, kind_id, level);
  if (!query.Next()) return std::nullopt;
  return ReadStatistics(query);
}

void LightCurveStore::SaveStatistics(const StatisticsRow& row) {
  db_.Write([&] {
    const std::int64_t kind_id = KindId(row.kind);
    Query query(db_,
                "INSERT OR REPLACE INTO light_curve_statistics (source_id, kind, level, n_before, reference_jy, sum_w, "
                "sum_wi, sum_wii, sum_i, sum_ii, before_min_jy, before_max_jy, before_vs, before_m, n, first_mjd, "
                "last_mjd, mean_jy, min_jy, max_jy, eta, v, vs, m, p) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
                "?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    const SumsRow& b = row.before;
    query
        .Bind(row.source_id, kind_id, row.level, b.n, b.reference_jy, b.sum_w, b.sum_wi, b.sum_wii, b.sum_i, b.sum_ii,
              b.min_jy, b.max_jy, b.vs, b.m, row.n, row.first_mjd, row.last_mjd, row.mean_jy, row.min_jy, row.max_jy,
              row.eta, row.v, row.vs, row.m, row.p)
        .Run();
  });
}

void LightCurveStore::RemoveStatistics(std::int64_t source_id, std::string_view kind, std::string_view level) {
  db_.Write([&] {
    const std::int64_t kind_id = KindId(kind);
    Query(db_, "DELETE FROM light_curve_statistics WHERE source_id = ? AND kind = ? AND level = ?")
        .Bind(source_id, kind_id, level)
        .Run();
  });
}

std::vector<StatisticsRow> LightCurveStore::VariableSources(const VariableQuery& wanted) {
  const std::int64_t kind_id = KindId(wanted.kind);
  Query query(db_, "SELECT " CONTIMG_STATISTICS_COLUMNS
                   " WHERE s.kind = ? AND s.level = ? AND s.eta >= ? AND s.n >= ? AND s.v >= ? AND s.p <= ? AND "
                   "s.last_mjd >= ? ORDER BY s.eta DESC, s.source_id LIMIT ?");
  query.Bind(kind_id, wanted.level, wanted.min_eta, wanted.min_n, wanted.min_v, wanted.max_p, wanted.since_mjd,
             wanted.limit > 0 ? wanted.limit : -1);
  std::vector<StatisticsRow> rows;
  while (query.Next()) rows.push_back(ReadStatistics(query));
  return rows;
}

void LightCurveStore::ForEachBright(std::string_view kind, double min_snr, QualityFlags without,
                                    QualityFlags tiles_without,
                                    const std::function<void(std::int64_t, std::int64_t, double, double)>& take) {
  const std::int64_t kind_id = KindId(kind);
  Query query(db_,
              "SELECT m.source_id, m.observation_id, m.flux_jy, m.flux_error_jy FROM measurements m WHERE m.kind = ?1 "
              "AND m.flux_jy >= ?2 * m.flux_error_jy AND (m.flags & ?3) = 0 AND m.observation_id NOT IN (SELECT "
              "id FROM observations WHERE (flags & ?4) <> 0) ORDER BY m.source_id, m.mjd");
  query.Bind(kind_id, min_snr, static_cast<std::int64_t>(without), static_cast<std::int64_t>(tiles_without));
  while (query.Next()) {
    const std::int64_t source_id = query.Integer(), tile_id = query.Integer();
    const double flux_jy = query.Number(), flux_error_jy = query.Number();
    take(source_id, tile_id, flux_jy, flux_error_jy);
  }
}

void LightCurveStore::SaveComparison(const ObservationRow& tile) {
  db_.Write([&] {
    Query(db_, "UPDATE observations SET scale = ?, scale_error = ?, flags = ? WHERE id = ?")
        .Bind(tile.scale, tile.scale_error, static_cast<std::int64_t>(tile.flags), tile.id)
        .Run();
  });
}

std::vector<std::int64_t> LightCurveStore::MeasuredSources() {
  Query query(db_,
              "SELECT id FROM sources s WHERE EXISTS (SELECT 1 FROM measurements m WHERE m.source_id = s.id) ORDER BY "
              "id");
  return query.Integers();
}

std::vector<std::string> LightCurveStore::KindsOf(std::int64_t source_id) {
  Query query(db_,
              "SELECT k.name FROM photometric_sources k WHERE k.id IN (SELECT kind FROM measurements WHERE source_id = "
              "?) ORDER BY k.name");
  return query.Bind(source_id).Texts();
}

std::vector<std::string> LightCurveStore::Kinds() {
  Query query(db_, "SELECT name FROM photometric_sources ORDER BY id");
  return query.Texts();
}

void LightCurveStore::RemoveAllFigures() {
  db_.Write([&] {
    Query(db_, "DELETE FROM transit_points").Run();
    Query(db_, "DELETE FROM light_curve_statistics").Run();
  });
}

}  // namespace contimg::state
