#include "state/source_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "state/mission.h"
#include "state/query.h"
#include "state/schema/schemas.h"
#include "state/sky_index.h"
#include "state/stage_name.h"

namespace contimg::state {
namespace {

const std::string kSourceColumns =
    "s.id, c.name, s.name, s.ra_deg, s.dec_deg, s.flux_jy, s.flux_error_jy, s.spectral_index, s.major_arcsec, "
    "s.minor_arcsec, s.position_angle_deg, s.source_id";
const std::string kSelectSources =
    "SELECT " + kSourceColumns + " FROM catalogue_sources s JOIN catalogues c ON c.id = s.catalogue_id";

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
  row.source_id = query.OptionalInteger();
  return row;
}

}  // namespace

SourceStore::SourceStore(const std::filesystem::path& path, const DatabaseOptions& options)
    : db_(path, MasterSourcesSchema(), options) {}

void SourceStore::Save(const std::vector<SourceRow>& rows) {
  db_.Write([&] {
    std::map<std::string, std::int64_t, std::less<>> catalogues;
    for (const SourceRow& row : rows) {
      RequireOnSky(row.name, row.ra_deg, row.dec_deg);
      auto catalogue = catalogues.find(row.catalogue);
      if (catalogue == catalogues.end()) {
        catalogue = catalogues.emplace(row.catalogue, CatalogueId(row.catalogue)).first;
      }
      std::int64_t id = 0;
      {
        Query query(db_,
                    "INSERT INTO catalogue_sources (catalogue_id, name, ra_deg, dec_deg, flux_jy, flux_error_jy, "
                    "spectral_index, major_arcsec, minor_arcsec, position_angle_deg) VALUES (?, ?, ?, ?, ?, ?, ?, ?, "
                    "?, ?) ON CONFLICT (catalogue_id, name) DO UPDATE SET ra_deg = excluded.ra_deg, dec_deg = "
                    "excluded.dec_deg, flux_jy = excluded.flux_jy, flux_error_jy = excluded.flux_error_jy, "
                    "spectral_index = excluded.spectral_index, major_arcsec = excluded.major_arcsec, minor_arcsec = "
                    "excluded.minor_arcsec, position_angle_deg = excluded.position_angle_deg RETURNING id");
        query.Bind(catalogue->second, row.name, row.ra_deg, row.dec_deg, row.flux_jy, row.flux_error_jy,
                   row.spectral_index, row.major_arcsec, row.minor_arcsec, row.position_angle_deg);
        query.Next();
        id = query.Integer();
      }
      const auto v = UnitVector(row.ra_deg, row.dec_deg);
      Query sky(db_, "INSERT OR REPLACE INTO catalogue_sources_sky VALUES (?1, ?2, ?2, ?3, ?3, ?4, ?4)");
      sky.Bind(id, v[0], v[1], v[2]).Run();
    }
  });
}

std::int64_t SourceStore::CatalogueId(const std::string& name) {
  {
    Query query(db_, "SELECT id FROM catalogues WHERE name = ?");
    query.Bind(name);
    if (query.Next()) return query.Integer();
  }
  CatalogueRow row;
  row.name = name;
  SaveCatalogue(row);
  return db_.handle().getLastInsertRowid();
}

void SourceStore::SaveCatalogue(const CatalogueRow& row) {
  db_.Write([&] {
    const std::int64_t mission = MissionId(db_, row.mission.empty() ? row.name : row.mission);
    Query query(
        db_,
        "INSERT INTO catalogues (mission_id, name, description, frequency_hz, file, sha256, imported_at) VALUES "
        "(?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET mission_id = excluded.mission_id, description = "
        "excluded.description, frequency_hz = excluded.frequency_hz, file = excluded.file, sha256 = "
        "excluded.sha256, imported_at = excluded.imported_at");
    query.Bind(mission, row.name, row.description, row.frequency_hz, row.file, row.sha256, row.imported_at).Run();
  });
}

std::optional<CatalogueRow> SourceStore::Catalogue(std::string_view name) {
  Query query(db_,
              "SELECT c.name, m.name, c.description, c.frequency_hz, c.file, c.sha256, c.imported_at, (SELECT count(*) "
              "FROM catalogue_sources s WHERE s.catalogue_id = c.id) FROM catalogues c JOIN missions m ON m.id = "
              "c.mission_id WHERE c.name = ?");
  query.Bind(name);
  if (!query.Next()) return std::nullopt;
  CatalogueRow row;
  row.name = query.Text();
  row.mission = query.Text();
  row.description = query.Text();
  row.frequency_hz = query.Number();
  row.file = query.Text();
  row.sha256 = query.Text();
  row.imported_at = query.Number();
  row.sources = query.Integer();
  return row;
}

std::int64_t SourceStore::RemoveCatalogue(std::string_view catalogue) {
  std::int64_t removed = 0;
  db_.Write([&] {
    const auto row = Catalogue(catalogue);
    if (!row) return;
    removed = row->sources;
    Query(db_, "DELETE FROM catalogues WHERE name = ?").Bind(catalogue).Run();
  });
  return removed;
}

std::vector<std::pair<std::string, std::int64_t>> SourceStore::Catalogues() {
  Query query(db_,
              "SELECT c.name, (SELECT count(*) FROM catalogue_sources s WHERE s.catalogue_id = c.id) AS n FROM "
              "catalogues c WHERE n > 0 ORDER BY c.name");
  std::vector<std::pair<std::string, std::int64_t>> all;
  while (query.Next()) {
    std::string name = query.Text();
    all.emplace_back(std::move(name), query.Integer());
  }
  return all;
}

std::optional<SourceRow> SourceStore::Find(std::int64_t id) {
  Query query(db_, kSelectSources + " WHERE s.id = ?");
  query.Bind(id);
  if (!query.Next()) return std::nullopt;
  return ReadSource(query);
}

std::optional<SourceRow> SourceStore::FindByName(std::string_view catalogue, std::string_view name) {
  Query query(db_, kSelectSources + " WHERE c.name = ? AND s.name = ?");
  query.Bind(catalogue, name);
  if (!query.Next()) return std::nullopt;
  return ReadSource(query);
}

std::vector<SourceRow> SourceStore::FindByName(std::string_view name) {
  Query query(db_, kSelectSources + " WHERE s.name = ? ORDER BY s.id");
  query.Bind(name);
  std::vector<SourceRow> rows;
  while (query.Next()) rows.push_back(ReadSource(query));
  return rows;
}

std::vector<ConeMatch> SourceStore::Cone(double ra_deg, double dec_deg, double radius_deg, std::string_view catalogue,
                                         double min_flux_jy) {
  const SkyBox box = BoxOfCone(ra_deg, dec_deg, radius_deg);
  Query query(db_, "SELECT " + kSourceColumns +
                       " FROM catalogue_sources_sky k CROSS JOIN catalogue_sources s ON s.id = k.id CROSS JOIN "
                       "catalogues c ON c.id = s.catalogue_id WHERE k.x_max >= ?1 AND k.x_min <= ?2 AND k.y_max >= ?3 "
                       "AND k.y_min <= "
                       "?4 AND k.z_max >= ?5 AND k.z_min <= ?6 AND s.flux_jy >= ?7 AND (?8 = '' OR c.name = ?8)");
  query.Bind(box.low[0], box.high[0], box.low[1], box.high[1], box.low[2], box.high[2], min_flux_jy, catalogue);
  std::vector<ConeMatch> matches;
  while (query.Next()) {
    ConeMatch match;
    match.source = ReadSource(query);
    match.separation_deg = SeparationDeg(ra_deg, dec_deg, match.source.ra_deg, match.source.dec_deg);
    if (match.separation_deg <= radius_deg) matches.push_back(std::move(match));
  }
  std::sort(matches.begin(), matches.end(), [](const ConeMatch& a, const ConeMatch& b) {
    return a.source.flux_jy != b.source.flux_jy ? a.source.flux_jy > b.source.flux_jy : a.source.id < b.source.id;
  });
  return matches;
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
