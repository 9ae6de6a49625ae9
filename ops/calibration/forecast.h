// What a solve on a tile can be expected to give: the sources in the beam against the noise, before any data are read.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "calibrate/sky_model.h"
#include "config/settings.h"
#include "ops/calibration/planner.h"
#include "state/cal_table_store.h"
#include "state/source_store.h"

namespace contimg::ops {

// Standard error of a real component of one visibility (or gain of a 1 Jy source on one baseline), Jy.
double VisibilityNoiseJy(double sefd_jy, double bandwidth_hz, double duration_s);

// Power of the beam on a source, averaged over the tile and the band (telescope.beam).
double MeanBeam(const GroupObservation& tile, const calibrate::SkySource& source, const TelescopeSettings& telescope);

// Pure. `field`: the catalogue's sources about the tile (none: no catalogue); `calibrators`: sources that are modelled
// alone when they dominate, that is exceed everything else in the beam (in quadrature) three times. No source at all:
// nothing.
std::optional<SolveForecast> ForecastSolve(const GroupObservation& tile, const std::vector<calibrate::SkySource>& field,
                                           const std::vector<calibrate::SkySource>& calibrators,
                                           const Settings& settings);

// The same tile later in the drift: the sky has moved on at sidereal rate, all else is the same.
GroupObservation Drifted(const GroupObservation& tile, double seconds);

// Forecasts out of the source database, opened when first needed and again when it appears. Belongs to one thread.
class Forecaster {
 public:
  explicit Forecaster(const Settings& settings) : settings_(settings) {}
  void Apply(const Settings& settings);

  // Nothing: no source is known there; `why` says so. A database that cannot be read is no source either.
  std::optional<SolveForecast> Of(const GroupObservation& tile, std::string& why);
  // The tiles of the drift from the next one on, within `seconds`. What was computed is remembered (the sky comes back
  // every day).
  std::vector<SolveCandidate> Coming(const GroupObservation& tile, double seconds);

  // The catalogue's sources about the tile (flux standards with their own spectra), brightest first; empty without any.
  std::vector<calibrate::SkySource> Field(const GroupObservation& tile);
  // The catalogue's rows within a radius of the tile's centre; empty without a catalogue.
  std::vector<state::SourceRow> Rows(const GroupObservation& tile, double radius_deg, double min_flux_jy);
  // Flux standards valid in the tile's band and the imported VLA calibrators near it; no extended ones.
  std::vector<calibrate::SkySource> Calibrators(const GroupObservation& tile);
  // Whether there is an imported catalogue to model fields with.
  bool HasCatalogue();

 private:
  state::SourceStore* Store();
  std::string FieldCatalogue();  // the name of the imported NVSS, or of the only catalogue; empty: none

  Settings settings_;
  std::unique_ptr<state::SourceStore> store_;
  std::map<std::pair<int, int>, double> remembered_;  // declination and right ascension in steps → bandpass SNR
};

}  // namespace contimg::ops
