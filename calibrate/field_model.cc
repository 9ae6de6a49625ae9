#include "calibrate/field_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "calibrate/catalogue.h"
#include "config/error.h"

namespace contimg::calibrate {
namespace {

constexpr std::string_view kCalibratorPrefix = "calibrator:";
constexpr double kStandardArcsec = 30;
constexpr double kExtendedArcsec = 15;

SkyDirection CentreOf(const FieldView& view) { return {Angle::Radians(view.ra_rad), Angle::Radians(view.dec_rad)}; }

void UseStandards(std::vector<SkySource>& sources, const FieldView& view) {
  for (SkySource& source : sources) {
    for (const FluxStandard& standard : PerleyButler2017()) {
      const bool valid = view.low_hz >= standard.from_ghz * 1e9 && view.high_hz <= standard.to_ghz * 1e9;
      const SkyDirection place{Angle::Degrees(standard.ra_deg), Angle::Degrees(standard.dec_deg)};
      if (valid && Separation(DirectionOf(source), place).arcsec() < kStandardArcsec) {
        source = SourceOf(standard, view.low_hz, view.high_hz);
      }
    }
  }
}

}  // namespace

std::string CalibratorModel(std::string_view name) { return std::string(kCalibratorPrefix) + std::string(name); }

std::optional<std::string> CalibratorOf(std::string_view model) {
  if (model.substr(0, kCalibratorPrefix.size()) != kCalibratorPrefix) return std::nullopt;
  return std::string(model.substr(kCalibratorPrefix.size()));
}

FieldView ViewOf(const VisibilityBlock& block) {
  return {block.phase_centre.ra_rad, block.phase_centre.dec_rad, block.frequency_hz.front(), block.frequency_hz.back()};
}

SkySource SourceOf(const ListedSource& row, const CalibrateSettings& settings) {
  SkySource source;
  source.name = row.name;
  source.ra_rad = Angle::Degrees(row.ra_deg).rad();
  source.dec_rad = Angle::Degrees(row.dec_deg).rad();
  source.flux_jy = row.flux_jy;
  source.spectral_index = row.spectral_index.value_or(settings.spectral_index);
  source.extended = row.major_arcsec > kExtendedArcsec;
  return source;
}

std::vector<SkySource> FieldSources(const std::vector<ListedSource>& rows, const FieldView& view,
                                    const CalibrateSettings& settings, const std::string& subject) {
  std::vector<SkySource> sources;
  for (const ListedSource& row : rows) {
    SkySource source = SourceOf(row, settings);
    if (source.flux_jy >= settings.field_min_flux_jy &&
        Separation(DirectionOf(source), CentreOf(view)).deg() <= settings.field_radius_deg) {
      sources.push_back(std::move(source));
    }
  }
  std::stable_sort(sources.begin(), sources.end(), [](const auto& a, const auto& b) { return a.flux_jy > b.flux_jy; });
  UseStandards(sources, view);
  if (sources.empty()) {
    throw Error(ErrorKind::kBadInput, "solve", subject,
                fmt::format("holds no source above {} Jy within {} deg of the phase centre {:.4f} {:+.4f}",
                            settings.field_min_flux_jy, settings.field_radius_deg, Angle::Radians(view.ra_rad).deg(),
                            Angle::Radians(view.dec_rad).deg()));
  }
  return sources;
}

std::optional<SkySource> FindCalibrator(const std::string& name, const std::vector<ListedSource>& rows,
                                        const FieldView& view, const CalibrateSettings& settings,
                                        const std::string& subject) {
  if (const FluxStandard* standard = FindFluxStandard(name)) return SourceOf(*standard, view.low_hz, view.high_hz);
  const auto row = std::find_if(rows.begin(), rows.end(), [&](const auto& each) { return each.name == name; });
  if (row == rows.end()) return std::nullopt;
  if (!(row->flux_jy > 0)) {
    throw Error(ErrorKind::kBadInput, "solve", name, subject + " gives no flux density of it at 1.4 GHz");
  }
  return SourceOf(*row, settings);
}

ModelSources FindModelSources(const std::string& model, const std::filesystem::path& list, const FieldView& view,
                              const CalibrateSettings& settings) {
  ModelSources out;
  const std::optional<std::string> calibrator = CalibratorOf(model);
  out.name = calibrator.value_or(model);
  if (!calibrator && list.empty()) throw Error(ErrorKind::kBadInput, "solve", model, "the job has no sky model");
  std::vector<ListedSource> rows;
  if (!list.empty()) rows = ReadCatalogue(list, CatalogueFormat::kCsv).sources;
  if (calibrator) {
    out.calibrator = FindCalibrator(*calibrator, rows, view, settings, list.string());
    if (!out.calibrator) {
      throw Error(ErrorKind::kBadInput, "solve", *calibrator,
                  list.empty() ? "is no flux standard, and the job has no sky model"
                               : "is neither a flux standard nor in " + list.string());
    }
  }
  if (!list.empty()) out.field = FieldSources(rows, view, settings, list.string());
  return out;
}

CalibrationModel MakeModel(const ModelSources& sources, const VisibilityBlock& block, const PredictOptions& options,
                           const CalibrateSettings& settings) {
  CalibrationModel model;
  model.name = sources.name;
  model.of_field = !sources.calibrator;
  if (sources.calibrator) {
    const SkySource& calibrator = *sources.calibrator;
    CheckCalibrator(calibrator, block, options);
    model.sources = CalibratorField(calibrator, sources.field, block, options, settings);
    if (options.beam.mode == BeamMode::kNone && !sources.field.empty()) {
      model.warnings.push_back(
          fmt::format("without a primary beam (telescope.beam = none) nobody knows how bright the catalogue's other "
                      "sources appear: the model is {} alone",
                      model.name));
    }
    if (calibrator.extended) {
      model.warnings.push_back(fmt::format("{} is extended; a point model is poor for it", model.name));
    }
    if (calibrator.variable) {
      model.warnings.push_back(fmt::format("{} varies by per cents over years; so does the flux scale", model.name));
    }
  } else {
    model.sources = FieldModel(sources.field, block, options, settings);
  }
  CheckModel(model.sources);
  return model;
}

void CheckCalibrator(const SkySource& source, const VisibilityBlock& block, const PredictOptions& options) {
  const ApparentSource apparent = ApparentSources(block, {source}, options).front();
  const double away = Separation(DirectionOf(source), CentreOf(ViewOf(block))).deg();
  const auto refuse = [&](const std::string& message) {
    throw Error(ErrorKind::kBadInput, "solve", source.name, message);
  };
  if (apparent.altitude_rad < 0) refuse("is below the horizon in these data");
  if (options.beam.mode == BeamMode::kNone) {
    if (away > kFarthestCalibratorDeg) {
      refuse(fmt::format("is {:.2f} deg from the phase centre, the limit is {:.1f} deg", away, kFarthestCalibratorDeg));
    }
  } else if (apparent.mean_beam < kLeastCalibratorBeam || apparent.direction[2] <= 0) {
    refuse(fmt::format(
        "is {:.2f} deg from the phase centre, outside the beam: its mean power there is {:.4f}, expected at "
        "least {:g}; the beam is {}",
        away, apparent.mean_beam, kLeastCalibratorBeam, options.beam.description));
  }
}

std::vector<SkySource> FieldModel(const std::vector<SkySource>& sources, const VisibilityBlock& block,
                                  const PredictOptions& options, const CalibrateSettings& settings) {
  const auto apparent = ApparentSources(block, sources, options);
  std::vector<std::size_t> order(sources.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return apparent[a].mean_flux_jy > apparent[b].mean_flux_jy; });
  order.resize(std::min(order.size(), static_cast<std::size_t>(settings.field_max_sources)));
  std::vector<SkySource> model;
  for (std::size_t i : order) model.push_back(sources[i]);
  return model;
}

std::vector<SkySource> CalibratorField(const SkySource& calibrator, const std::vector<SkySource>& sources,
                                       const VisibilityBlock& block, const PredictOptions& options,
                                       const CalibrateSettings& settings) {
  std::vector<SkySource> model{calibrator};
  if (options.beam.mode == BeamMode::kNone) return model;
  std::vector<SkySource> others;
  for (const SkySource& source : sources) {
    if (!IsSameSource(DirectionOf(source), DirectionOf(calibrator))) others.push_back(source);
  }
  if (others.empty()) return model;
  for (SkySource& source : FieldModel(others, block, options, settings)) model.push_back(std::move(source));
  return model;
}

PredictOptions PredictOptionsOf(const Settings& settings, const VisibilityBlock& block,
                                const convert::EarthOrientationTable& orientation) {
  PredictOptions options;
  options.beam = convert::ChooseBeam(block, settings.telescope, orientation);
  options.orientation = &orientation;
  options.least_beam = settings.image.pb_limit;
  return options;
}

}  // namespace contimg::calibrate
