#include "ops/calibration/job_sky_model.h"

#include <cmath>
#include <optional>
#include <vector>

#include "calibrate/field_model.h"
#include "config/source_list.h"
#include "config/units.h"

namespace contimg::ops {

namespace {

constexpr double kSkyRadiusDeg = 3, kSkyMinFluxJy = 0.005;

}  // namespace

std::string SkyModelCsv(Forecaster& forecaster, const GroupObservation& observation, const std::string& model,
                        double default_spectral_index) {
  std::vector<ListedSource> sources;
  const auto add = [&](const std::string& name, double ra_deg, double dec_deg, double flux_jy, double alpha,
                       double major_arcsec) {
    ListedSource& source = sources.emplace_back();
    source.name = name;
    source.ra_deg = ra_deg;
    source.dec_deg = dec_deg;
    source.flux_jy = flux_jy;
    source.spectral_index = alpha;
    source.major_arcsec = major_arcsec;
  };
  // The calibrator stands for the catalogue's entry at its place.
  std::optional<calibrate::SkySource> calibrator;
  if (const auto name = calibrate::CalibratorOf(model)) {
    for (const auto& each : forecaster.Calibrators(observation)) {
      if (each.name == *name) calibrator = each;
    }
  }
  if (calibrator) {
    const double low = calibrator->FluxJy(1.3e9), high = calibrator->FluxJy(1.5e9);
    add(calibrator->name, WrapPositive(Angle::Radians(calibrator->ra_rad)).deg(),
        Angle::Radians(calibrator->dec_rad).deg(), calibrator->FluxJy(1.4e9),
        std::log(high / low) / std::log(1.5 / 1.3), 0);
  }
  for (const auto& source : forecaster.Rows(observation, kSkyRadiusDeg, kSkyMinFluxJy)) {
    const SkyDirection place{Angle::Degrees(source.ra_deg), Angle::Degrees(source.dec_deg)};
    if (calibrator && calibrate::IsSameSource(calibrate::DirectionOf(*calibrator), place)) continue;
    add(source.name, source.ra_deg, source.dec_deg, source.flux_jy,
        source.spectral_index.value_or(default_spectral_index), source.major_arcsec);
  }
  return sources.empty() ? "" : SourceListText(sources);
}

}  // namespace contimg::ops
