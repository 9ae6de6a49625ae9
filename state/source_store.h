// Catalogue sources on the sky, their measurements, light-curve statistics and candidates (master_sources.sqlite3).
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
  double position_angle_deg = 0;  // north through east
};

struct ConeMatch {
  double separation_deg = 0;
  SourceRow source;
};

struct MeasurementRow {
  std::int64_t id = 0;
  std::int64_t source_id = 0;
  std::int64_t product_id = 0;  // in products.sqlite3
  std::string kind = "forced";  // forced | detection
  double mjd = 0;
  double flux_jy = 0;
  double error_jy = 0;
  double ra_deg = 0;  // where it was measured
  double dec_deg = 0;
  std::int64_t flags = 0;  // 0: good
};

struct LightCurveRow {
  std::int64_t source_id = 0;
  std::int64_t count = 0;
  double first_mjd = 0;
  double last_mjd = 0;
  double mean_jy = 0;
  double std_jy = 0;
  double weighted_mean_jy = 0;
  double v = 0;    // modulation index, standard deviation / mean
  double eta = 0;  // reduced chi² of constancy
  double updated_at = 0;
};

struct CandidateRow {
  std::int64_t id = 0;
  std::optional<std::int64_t> source_id;  // a variable catalogue source; none: new on the sky
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
  // Error{kBadInput} for a position that is not on the sky.
  void Save(const std::vector<SourceRow>& rows);
  // Removes a whole catalogue with its measurements; returns the number of sources.
  std::int64_t RemoveCatalogue(std::string_view catalogue);
  std::vector<std::pair<std::string, std::int64_t>> Catalogues();  // name, number of sources
  std::optional<SourceRow> Find(std::int64_t id);
  std::optional<SourceRow> FindByName(std::string_view catalogue, std::string_view name);
  // Sources within `radius_deg` (≤ 90) of a direction, brightest first. `catalogue` empty: all.
  std::vector<ConeMatch> Cone(double ra_deg, double dec_deg, double radius_deg, std::string_view catalogue = "",
                              double min_flux_jy = 0);

  // Replaces an earlier measurement of the same source, product and kind; one transaction.
  void SaveMeasurements(const std::vector<MeasurementRow>& rows);
  std::vector<MeasurementRow> Measurements(std::int64_t source_id);  // by time
  std::vector<MeasurementRow> MeasurementsOf(std::int64_t product_id);
  void SaveLightCurves(const std::vector<LightCurveRow>& rows);
  std::optional<LightCurveRow> LightCurve(std::int64_t source_id);
  // Most variable first (by eta), with at least `min_count` points.
  std::vector<LightCurveRow> MostVariable(std::int64_t min_count, int limit);

  std::int64_t AddCandidate(const CandidateRow& row, double now);
  // A person's decision: confirmed or rejected (or new again). Error{kUsage} for an unknown id or word.
  void Review(std::int64_t id, std::string_view status, std::string_view reviewer, std::string_view note, double now);
  std::vector<CandidateRow> Candidates(std::string_view status);  // best score first; empty: all

  Database& database() { return db_; }

 private:
  Database db_;
};

}  // namespace contimg::state
