// Calibration models: which sources make up the sky of a tile, chosen behind its beam.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "calibrate/predict.h"
#include "calibrate/sky_model.h"
#include "config/settings.h"
#include "config/source_list.h"
#include "config/units.h"
#include "ingest/visibility_block.h"

namespace contimg::calibrate {

// What a source must have to be the calibrator of a tile: this mean power of the beam on it; without a beam, this
// distance from the phase centre at most.
constexpr double kLeastCalibratorBeam = 0.1;
constexpr double kFarthestCalibratorDeg = 2.5;

// How jobs, registry and reports name a model: "field" or "calibrator:NAME".
inline constexpr std::string_view kFieldModel = "field";
std::string CalibratorModel(std::string_view name);
// The calibrator's name; nothing for a model of another kind.
std::optional<std::string> CalibratorOf(std::string_view model);

// A direction (ICRS) and a band.
struct FieldView {
  double ra_rad = 0, dec_rad = 0;
  double low_hz = 0, high_hz = 0;
};
FieldView ViewOf(const VisibilityBlock& block);  // phase centre; lowest and highest channel

// A source of a list; one without a spectral index gets calibrate.spectral_index. Sizes above 15 arcsec count as
// extended (those of NVSS are deconvolved from a beam of 45 arcsec).
SkySource SourceOf(const ListedSource& row, const CalibrateSettings& settings);

// Of `rows` the sources about a direction, within calibrate.field_radius_deg and above calibrate.field_min_flux_jy,
// brightest first. Where a flux standard that is valid in the band stands within 30 arcsec of a source, the standard
// takes its place. Throws Error{kBadInput} naming `subject` when there are none.
std::vector<SkySource> FieldSources(const std::vector<ListedSource>& rows, const FieldView& view,
                                    const CalibrateSettings& settings, const std::string& subject);

// What a model is to be made of.
struct ModelSources {
  std::string name;                     // of the calibrator, or of where the field's sources are from
  std::optional<SkySource> calibrator;  // nothing: the field alone
  std::vector<SkySource> field;         // of FieldSources; may be empty beside a calibrator
};

// The calibrator of that name: a flux standard, else the source of `rows` that has it; nothing: it is neither. Throws
// Error{kBadInput} for a standard outside its valid range and for a source of which the list, `subject`, has no flux
// density.
std::optional<SkySource> FindCalibrator(const std::string& name, const std::vector<ListedSource>& rows,
                                        const FieldView& view, const CalibrateSettings& settings,
                                        const std::string& subject);

// Those of a model as jobs name it. The calibrator is that of FindCalibrator among the rows of `list`, a file, which
// may be empty when it is a standard. Throws Error{kBadInput} for a calibrator that nobody knows and for a field
// without a list.
ModelSources FindModelSources(const std::string& model, const std::filesystem::path& list, const FieldView& view,
                              const CalibrateSettings& settings);

struct CalibrationModel {
  std::string name;
  bool of_field = true;               // no calibrator dominates it
  std::vector<SkySource> sources;     // the calibrator first
  std::vector<std::string> warnings;  // sentences about the calibrator
};

// A calibrator is checked (CheckCalibrator) and gets its CalibratorField, a field its FieldModel. Throws
// Error{kBadInput} also for a model without flux (CheckModel).
CalibrationModel MakeModel(const ModelSources& sources, const VisibilityBlock& block, const PredictOptions& options,
                           const CalibrateSettings& settings);

// Throws Error{kBadInput} when the calibrator cannot have made the data: below the horizon, or outside the limits
// above.
void CheckCalibrator(const SkySource& source, const VisibilityBlock& block, const PredictOptions& options);

// The calibrate.field_max_sources of them that are brightest after the beam.
std::vector<SkySource> FieldModel(const std::vector<SkySource>& sources, const VisibilityBlock& block,
                                  const PredictOptions& options, const CalibrateSettings& settings);

// A calibrator and the catalogue's sources around it, as FieldModel chooses them; an entry at its place (IsSameSource)
// is the calibrator itself. Short solution intervals have 2/(antennas − 1) of the freedom of the data and would take
// that part of the flux of every source that the model leaves out. Without a beam (telescope.beam = none) nobody knows
// how bright the others appear: the calibrator alone.
std::vector<SkySource> CalibratorField(const SkySource& calibrator, const std::vector<SkySource>& sources,
                                       const VisibilityBlock& block, const PredictOptions& options,
                                       const CalibrateSettings& settings);

// How the sky of a block is predicted: the beam that convert::ChooseBeam gives it. `orientation` must outlive the
// options. Whoever runs it says options.beam.warning once.
PredictOptions PredictOptionsOf(const Settings& settings, const VisibilityBlock& block,
                                const convert::EarthOrientationTable& orientation);

}  // namespace contimg::calibrate
