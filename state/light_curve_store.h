// What was measured of our own sources, tile by tile, and what follows from it: means of transits, running sums,
// statistics. Points lie clustered by source and time, so that a light curve is read in one piece.
//
// Times are MJD days UTC at the middle of a tile, fluxes Jy at the tile's frequency, corrected for the primary beam.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/quality_flags.h"
#include "state/database.h"

namespace contimg::state {

// What an observation has that followed its target over the sky.
struct TrackingRow {
  std::string target;                // its name
  std::string program;               // whose time it was; empty: not known
  std::string band;                  // as the observatory calls it: "L"; empty: not known
  std::optional<double> exposure_s;  // time on target
};

// A tile as far as its measurements need it.
struct ObservationRow {
  std::int64_t id = 0;                    // given by the store
  std::string type = "drift_tile";        // drift_tile | tracking
  std::optional<TrackingRow> tracking;    // of type tracking, which needs it
  std::string instrument = "DSA-110";     // also the name of its mission
  std::string group_id;                   // unique
  double mjd = 0;                         // middle of the data
  double duration_s = 0;                  // 0: not known
  std::optional<double> ra_deg, dec_deg;  // ICRS, of the centre
  double lst_deg = 0;                     // local apparent sidereal time of the middle, [0, 360)
  double frequency_hz = 0;
  std::optional<double> beam_major_arcsec, beam_minor_arcsec;  // restoring beam, full widths at half power
  std::optional<double> scale;  // what its fluxes are multiplied by to agree with those of other tiles
  std::optional<double> scale_error;
  QualityFlags flags = 0;        // of all that is measured in it
  double recorded_at = 0;        // unix_s
  std::optional<double> step_s;  // from one integration to the next
  std::optional<std::int64_t> n_integrations;
  // Of single integrations, as many as there are; empty: none has any. Written; read by ObservationStore::Flags.
  std::vector<QualityFlags> integration_flags;
};

struct MeasurementRow {
  std::int64_t source_id = 0;  // of our own
  double flux_jy = 0;
  double flux_error_jy = 0;  // > 0
  double local_rms_jy = 0;   // of the image about it, before the primary beam
  double response = 1;       // of the primary beam, > 0
  QualityFlags flags = 0;    // read back with those of the tile
  std::string kind = "forced";
  // Of the tile; read, not written.
  double mjd = 0;
  double lst_deg = 0;
  double frequency_hz = 0;
  std::optional<double> scale;
  std::string group_id;
};

// The inverse-variance mean of the tiles of one passage through the meridian, at the time of the passage.
struct TransitRow {
  double mjd = 0;
  double flux_jy = 0;
  double flux_error_jy = 0;
  int tiles = 0;
  double chi2 = 0;  // of the tiles about the mean, tiles − 1 degrees of freedom
  QualityFlags flags = 0;
};

// Running sums over points but the last, about reference_jy so that squares do not cancel; mosaic/variability says what
// each is.
struct SumsRow {
  std::int64_t n = 0;
  double reference_jy = 0;
  double sum_w = 0, sum_wi = 0, sum_wii = 0, sum_i = 0, sum_ii = 0;
  double min_jy = 0, max_jy = 0;
  double vs = 0, m = 0;
};

struct StatisticsRow {
  std::int64_t source_id = 0;
  std::string kind = "forced";
  std::string level = "tile";  // tile | transit
  SumsRow before;              // of all points but the last
  std::int64_t n = 0;          // points that count
  double first_mjd = 0, last_mjd = 0;
  double mean_jy = 0, min_jy = 0, max_jy = 0;
  double eta = 0, v = 0, vs = 0, m = 0, p = 1;
};

// Which sources VariableSources lists.
struct VariableQuery {
  std::string kind = "forced";
  std::string level = "transit";
  std::int64_t min_n = 2;
  double min_eta = 0;
  double min_v = -std::numeric_limits<double>::infinity();
  double max_p = 1;
  double since_mjd = 0;  // seen then or later
  int limit = 0;         // 0: all
};

class LightCurveStore {
 public:
  // Shares the connection of another store, and its transactions.
  explicit LightCurveStore(Database& database) : db_(database) {}

  // Puts the tile's measurements in the place of all that were recorded of its group, in one transaction; returns the
  // sources that have rows now or had some, in the order of their ids. Statistics and transits are the caller's to
  // bring up to date. Error{kBadInput} for a value that no measurement has and for a source that does not exist.
  std::vector<std::int64_t> ReplaceTile(const ObservationRow& tile, const std::vector<MeasurementRow>& rows);
  // Removes it with its measurements; returns the sources that had some. Nothing when there is no such tile.
  std::vector<std::int64_t> RemoveTile(std::string_view group_id);
  std::optional<ObservationRow> Tile(std::string_view group_id);
  std::vector<ObservationRow> Tiles(double from_mjd = 0, double to_mjd = 1e9);  // by time
  std::vector<MeasurementRow> MeasurementsOf(std::string_view group_id);        // by source

  // By time; of one kind, with from ≤ mjd ≤ to.
  std::vector<MeasurementRow> Measurements(std::int64_t source_id, std::string_view kind = "forced",
                                           double from_mjd = 0, double to_mjd = 1e9);
  std::vector<TransitRow> Transits(std::int64_t source_id, std::string_view kind = "forced", double from_mjd = 0,
                                   double to_mjd = 1e9);
  // Puts `rows` in the place of the transits with from ≤ mjd ≤ to.
  void ReplaceTransits(std::int64_t source_id, std::string_view kind, double from_mjd, double to_mjd,
                       const std::vector<TransitRow>& rows);

  std::optional<StatisticsRow> Statistics(std::int64_t source_id, std::string_view kind, std::string_view level);
  void SaveStatistics(const StatisticsRow& row);
  void RemoveStatistics(std::int64_t source_id, std::string_view kind, std::string_view level);
  // Largest eta first.
  std::vector<StatisticsRow> VariableSources(const VariableQuery& query);

  // By source, then time: those of a kind with flux ≥ min_snr errors and none of these flags of their own, of tiles
  // with none of those.
  void ForEachBright(std::string_view kind, double min_snr, QualityFlags without, QualityFlags tiles_without,
                     const std::function<void(std::int64_t source_id, std::int64_t tile_id, double flux_jy,
                                              double flux_error_jy)>& take);
  // Its scale, the error of that, its flags.
  void SaveComparison(const ObservationRow& tile);

  std::vector<std::int64_t> MeasuredSources();               // by id
  std::vector<std::string> KindsOf(std::int64_t source_id);  // of which it has measurements, by name
  std::vector<std::string> Kinds();                          // that there can be
  // Transits and statistics of all sources.
  void RemoveAllFigures();

 private:
  std::int64_t KindId(std::string_view kind);

  Database& db_;
  std::map<std::string, std::int64_t, std::less<>> kinds_;  // as far as they were asked for
};

}  // namespace contimg::state
