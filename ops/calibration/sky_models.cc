#include "ops/calibration/sky_models.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>

#include "calibrate/catalogue.h"
#include "config/error.h"
#include "config/os.h"
#include "config/product_paths.h"
#include "config/units.h"

namespace contimg::ops {

namespace {

using calibrate::SkySource;

SkySource FromRow(const state::SourceRow& row, const CalibrateSettings& settings) {
  SkySource source;
  source.name = row.name;
  source.ra_rad = Angle::Degrees(row.ra_deg).rad();
  source.dec_rad = Angle::Degrees(row.dec_deg).rad();
  source.flux_jy = row.flux_jy;
  source.spectral_index = row.spectral_index.value_or(settings.spectral_index);
  // NVSS sizes are deconvolved from a 45 arcsec beam.
  source.extended = row.major_arcsec > 15;
  return source;
}

Angle SeparationOf(const SkySource& a, double ra_rad, double dec_rad) {
  return Separation({Angle::Radians(a.ra_rad), Angle::Radians(a.dec_rad)},
                    {Angle::Radians(ra_rad), Angle::Radians(dec_rad)});
}

}  // namespace

calibrate::PredictOptions PredictOptionsOf(const Settings& settings, const VisibilityBlock& block,
                                           const convert::EarthOrientationTable& orientation) {
  calibrate::PredictOptions options;
  options.beam = convert::ChooseBeam(block, settings.telescope, orientation);
  options.orientation = &orientation;
  options.least_beam = settings.image.pb_limit;
  return options;
}

SkySource FindCalibrator(const std::string& name, state::SourceStore* store, const VisibilityBlock& block,
                         const CalibrateSettings& settings) {
  if (const calibrate::FluxStandard* standard = calibrate::FindFluxStandard(name)) {
    return calibrate::SourceOf(*standard, block.frequency_hz.front(), block.frequency_hz.back());
  }
  if (store != nullptr) {
    std::vector<std::string> catalogues{"vla-calibrators"};
    for (const auto& [catalogue, count] : store->Catalogues()) {
      if (catalogue != catalogues.front()) catalogues.push_back(catalogue);
    }
    for (const std::string& catalogue : catalogues) {
      const auto row = store->FindByName(catalogue, name);
      if (!row) continue;
      if (!(row->flux_jy > 0)) {
        throw Error(ErrorKind::kBadInput, "solve", name,
                    fmt::format("the catalogue {} gives no flux density at 1.4 GHz", catalogue));
      }
      return FromRow(*row, settings);
    }
  }
  throw Error(ErrorKind::kBadInput, "solve", name,
              "is neither a Perley-Butler 2017 standard nor in an imported catalogue (contimg catalog import)");
}

void CheckCalibrator(const SkySource& source, const VisibilityBlock& block, const calibrate::PredictOptions& options) {
  const auto apparent = calibrate::ApparentSources(block, {source}, options).front();
  const double away = SeparationOf(source, block.phase_centre.ra_rad, block.phase_centre.dec_rad).deg();
  const auto refuse = [&](const std::string& message) {
    throw Error(ErrorKind::kBadInput, "solve", source.name, message);
  };
  if (apparent.altitude_rad < 0) refuse("is below the horizon in these data");
  constexpr double kLeastBeam = 0.1, kLargestDistanceDeg = 2.5;
  if (options.beam.mode == calibrate::BeamMode::kNone) {
    if (away > kLargestDistanceDeg) {
      refuse(fmt::format("is {:.2f} deg from the phase centre, the limit is {:.1f} deg", away, kLargestDistanceDeg));
    }
  } else if (apparent.mean_beam < kLeastBeam || apparent.direction[2] <= 0) {
    refuse(fmt::format(
        "is {:.2f} deg from the phase centre, outside the beam: its mean power there is {:.4f}, expected at "
        "least {:g}; the beam is {}",
        away, apparent.mean_beam, kLeastBeam, options.beam.description));
  }
}

std::vector<SkySource> CatalogueSources(const std::string& catalogue, state::SourceStore* store,
                                        const VisibilityBlock& block, const CalibrateSettings& settings) {
  return CatalogueSources(catalogue, store,
                          FieldView{block.phase_centre.ra_rad, block.phase_centre.dec_rad, block.frequency_hz.front(),
                                    block.frequency_hz.back()},
                          settings);
}

std::vector<SkySource> CatalogueSources(const std::string& catalogue, state::SourceStore* store, const FieldView& view,
                                        const CalibrateSettings& settings) {
  const Angle ra = Angle::Radians(view.ra_rad), dec = Angle::Radians(view.dec_rad);
  std::vector<SkySource> sources;
  if (IsFile(catalogue)) {
    for (const auto& row : calibrate::ReadCatalogue(catalogue, calibrate::CatalogueFormat::kCsv).sources) {
      SkySource source = FromRow({0, "", row.name, row.ra_deg, row.dec_deg, row.flux_jy, row.flux_error_jy,
                                  row.spectral_index, row.major_arcsec, row.minor_arcsec, row.position_angle_deg},
                                 settings);
      if (source.flux_jy >= settings.field_min_flux_jy &&
          SeparationOf(source, ra.rad(), dec.rad()).deg() <= settings.field_radius_deg) {
        sources.push_back(std::move(source));
      }
    }
    std::sort(sources.begin(), sources.end(), [](const auto& a, const auto& b) { return a.flux_jy > b.flux_jy; });
  } else {
    std::string name = catalogue;
    const auto known = store != nullptr ? store->Catalogues() : std::vector<std::pair<std::string, std::int64_t>>{};
    const auto has = [&](const std::string& wanted) {
      return std::any_of(known.begin(), known.end(), [&](const auto& each) { return each.first == wanted; });
    };
    if (name == "field") name = has("nvss") || known.size() != 1 ? "nvss" : known.front().first;
    if (!has(name)) {
      throw Error(ErrorKind::kBadInput, "solve", name,
                  "is neither an imported catalogue (contimg catalog import) nor a CSV file");
    }
    for (const state::ConeMatch& match :
         store->Cone(WrapPositive(ra).deg(), dec.deg(), settings.field_radius_deg, name, settings.field_min_flux_jy)) {
      sources.push_back(FromRow(match.source, settings));
    }
  }
  for (SkySource& source : sources) {
    for (const calibrate::FluxStandard& standard : calibrate::PerleyButler2017()) {
      const Angle distance =
          SeparationOf(source, Angle::Degrees(standard.ra_deg).rad(), Angle::Degrees(standard.dec_deg).rad());
      const bool valid = view.low_hz >= standard.from_ghz * 1e9 && view.high_hz <= standard.to_ghz * 1e9;
      if (distance.arcsec() < 30 && valid) {
        source = calibrate::SourceOf(standard, view.low_hz, view.high_hz);
      }
    }
  }
  if (sources.empty()) {
    throw Error(ErrorKind::kBadInput, "solve", catalogue,
                fmt::format("holds no source above {} Jy within {} deg of the phase centre {:.4f} {:+.4f}",
                            settings.field_min_flux_jy, settings.field_radius_deg, ra.deg(), dec.deg()));
  }
  return sources;
}

std::vector<SkySource> FieldModel(const std::vector<SkySource>& sources, const VisibilityBlock& block,
                                  const calibrate::PredictOptions& options, const CalibrateSettings& settings) {
  const auto apparent = calibrate::ApparentSources(block, sources, options);
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
                                       const VisibilityBlock& block, const calibrate::PredictOptions& options,
                                       const CalibrateSettings& settings) {
  std::vector<SkySource> model{calibrator};
  if (options.beam.mode == calibrate::BeamMode::kNone) return model;
  std::vector<SkySource> others;
  for (const SkySource& source : sources) {
    if (SeparationOf(source, calibrator.ra_rad, calibrator.dec_rad).arcsec() > 60) others.push_back(source);
  }
  for (SkySource& source : FieldModel(others, block, options, settings)) model.push_back(std::move(source));
  return model;
}

std::unique_ptr<state::SourceStore> OpenSourcesIfAny(const Settings& settings) {
  const DirectoryRoots roots = Roots(settings);
  if (roots.state.empty()) return nullptr;
  const auto path = ProductPaths(roots).Database(StateDatabase::kMasterSources);
  if (!Exists(path)) return nullptr;
  return std::make_unique<state::SourceStore>(path);
}

}  // namespace contimg::ops
