#include "calibrate/solve_forecast.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "calibrate/field_model.h"
#include "config/telescope.h"
#include "config/time.h"
#include "config/units.h"
#include "ingest/uv_limit.h"

namespace contimg::calibrate {
namespace {

constexpr double kSiderealDegPerS = 360.985647 / kSecondsPerDay;
constexpr double kDominance = 3;

Angle Away(const SkySource& source, double ra_deg, double dec_deg) {
  return Separation({Angle::Radians(source.ra_rad), Angle::Radians(source.dec_rad)},
                    {Angle::Degrees(ra_deg), Angle::Degrees(dec_deg)});
}

double BandHz(const GroupObservation& tile, const Settings& settings) {
  // Before all files are in, the band is as wide as the group will be.
  const double seen = tile.high_hz - tile.low_hz + tile.channel_width_hz;
  const double each = seen / std::max(1, tile.subbands);
  return std::max(seen, each * static_cast<double>(settings.ingest.expected_subbands));
}

// What a solve on a field will leave (ChooseUvLimit, from what the index knows).
double ShareOfBaselines(const GroupObservation& tile, double min_lambda, double frequency_hz) {
  const double metres = (min_lambda < 0 ? kUsualMinUvLambda : min_lambda) * kSpeedOfLight / frequency_hz;
  const double share = LongerThan(tile, metres);
  return min_lambda < 0 && share < kLeastShareOfBaselines ? 1 : share;
}

}  // namespace

double LongerThan(const GroupObservation& tile, double length_m) {
  const auto& deciles = tile.baseline_deciles_m;
  if (deciles.size() < 2 || length_m <= deciles.front()) return 1;
  if (length_m >= deciles.back()) return 0;
  const auto upper = std::upper_bound(deciles.begin(), deciles.end(), length_m);
  const double low = *(upper - 1), high = *upper;
  const double place = static_cast<double>(upper - 1 - deciles.begin()) + (length_m - low) / (high - low);
  return 1 - place / static_cast<double>(deciles.size() - 1);
}

double VisibilityNoiseJy(double sefd_jy, double bandwidth_hz, double duration_s) {
  return sefd_jy / std::sqrt(2 * bandwidth_hz * duration_s);
}

// Tiles that are planned are drift scans: "auto" is drift (convert::ChooseBeam).
double MeanBeam(const GroupObservation& tile, const SkySource& source, const TelescopeSettings& telescope) {
  if (telescope.beam == "none") return 1;
  const double dish = telescope.dish_diameter_m > 0 ? telescope.dish_diameter_m
                      : tile.dish_m > 0             ? tile.dish_m
                                                    : kDsa110DishDiameterM;
  constexpr int kTimes = 5, kFrequencies = 3;
  double sum = 0;
  for (int t = 0; t < kTimes; ++t) {
    const double offset_s = telescope.beam != "tracking" ? tile.duration_s * ((t + 0.5) / kTimes - 0.5) : 0;
    const Angle away = Away(source, tile.ra_deg + kSiderealDegPerS * offset_s, tile.dec_deg);
    if (away.deg() >= 90) continue;
    for (int f = 0; f < kFrequencies; ++f) {
      const double frequency = tile.low_hz + (tile.high_hz - tile.low_hz) * (f + 0.5) / kFrequencies;
      sum += AiryPowerBeam(std::sin(away.rad()), frequency, dish);
    }
  }
  return sum / (kTimes * kFrequencies);
}

std::optional<SolveForecast> ForecastSolve(const GroupObservation& tile, const std::vector<SkySource>& field,
                                           const std::vector<SkySource>& calibrators, const Settings& settings) {
  const double middle_hz = 0.5 * (tile.low_hz + tile.high_hz);
  const SkySource* best = nullptr;
  double best_jy = 0;
  for (const SkySource& calibrator : calibrators) {
    const double away = Away(calibrator, tile.ra_deg, tile.dec_deg).deg();
    const double beam = MeanBeam(tile, calibrator, settings.telescope);
    if (away > 45 || beam < kLeastCalibratorBeam ||
        (settings.telescope.beam == "none" && away > kFarthestCalibratorDeg))
      continue;
    const double apparent = calibrator.FluxJy(middle_hz) * beam;
    if (apparent > best_jy) {
      best = &calibrator;
      best_jy = apparent;
    }
  }
  std::vector<double> apparent;
  double others = 0;
  for (const SkySource& source : field) {
    const double flux = source.FluxJy(middle_hz) * MeanBeam(tile, source, settings.telescope);
    apparent.push_back(flux);
    const bool is_best = best != nullptr && IsSameSource(DirectionOf(source), DirectionOf(*best));
    if (!is_best) others += flux * flux;
  }
  std::sort(apparent.rbegin(), apparent.rend());
  apparent.resize(std::min(apparent.size(), static_cast<std::size_t>(settings.calibrate.field_max_sources)));
  double quadrature = 0;
  for (double flux : apparent) quadrature += flux * flux;

  SolveForecast forecast;
  double baselines = std::max(0, tile.antennas - 1);
  if (best != nullptr && best_jy * best_jy >= kDominance * kDominance * others) {
    forecast.model = CalibratorModel(best->name);
    forecast.signal_jy = best_jy;
    forecast.transit_s =
        WrapSigned(Angle::Radians(best->ra_rad) - Angle::Degrees(tile.ra_deg)).deg() / kSiderealDegPerS;
  } else if (quadrature > 0) {
    forecast.model = kFieldModel;
    forecast.signal_jy = std::sqrt(quadrature);
    baselines *= ShareOfBaselines(tile, settings.calibrate.field_min_uv_lambda, middle_hz);
  } else {
    return std::nullopt;
  }
  const double gain = forecast.signal_jy * std::sqrt(baselines);
  forecast.bandpass_snr = gain / VisibilityNoiseJy(settings.telescope.sefd_jy, tile.channel_width_hz, tile.duration_s);
  forecast.gain_snr = gain / VisibilityNoiseJy(settings.telescope.sefd_jy, BandHz(tile, settings), tile.duration_s);
  return forecast;
}

GroupObservation Drifted(const GroupObservation& tile, double seconds) {
  GroupObservation later = tile;
  later.group_id.clear();
  later.mid_mjd += seconds / kSecondsPerDay;
  later.ra_deg = WrapPositive(Angle::Degrees(tile.ra_deg + kSiderealDegPerS * seconds)).deg();
  return later;
}

}  // namespace contimg::calibrate
