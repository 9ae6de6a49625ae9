// Forecasts of solves (calibrate/solve_forecast.h) on the sky of the source database.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "calibrate/sky_model.h"
#include "calibrate/solve_forecast.h"
#include "config/group_observation.h"
#include "config/settings.h"
#include "ops/calibration/planner.h"
#include "ops/job/job.h"
#include "state/source_store.h"

namespace contimg::ops {

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
  // The known sources to be measured about it (ops/calibration/job_places.h); empty without a database of sources.
  std::vector<JobPlace> Places(const GroupObservation& tile, double radius_deg, double min_flux_jy);
  // Flux standards valid in the tile's band and the imported VLA calibrators near it; no extended ones.
  std::vector<calibrate::SkySource> Calibrators(const GroupObservation& tile);
  // Whether there is an imported catalogue to model fields with.
  bool HasCatalogue();

 private:
  state::SourceStore* Store();
  std::string Catalogue();  // FieldCatalogue of the database; empty: none

  Settings settings_;
  std::unique_ptr<state::SourceStore> store_;
  std::map<std::pair<int, int>, double> remembered_;  // declination and right ascension in steps → bandpass SNR
};

}  // namespace contimg::ops
