#include "state/own_source_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "state/query.h"
#include "state/sky_index.h"

namespace contimg::state {
namespace {

#define CONTIMG_OWN_SOURCE_COLUMNS                                                                         \
  "o.id, o.name, o.ra_deg, o.dec_deg, o.ra_error_arcsec, o.dec_error_arcsec, o.flux_jy, o.flux_error_jy, " \
  "o.spectral_index, o.origin, o.made_at, o.place_version"

OwnSourceRow ReadOwnSource(Query& query) {
  OwnSourceRow row;
  row.id = query.Integer();
  row.name = query.Text();
  row.ra_deg = query.Number();
  row.dec_deg = query.Number();
  row.ra_error_arcsec = query.Number();
  row.dec_error_arcsec = query.Number();
  row.flux_jy = query.Number();
  row.flux_error_jy = query.Number();
  row.spectral_index = query.OptionalNumber();
  row.origin = query.Text();
  row.made_at = query.Number();
  row.place_version = query.Integer();
  return row;
}

std::optional<OwnSourceRow> FirstOf(Query& query) {
  if (!query.Next()) return std::nullopt;
  return ReadOwnSource(query);
}

}  // namespace

std::string NameOfPlace(double ra_deg, double dec_deg) {
  // A hair against decimal fractions that lie just below their mark: 1e-7 of the last digit.
  const auto tenths = static_cast<std::int64_t>(std::floor(ra_deg * 2400 + 1e-7)) % 864000;
  const auto seconds = static_cast<std::int64_t>(std::floor(std::abs(dec_deg) * 3600 + 1e-7));
  return fmt::format("DSA J{:02}{:02}{:02}.{}{}{:02}{:02}{:02}", tenths / 36000, tenths / 600 % 60, tenths / 10 % 60,
                     tenths % 10, dec_deg < 0 ? '-' : '+', seconds / 3600, seconds / 60 % 60, seconds % 60);
}

OwnSourceRow OwnSourceStore::Add(const OwnSourceRow& wanted) {
  RequireOnSky(wanted.name.empty() ? "source" : wanted.name, wanted.ra_deg, wanted.dec_deg);
  OwnSourceRow row = wanted;
  db_.Write([&] {
    if (row.name.empty()) row.name = NameOfPlace(row.ra_deg, row.dec_deg);
    for (const std::string plain = row.name; FindByName(row.name);) {
      const char letter = row.name == plain ? 'a' : static_cast<char>(row.name.back() + 1);
      if (letter > 'z') {
        throw Error(ErrorKind::kBadInput, kStage, plain, "there are 27 sources at this place already");
      }
      row.name = plain + letter;
    }
    {
      Query query(db_,
                  "INSERT INTO sources (name, ra_deg, dec_deg, ra_error_arcsec, dec_error_arcsec, flux_jy, "
                  "flux_error_jy, spectral_index, origin, made_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id");
      query.Bind(row.name, row.ra_deg, row.dec_deg, row.ra_error_arcsec, row.dec_error_arcsec, row.flux_jy,
                 row.flux_error_jy, row.spectral_index, row.origin, row.made_at);
      query.Next();
      row.id = query.Integer();
    }
    const auto v = UnitVector(row.ra_deg, row.dec_deg);
    Query(db_, "INSERT INTO sources_sky VALUES (?1, ?2, ?2, ?3, ?3, ?4, ?4)").Bind(row.id, v[0], v[1], v[2]).Run();
  });
  return row;
}

void OwnSourceStore::Move(std::int64_t id, double ra_deg, double dec_deg, double ra_error_arcsec,
                          double dec_error_arcsec, std::int64_t place_version) {
  RequireOnSky(fmt::format("source {}", id), ra_deg, dec_deg);
  const auto v = UnitVector(ra_deg, dec_deg);
  db_.Write([&] {
    Query(db_,
          "UPDATE sources SET ra_deg = ?, dec_deg = ?, ra_error_arcsec = ?, dec_error_arcsec = ?, place_version = ? "
          "WHERE id = ?")
        .Bind(ra_deg, dec_deg, ra_error_arcsec, dec_error_arcsec, place_version, id)
        .Run();
    Query(db_,
          "UPDATE sources_sky SET x_min = ?2, x_max = ?2, y_min = ?3, y_max = ?3, z_min = ?4, z_max = ?4 WHERE id = ?1")
        .Bind(id, v[0], v[1], v[2])
        .Run();
  });
}

std::int64_t OwnSourceStore::AddPlaceVersion(const PlaceVersionRow& row) {
  Query query(db_,
              "INSERT INTO place_versions (made_at, mosaic, strip_deg, lst_start_h, tiles) VALUES (?, ?, ?, ?, ?) "
              "RETURNING version");
  query.Bind(row.made_at, row.mosaic, row.strip_deg, row.lst_start_h, row.tiles);
  query.Next();
  return query.Integer();
}

std::vector<PlaceVersionRow> OwnSourceStore::PlaceVersions() {
  Query query(db_,
              "SELECT version, made_at, mosaic, strip_deg, lst_start_h, tiles FROM place_versions ORDER BY version");
  std::vector<PlaceVersionRow> rows;
  while (query.Next()) {
    PlaceVersionRow& row = rows.emplace_back();
    row.version = query.Integer();
    row.made_at = query.Number();
    row.mosaic = query.Text();
    row.strip_deg = query.Number();
    row.lst_start_h = query.Number();
    row.tiles = query.Int();
  }
  return rows;
}

std::optional<OwnSourceRow> OwnSourceStore::Find(std::int64_t id) {
  Query query(db_, "SELECT " CONTIMG_OWN_SOURCE_COLUMNS " FROM sources o WHERE o.id = ?");
  query.Bind(id);
  return FirstOf(query);
}

std::optional<OwnSourceRow> OwnSourceStore::FindByName(std::string_view name) {
  Query query(db_, "SELECT " CONTIMG_OWN_SOURCE_COLUMNS " FROM sources o WHERE o.name = ?");
  query.Bind(name);
  return FirstOf(query);
}

std::vector<OwnSourceRow> OwnSourceStore::Near(double ra_deg, double dec_deg, double radius_deg) {
  const SkyBox box = BoxOfCone(ra_deg, dec_deg, radius_deg);
  Query query(db_,
              "SELECT " CONTIMG_OWN_SOURCE_COLUMNS
              " FROM sources_sky k CROSS JOIN sources o ON o.id = k.id WHERE k.x_max >= ? AND k.x_min <= ? AND k.y_max "
              ">= ? AND k.y_min <= ? AND k.z_max >= ? AND k.z_min <= ?");
  query.Bind(box.low[0], box.high[0], box.low[1], box.high[1], box.low[2], box.high[2]);
  std::vector<std::pair<double, OwnSourceRow>> found;
  while (query.Next()) {
    OwnSourceRow row = ReadOwnSource(query);
    const double separation_deg = SeparationDeg(ra_deg, dec_deg, row.ra_deg, row.dec_deg);
    if (separation_deg <= radius_deg) found.emplace_back(separation_deg, std::move(row));
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first < b.first : a.second.id < b.second.id;
  });
  std::vector<OwnSourceRow> rows;
  rows.reserve(found.size());
  for (auto& each : found) rows.push_back(std::move(each.second));
  return rows;
}

std::optional<OwnSourceRow> OwnSourceStore::Called(std::string_view name) {
  if (const auto own = FindByName(name)) return own;
  std::vector<std::pair<double, double>> places;
  {
    Query query(db_, "SELECT source_id, ra_deg, dec_deg FROM catalogue_sources WHERE name = ? ORDER BY id");
    query.Bind(name);
    while (query.Next()) {
      if (const auto id = query.OptionalInteger()) return Find(*id);
      const double ra_deg = query.Number();
      places.emplace_back(ra_deg, query.Number());
    }
  }
  for (const auto& [ra_deg, dec_deg] : places) {
    auto near = Near(ra_deg, dec_deg, Angle::Arcsec(kSamePlaceArcsec).deg());
    if (!near.empty()) return std::move(near.front());
  }
  return std::nullopt;
}

OwnSourceRow OwnSourceStore::AtPlace(double ra_deg, double dec_deg, const OwnSourceRow& fresh, double now, bool* made) {
  const double radius_deg = Angle::Arcsec(kSamePlaceArcsec).deg();
  OwnSourceRow row;
  db_.Write([&] {
    auto near = Near(ra_deg, dec_deg, radius_deg);
    if (made != nullptr) *made = near.empty();
    if (!near.empty()) {
      row = std::move(near.front());
      return;
    }
    const SkyBox box = BoxOfCone(ra_deg, dec_deg, radius_deg);
    std::optional<std::int64_t> listed;
    double nearest_deg = radius_deg;
    {
      Query query(db_,
                  "SELECT c.id, c.ra_deg, c.dec_deg FROM catalogue_sources_sky k CROSS JOIN catalogue_sources c ON "
                  "c.id = k.id WHERE k.x_max >= ? AND k.x_min <= ? AND k.y_max >= ? AND k.y_min <= ? AND k.z_max >= ? "
                  "AND k.z_min <= ? ORDER BY c.id");
      query.Bind(box.low[0], box.high[0], box.low[1], box.high[1], box.low[2], box.high[2]);
      while (query.Next()) {
        const std::int64_t id = query.Integer();
        const double other_ra_deg = query.Number(), other_dec_deg = query.Number();
        const double separation_deg = SeparationDeg(ra_deg, dec_deg, other_ra_deg, other_dec_deg);
        if (separation_deg > nearest_deg) continue;
        nearest_deg = separation_deg;
        listed = id;
      }
    }
    if (listed) {
      row = Identify(*listed, now);
      return;
    }
    row = fresh;
    row.ra_deg = ra_deg;
    row.dec_deg = dec_deg;
    row.made_at = now;
    row = Add(row);
  });
  return row;
}

OwnSourceRow OwnSourceStore::Identify(std::int64_t catalogue_source_id, double now) {
  OwnSourceRow row;
  db_.Write([&] {
    std::optional<std::int64_t> known;
    {
      Query query(db_,
                  "SELECT source_id, ra_deg, dec_deg, flux_jy, flux_error_jy, spectral_index FROM catalogue_sources "
                  "WHERE id = ?");
      query.Bind(catalogue_source_id);
      if (!query.Next()) {
        throw Error(ErrorKind::kUsage, kStage, fmt::format("source {}", catalogue_source_id),
                    "no catalogue has this source");
      }
      known = query.OptionalInteger();
      if (!known) {
        row.ra_deg = query.Number();
        row.dec_deg = query.Number();
        row.flux_jy = query.Number();
        row.flux_error_jy = query.Number();
        row.spectral_index = query.OptionalNumber();
      }
    }
    if (known) {
      row = *Find(*known);
      return;
    }
    const auto near = Near(row.ra_deg, row.dec_deg, Angle::Arcsec(kSamePlaceArcsec).deg());
    if (!near.empty()) {
      row = near.front();
    } else {
      row.origin = "catalogue";
      row.made_at = now;
      row = Add(row);
    }
    Query(db_, "UPDATE catalogue_sources SET source_id = ? WHERE id = ?").Bind(row.id, catalogue_source_id).Run();
  });
  return row;
}

std::vector<std::string> OwnSourceStore::NamesElsewhere(std::int64_t id) {
  Query query(db_,
              "SELECT c.name || ' ' || s.name FROM catalogue_sources s JOIN catalogues c ON c.id = s.catalogue_id "
              "WHERE s.source_id = ? ORDER BY c.name, s.name");
  return query.Bind(id).Texts();
}

std::vector<std::string> OwnSourceStore::CataloguesOf(std::int64_t id) {
  Query query(db_,
              "SELECT DISTINCT c.name FROM catalogue_sources s JOIN catalogues c ON c.id = s.catalogue_id WHERE "
              "s.source_id = ? ORDER BY c.name");
  return query.Bind(id).Texts();
}

}  // namespace contimg::state
