#include "state/source_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "config/units.h"
#include "state/query.h"
#include "state/schema/schemas.h"
#include "state/stage_name.h"

namespace contimg::state {
namespace {

const std::string kSourceColumns =
    "s.id, s.catalogue, s.name, s.ra_deg, s.dec_deg, s.flux_jy, s.flux_error_jy, s.spectral_index, s.major_arcsec, "
    "s.minor_arcsec, s.position_angle_deg";
const std::string kMeasurementColumns =
    "id, source_id, product_id, kind, mjd, flux_jy, error_jy, ra_deg, dec_deg, flags";
const std::string kLightCurveColumns =
    "source_id, count, first_mjd, last_mjd, mean_jy, std_jy, weighted_mean_jy, v, eta, updated_at";

SourceRow ReadSource(Query& query) {
  SourceRow row;
  row.id = query.Integer();
  row.catalogue = query.Text();
  row.name = query.Text();
  row.ra_deg = query.Number();
  row.dec_deg = query.Number();
  row.flux_jy = query.Number();
  row.flux_error_jy = query.Number();
  row.spectral_index = query.OptionalNumber();
  row.major_arcsec = query.Number();
  row.minor_arcsec = query.Number();
  row.position_angle_deg = query.Number();
  return row;
}

std::vector<MeasurementRow> ReadMeasurements(Query& query) {
  std::vector<MeasurementRow> rows;
  while (query.Next()) {
    MeasurementRow row;
    row.id = query.Integer();
    row.source_id = query.Integer();
    row.product_id = query.Integer();
    row.kind = query.Text();
    row.mjd = query.Number();
    row.flux_jy = query.Number();
    row.error_jy = query.Number();
    row.ra_deg = query.Number();
    row.dec_deg = query.Number();
    row.flags = query.Integer();
    rows.push_back(std::move(row));
  }
  return rows;
}

LightCurveRow ReadLightCurve(Query& query) {
  LightCurveRow row;
  row.source_id = query.Integer();
  row.count = query.Integer();
  row.first_mjd = query.Number();
  row.last_mjd = query.Number();
  row.mean_jy = query.Number();
  row.std_jy = query.Number();
  row.weighted_mean_jy = query.Number();
  row.v = query.Number();
  row.eta = query.Number();
  row.updated_at = query.Number();
  return row;
}

std::array<double, 3> UnitVector(double ra_deg, double dec_deg) {
  const double ra = Angle::Degrees(ra_deg).rad(), dec = Angle::Degrees(dec_deg).rad();
  return {std::cos(dec) * std::cos(ra), std::cos(dec) * std::sin(ra), std::sin(dec)};
}

void RequireOnSky(const std::string& what, double ra_deg, double dec_deg) {
  if (!(ra_deg >= 0 && ra_deg < 360 && std::abs(dec_deg) <= 90)) {
    throw Error(ErrorKind::kBadInput, kStage, what,
                fmt::format("expected RA in [0, 360) and Dec in [-90, 90] deg, found {} {}", ra_deg, dec_deg));
  }
}

}  // namespace

SourceStore::SourceStore(const std::filesystem::path& path, const DatabaseOptions& options)
    : db_(path, MasterSourcesSchema(), options) {}

void SourceStore::Save(const std::vector<SourceRow>& rows) {
  db_.Write([&] {
    for (const SourceRow& row : rows) {
      RequireOnSky(row.name, row.ra_deg, row.dec_deg);
      std::int64_t id = 0;
      {
        Query query(db_,
                    "INSERT INTO sources (catalogue, name, ra_deg, dec_deg, flux_jy, flux_error_jy, spectral_index, "
                    "major_arcsec, minor_arcsec, position_angle_deg) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT "
                    "(catalogue, name) DO UPDATE SET ra_deg = excluded.ra_deg, dec_deg = excluded.dec_deg, flux_jy = "
                    "excluded.flux_jy, flux_error_jy = excluded.flux_error_jy, spectral_index = "
                    "excluded.spectral_index, major_arcsec = excluded.major_arcsec, minor_arcsec = "
                    "excluded.minor_arcsec, position_angle_deg = excluded.position_angle_deg RETURNING id");
        query.Bind(row.catalogue, row.name, row.ra_deg, row.dec_deg, row.flux_jy, row.flux_error_jy, row.spectral_index,
                   row.major_arcsec, row.minor_arcsec, row.position_angle_deg);
        query.Next();
        id = query.Integer();
      }
      const auto v = UnitVector(row.ra_deg, row.dec_deg);
      Query sky(db_, "INSERT OR REPLACE INTO sources_sky VALUES (?1, ?2, ?2, ?3, ?3, ?4, ?4)");
      sky.Bind(id, v[0], v[1], v[2]).Run();
    }
  });
}

std::int64_t SourceStore::RemoveCatalogue(std::string_view catalogue) {
  int removed = 0;
  db_.Write([&] { removed = Query(db_, "DELETE FROM sources WHERE catalogue = ?").Bind(catalogue).Run(); });
  return removed;
}

std::vector<std::pair<std::string, std::int64_t>> SourceStore::Catalogues() {
  Query query(db_, "SELECT catalogue, count(*) FROM sources GROUP BY catalogue ORDER BY catalogue");
  std::vector<std::pair<std::string, std::int64_t>> all;
  while (query.Next()) {
    std::string name = query.Text();
    all.emplace_back(std::move(name), query.Integer());
  }
  return all;
}

std::optional<SourceRow> SourceStore::Find(std::int64_t id) {
  Query query(db_, "SELECT " + kSourceColumns + " FROM sources s WHERE id = ?");
  query.Bind(id);
  if (!query.Next()) return std::nullopt;
  return ReadSource(query);
}

std::optional<SourceRow> SourceStore::FindByName(std::string_view catalogue, std::string_view name) {
  Query query(db_, "SELECT " + kSourceColumns + " FROM sources s WHERE catalogue = ? AND name = ?");
  query.Bind(catalogue, name);
  if (!query.Next()) return std::nullopt;
  return ReadSource(query);
}

std::vector<ConeMatch> SourceStore::Cone(double ra_deg, double dec_deg, double radius_deg, std::string_view catalogue,
                                         double min_flux_jy) {
  RequireOnSky("cone", ra_deg, dec_deg);
  if (!(radius_deg >= 0 && radius_deg <= 90)) {
    throw Error(ErrorKind::kUsage, kStage, "cone",
                fmt::format("expected a radius of 0 to 90 deg, found {}", radius_deg));
  }
  // Half the side of the cube that holds the cap: its chord, and a hair for the rounding of the index.
  const auto centre = UnitVector(ra_deg, dec_deg);
  const double chord = 2 * std::sin(Angle::Degrees(radius_deg).rad() / 2) + 1e-6;
  Query query(db_, "SELECT " + kSourceColumns +
                       " FROM sources_sky k JOIN sources s ON s.id = k.id WHERE k.x_max >= ?1 AND k.x_min <= ?2 AND "
                       "k.y_max >= ?3 AND k.y_min <= ?4 AND k.z_max >= ?5 AND k.z_min <= ?6 AND s.flux_jy >= ?7 AND "
                       "(?8 = '' OR s.catalogue = ?8)");
  query.Bind(centre[0] - chord, centre[0] + chord, centre[1] - chord, centre[1] + chord, centre[2] - chord,
             centre[2] + chord, min_flux_jy, catalogue);
  const SkyDirection middle{Angle::Degrees(ra_deg), Angle::Degrees(dec_deg)};
  std::vector<ConeMatch> matches;
  while (query.Next()) {
    ConeMatch match;
    match.source = ReadSource(query);
    const SkyDirection at{Angle::Degrees(match.source.ra_deg), Angle::Degrees(match.source.dec_deg)};
    match.separation_deg = Separation(middle, at).deg();
    if (match.separation_deg <= radius_deg) matches.push_back(std::move(match));
  }
  std::sort(matches.begin(), matches.end(), [](const ConeMatch& a, const ConeMatch& b) {
    return a.source.flux_jy != b.source.flux_jy ? a.source.flux_jy > b.source.flux_jy : a.source.id < b.source.id;
  });
  return matches;
}

void SourceStore::SaveMeasurements(const std::vector<MeasurementRow>& rows) {
  db_.Write([&] {
    for (const MeasurementRow& row : rows) {
      Query query(db_,
                  "INSERT INTO measurements (source_id, product_id, kind, mjd, flux_jy, error_jy, ra_deg, dec_deg, "
                  "flags) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (source_id, product_id, kind) DO UPDATE SET "
                  "mjd = excluded.mjd, flux_jy = excluded.flux_jy, error_jy = excluded.error_jy, ra_deg = "
                  "excluded.ra_deg, dec_deg = excluded.dec_deg, flags = excluded.flags");
      query
          .Bind(row.source_id, row.product_id, row.kind, row.mjd, row.flux_jy, row.error_jy, row.ra_deg, row.dec_deg,
                row.flags)
          .Run();
    }
  });
}

std::vector<MeasurementRow> SourceStore::Measurements(std::int64_t source_id) {
  Query query(db_, "SELECT " + kMeasurementColumns + " FROM measurements WHERE source_id = ? ORDER BY mjd, id");
  query.Bind(source_id);
  return ReadMeasurements(query);
}

std::vector<MeasurementRow> SourceStore::MeasurementsOf(std::int64_t product_id) {
  Query query(db_, "SELECT " + kMeasurementColumns + " FROM measurements WHERE product_id = ? ORDER BY id");
  query.Bind(product_id);
  return ReadMeasurements(query);
}

void SourceStore::SaveLightCurves(const std::vector<LightCurveRow>& rows) {
  db_.Write([&] {
    for (const LightCurveRow& row : rows) {
      Query query(db_, "INSERT OR REPLACE INTO light_curves (" + kLightCurveColumns +
                           ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
      query
          .Bind(row.source_id, row.count, row.first_mjd, row.last_mjd, row.mean_jy, row.std_jy, row.weighted_mean_jy,
                row.v, row.eta, row.updated_at)
          .Run();
    }
  });
}

std::optional<LightCurveRow> SourceStore::LightCurve(std::int64_t source_id) {
  Query query(db_, "SELECT " + kLightCurveColumns + " FROM light_curves WHERE source_id = ?");
  query.Bind(source_id);
  if (!query.Next()) return std::nullopt;
  return ReadLightCurve(query);
}

std::vector<LightCurveRow> SourceStore::MostVariable(std::int64_t min_count, int limit) {
  Query query(
      db_, "SELECT " + kLightCurveColumns + " FROM light_curves WHERE count >= ? ORDER BY eta DESC, source_id LIMIT ?");
  query.Bind(min_count, limit > 0 ? limit : -1);
  std::vector<LightCurveRow> rows;
  while (query.Next()) rows.push_back(ReadLightCurve(query));
  return rows;
}

std::int64_t SourceStore::AddCandidate(const CandidateRow& row, double now) {
  RequireOnSky("candidate", row.ra_deg, row.dec_deg);
  std::int64_t id = 0;
  db_.Write([&] {
    Query query(db_,
                "INSERT INTO candidates (source_id, product_id, kind, mjd, ra_deg, dec_deg, flux_jy, error_jy, score, "
                "status, reviewer, note, created_at, reviewed_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    query
        .Bind(row.source_id, row.product_id, row.kind, row.mjd, row.ra_deg, row.dec_deg, row.flux_jy, row.error_jy,
              row.score, row.status, row.reviewer, row.note, now, row.reviewed_at)
        .Run();
    id = db_.handle().getLastInsertRowid();
  });
  return id;
}

void SourceStore::Review(std::int64_t id, std::string_view status, std::string_view reviewer, std::string_view note,
                         double now) {
  if (status != "new" && status != "confirmed" && status != "rejected") {
    throw Error(ErrorKind::kUsage, kStage, std::string(status), "expected new, confirmed or rejected");
  }
  int changed = 0;
  db_.Write([&] {
    Query query(db_, "UPDATE candidates SET status = ?, reviewer = ?, note = ?, reviewed_at = ? WHERE id = ?");
    changed = query.Bind(status, reviewer, note, now, id).Run();
  });
  if (changed == 0) throw Error(ErrorKind::kUsage, kStage, fmt::format("candidate {}", id), "no such candidate");
}

std::vector<CandidateRow> SourceStore::Candidates(std::string_view status) {
  Query query(
      db_,
      "SELECT id, source_id, product_id, kind, mjd, ra_deg, dec_deg, flux_jy, error_jy, score, status, reviewer, "
      "note, created_at, reviewed_at FROM candidates WHERE ?1 = '' OR status = ?1 ORDER BY score DESC, id");
  query.Bind(status);
  std::vector<CandidateRow> rows;
  while (query.Next()) {
    CandidateRow row;
    row.id = query.Integer();
    row.source_id = query.OptionalInteger();
    row.product_id = query.Integer();
    row.kind = query.Text();
    row.mjd = query.Number();
    row.ra_deg = query.Number();
    row.dec_deg = query.Number();
    row.flux_jy = query.Number();
    row.error_jy = query.Number();
    row.score = query.Number();
    row.status = query.Text();
    row.reviewer = query.Text();
    row.note = query.Text();
    row.created_at = query.Number();
    row.reviewed_at = query.Number();
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace contimg::state
