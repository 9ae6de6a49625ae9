// Light curves on record: the measurements of a tile go in, and transits and statistics follow.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "config/quality_flags.h"
#include "mosaic/variability/statistics.h"
#include "state/light_curve_store.h"
#include "state/own_source_store.h"

namespace contimg::ops {

// One point of a light curve, at whichever level.
struct LightCurvePoint {
  double mjd = 0;  // UTC; of a transit its passage, of a night the mean of its transits
  double flux_jy = 0;
  double error_jy = 0;
  QualityFlags flags = 0;
  int tiles = 1;
  double chi2 = 0;  // of the points it is the mean of, about it
  // Of a tile alone.
  double local_rms_jy = 0, response = 0, frequency_hz = 0;
  double scale = 1;  // that was applied
  std::string group_id;
};

enum class LightCurveLevel { kTile, kTransit, kNight };
LightCurveLevel ParseLightCurveLevel(std::string_view word);  // tile, transit, night; throws Error{kUsage}
std::string_view ToString(LightCurveLevel level);

struct LightCurveRequest {
  LightCurveLevel level = LightCurveLevel::kTile;
  std::string kind = "forced";
  bool normalised = false;                  // fluxes times the scale of their tile, where it has one
  QualityFlags mask = kDefaultQualityMask;  // tiles with one of these are left out
  double from_mjd = 0, to_mjd = 1e9;
};

// By time. Nights end at noon on the telescope's meridian.
std::vector<LightCurvePoint> LightCurveOf(state::LightCurveStore& store, const state::OwnSourceRow& source,
                                          const LightCurveRequest& request);

// What was measured at a place.
struct PlacedMeasurement {
  double ra_deg = 0, dec_deg = 0;  // ICRS
  double flux_jy = 0, flux_error_jy = 0;
  double local_rms_jy = 0;
  double response = 1;
  QualityFlags flags = 0;
  std::string name;  // of the source of our own that it was asked for; empty: of a place alone
};

// The one writer of measurements: rows, transits and statistics change together, in one transaction. Statistics are of
// normalised fluxes of tiles without flags of the preset "default"; recording tiles in the order of time, in any other
// order, twice, or reckoning everything anew gives the same bits.
class LightCurveRecorder {
 public:
  explicit LightCurveRecorder(state::Database& database) : database_(database), curves_(database), sources_(database) {}

  // In the place of what is recorded of the tile's group. A tile without a flux scale gets the one that the known
  // references tell it (flux_scales.h). Errors of LightCurveStore::ReplaceTile.
  void Record(const state::ObservationRow& tile, const std::vector<state::MeasurementRow>& rows);
  // The same of places: each is the nearest source of our own within kSamePlaceArcsec that no nearer place of this tile
  // has, else what a catalogue has there, else a new source (by its name, should the records have been lost). Returns
  // how many were met for the first time. Error{kBadInput} also for two measurements of one place.
  std::int64_t Record(const state::ObservationRow& tile, const std::vector<PlacedMeasurement>& measurements,
                      double now);
  // Takes the tile and its measurements out; false: there is none.
  bool Forget(std::string_view group_id);
  // The flags in `which` of the whole tile become those in `flags`; the others stay. Transits and statistics follow.
  // False: there is no such tile, or it has them already.
  bool SetFlags(std::string_view group_id, QualityFlags which, QualityFlags flags);
  // Transits and statistics of one source from its measurements.
  void ReckonSource(std::int64_t source_id);
  // Transits and statistics of all sources from their measurements; returns the number of sources.
  std::int64_t Rebuild();

 private:
  std::vector<std::int64_t> SourcesAt(const std::string& group_id, const std::vector<PlacedMeasurement>& measurements,
                                      double now, std::int64_t& made);
  void Append(std::int64_t source_id, const std::string& kind, double mjd);
  void Reckon(std::int64_t source_id, const std::string& kind);
  void AppendTransit(const state::OwnSourceRow& source, const state::MeasurementRow& point);

  state::Database& database_;
  state::LightCurveStore curves_;
  state::OwnSourceStore sources_;
};

}  // namespace contimg::ops
