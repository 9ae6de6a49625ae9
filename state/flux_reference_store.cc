#include "state/flux_reference_store.h"

#include "state/query.h"

namespace contimg::state {

void FluxReferenceStore::Replace(const std::map<std::int64_t, double>& fluxes, std::int64_t tiles, double made_at) {
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

}  // namespace contimg::state
