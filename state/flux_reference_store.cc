#include "state/flux_reference_store.h"

#include "state/query.h"

namespace contimg::state {

void FluxReferenceStore::Replace(const std::map<std::int64_t, double>& fluxes, const std::map<int, UsualBeam>& beams,
                                 std::int64_t tiles, double made_at) {
  db_.Write([&] {
    Query(db_, "DELETE FROM flux_references").Run();
    Query(db_, "INSERT INTO flux_reference_versions (made_at, tiles, finished) VALUES (?, ?, 0)")
        .Bind(made_at, tiles)
        .Run();
    for (const auto& [source_id, flux_jy] : fluxes) {
      // A source may have gone since.
      Query(db_, "INSERT INTO flux_references (source_id, flux_jy) SELECT id, ? FROM sources WHERE id = ?")
          .Bind(flux_jy, source_id)
          .Run();
    }
    Query(db_, "DELETE FROM usual_beams").Run();
    for (const auto& [declination_deg, beam] : beams) {
      Query(db_, "INSERT INTO usual_beams (declination_deg, major_arcsec, minor_arcsec) VALUES (?, ?, ?)")
          .Bind(declination_deg, beam.major_arcsec, beam.minor_arcsec)
          .Run();
    }
  });
}

void FluxReferenceStore::SetFinished() {
  db_.Write([&] {
    Query(db_,
          "UPDATE flux_reference_versions SET finished = 1 WHERE version = (SELECT max(version) FROM "
          "flux_reference_versions)")
        .Run();
  });
}

std::optional<FluxReferenceVersion> FluxReferenceStore::Newest() {
  Query query(db_,
              "SELECT version, made_at, tiles, finished FROM flux_reference_versions ORDER BY version DESC LIMIT 1");
  if (!query.Next()) return std::nullopt;
  FluxReferenceVersion row;
  row.version = query.Integer();
  row.made_at = query.Number();
  row.tiles = query.Integer();
  row.finished = query.Flag();
  return row;
}

std::optional<double> FluxReferenceStore::FluxOf(std::int64_t source_id) {
  Query query(db_, "SELECT flux_jy FROM flux_references WHERE source_id = ?");
  query.Bind(source_id);
  if (!query.Next()) return std::nullopt;
  return query.Number();
}

std::optional<UsualBeam> FluxReferenceStore::BeamAt(int declination_deg) {
  Query query(db_, "SELECT major_arcsec, minor_arcsec FROM usual_beams WHERE declination_deg = ?");
  query.Bind(declination_deg);
  if (!query.Next()) return std::nullopt;
  const double major_arcsec = query.Number();
  return UsualBeam{major_arcsec, query.Number()};
}

}  // namespace contimg::state
