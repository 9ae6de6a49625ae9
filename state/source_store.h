// The sources of catalogues on the sky, and candidates (master_sources.sqlite3). Sources of our own and their light
// curves are other stores' over the same database: state/own_source_store.h, light_curve_store.h, dataset_store.h.
//
// Positions are ICRS degrees, fluxes Jy at 1.4 GHz unless the catalogue says otherwise, times MJD days UTC. One store
// belongs to one thread at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "state/database.h"

namespace contimg::state {

struct SourceRow {
  std::int64_t id = 0;    // given by the store
  std::string catalogue;  // "nvss", "vla-calibrators"…
  std::string name;       // unique within its catalogue
  double ra_deg = 0;      // [0, 360)
  double dec_deg = 0;
  double flux_jy = 0;
  double flux_error_jy = 0;
  std::optional<double> spectral_index;
  double major_arcsec = 0;  // fitted size, full width at half maximum; 0: point
  double minor_arcsec = 0;
  double position_angle_deg = 0;          // north through east
  std::optional<std::int64_t> source_id;  // our own that it is; not written by Save
};

struct ConeMatch {
  double separation_deg = 0;
  SourceRow source;
};

// A catalogue and where it came from.
struct CatalogueRow {
  std::string name;
  std::string mission;      // whose survey it is; empty: named as the catalogue
  std::string description;  // ours to show
  double frequency_hz = 1.4e9;
  std::string file;        // it was read from; empty: not known
  std::string sha256;      // of that file
  double imported_at = 0;  // unix_s; 0: not known
  std::int64_t sources = 0;
};

struct CandidateRow {
  std::int64_t id = 0;
  std::optional<std::int64_t> source_id;  // a source of our own that varies; none: new on the sky
  std::int64_t product_id = 0;
  std::string kind;  // "transient", "variable"…
  double mjd = 0;
  double ra_deg = 0;
  double dec_deg = 0;
  double flux_jy = 0;
  double error_jy = 0;
  double score = 0;
  std::string status = "new";  // new | confirmed | rejected
  std::string reviewer;
  std::string note;
  double created_at = 0;  // unix_s
  double reviewed_at = 0;
};

class SourceStore {
 public:
  explicit SourceStore(const std::filesystem::path& path, const DatabaseOptions& options = {});

  // Adds sources or, where (catalogue, name) is known, replaces their values and keeps their ids; one transaction.
  // Catalogues that are not there are made. Error{kBadInput} for a position that is not on the sky.
  void Save(const std::vector<SourceRow>& rows);
  // What is known of a catalogue besides its sources, new or anew.
  void SaveCatalogue(const CatalogueRow& row);
  std::optional<CatalogueRow> Catalogue(std::string_view name);
  // Removes a whole catalogue; returns the number of sources. What was measured stays: it is of sources of our own.
  std::int64_t RemoveCatalogue(std::string_view catalogue);
  std::vector<std::pair<std::string, std::int64_t>> Catalogues();  // name, number of sources
  std::optional<SourceRow> Find(std::int64_t id);
  std::optional<SourceRow> FindByName(std::string_view catalogue, std::string_view name);
  std::vector<SourceRow> FindByName(std::string_view name);  // in any catalogue
  // Sources within `radius_deg` (≤ 90) of a direction, brightest first. `catalogue` empty: all.
  std::vector<ConeMatch> Cone(double ra_deg, double dec_deg, double radius_deg, std::string_view catalogue = "",
                              double min_flux_jy = 0);

  std::int64_t AddCandidate(const CandidateRow& row, double now);
  // A person's decision: confirmed or rejected (or new again). Error{kUsage} for an unknown id or word.
  void Review(std::int64_t id, std::string_view status, std::string_view reviewer, std::string_view note, double now);
  std::vector<CandidateRow> Candidates(std::string_view status);  // best score first; empty: all

  Database& database() { return db_; }

 private:
  std::int64_t CatalogueId(const std::string& name);  // made when it is not there

  Database db_;
};

}  // namespace contimg::state
