// Calibration models out of the flux standards and the source database.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "calibrate/predict.h"
#include "calibrate/sky_model.h"
#include "config/settings.h"
#include "ingest/visibility_block.h"
#include "state/source_store.h"

namespace contimg::ops {

// How the sky of a block is predicted: the beam that convert::ChooseBeam gives it. `orientation` must outlive the
// options. Whoever runs it says options.beam.warning once.
calibrate::PredictOptions PredictOptionsOf(const Settings& settings, const VisibilityBlock& block,
                                           const convert::EarthOrientationTable& orientation);

// The calibrator of that name: a Perley-Butler 2017 standard (inside its valid range), else a source of the imported
// VLA calibrator list, else of any catalogue. `store` may be null. Throws Error{kBadInput} when nobody knows the name
// or its flux.
calibrate::SkySource FindCalibrator(const std::string& name, state::SourceStore* store, const VisibilityBlock& block,
                                    const CalibrateSettings& settings);

// Throws Error{kBadInput} when the calibrator cannot have made the data: below the horizon, outside the beam (power
// below 10 %), or, without a beam, more than 2.5 degrees from the phase centre.
void CheckCalibrator(const calibrate::SkySource& source, const VisibilityBlock& block,
                     const calibrate::PredictOptions& options);

// A direction (ICRS) and a band, where there is no block yet.
struct FieldView {
  double ra_rad = 0, dec_rad = 0;
  double low_hz = 0, high_hz = 0;
};

// The catalogue sources around the block's phase centre, within calibrate.field_radius_deg and above
// calibrate.field_min_flux_jy, brightest first. `catalogue`: the name of an imported one, "field" for the imported NVSS
// (or the only catalogue there is), or a CSV file. Where a flux standard stands within 30 arcsec of a source, the
// standard takes its place. Throws Error{kBadInput} when there are none. `store` may be null for a file.
std::vector<calibrate::SkySource> CatalogueSources(const std::string& catalogue, state::SourceStore* store,
                                                   const VisibilityBlock& block, const CalibrateSettings& settings);
std::vector<calibrate::SkySource> CatalogueSources(const std::string& catalogue, state::SourceStore* store,
                                                   const FieldView& view, const CalibrateSettings& settings);

// The calibrate.field_max_sources of them that are brightest after the beam.
std::vector<calibrate::SkySource> FieldModel(const std::vector<calibrate::SkySource>& sources,
                                             const VisibilityBlock& block, const calibrate::PredictOptions& options,
                                             const CalibrateSettings& settings);

// A calibrator and the catalogue's sources around it, as FieldModel chooses them; entries within an arcminute of it are
// the calibrator itself. Short solution intervals have 2/(antennas − 1) of the freedom of the data and would take that
// part of the flux of every source that the model leaves out. Without a beam (telescope.beam = none) nobody knows how
// bright the others appear: the calibrator alone.
std::vector<calibrate::SkySource> CalibratorField(const calibrate::SkySource& calibrator,
                                                  const std::vector<calibrate::SkySource>& sources,
                                                  const VisibilityBlock& block,
                                                  const calibrate::PredictOptions& options,
                                                  const CalibrateSettings& settings);

// The source database of the settings, or null when there is none yet.
std::unique_ptr<state::SourceStore> OpenSourcesIfAny(const Settings& settings);

}  // namespace contimg::ops
