#include "ops/calibration/forecast.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "config/error.h"
#include "config/telescope.h"
#include "config/units.h"
#include "ingest/uv_limit.h"
#include "ops/calibration/sky_models.h"
#include "ops/job/observation.h"

namespace contimg::ops {

namespace {

using calibrate::SkySource;

constexpr double kSiderealDegPerS = 360.985647 / 86400;
constexpr double kDominance = 3;
constexpr double kSameSourceArcsec = 60;
constexpr double kLeastBeam = 0.1;        // of a calibrator
constexpr double kStepsPerDegree = 2;     // of remembered forecasts
constexpr double kLargestFieldDeg = 2.5;  // of a calibrator without a beam

FieldView ViewOf(const GroupObservation& tile) {
  return {Angle::Degrees(tile.ra_deg).rad(), Angle::Degrees(tile.dec_deg).rad(), tile.low_hz, tile.high_hz};
}

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

}  // namespace

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

namespace {
// What a solve on a field will leave (ChooseUvLimit, from what the index knows).
double ShareOfBaselines(const GroupObservation& tile, double min_lambda, double frequency_hz) {
  const double metres = (min_lambda < 0 ? kUsualMinUvLambda : min_lambda) * kSpeedOfLight / frequency_hz;
  const double share = LongerThan(tile, metres);
  return min_lambda < 0 && share < kLeastShareOfBaselines ? 1 : share;
}
}  // namespace

std::optional<SolveForecast> ForecastSolve(const GroupObservation& tile, const std::vector<SkySource>& field,
                                           const std::vector<SkySource>& calibrators, const Settings& settings) {
  const double middle_hz = 0.5 * (tile.low_hz + tile.high_hz);
  const SkySource* best = nullptr;
  double best_jy = 0;
  for (const SkySource& calibrator : calibrators) {
    const double away = Away(calibrator, tile.ra_deg, tile.dec_deg).deg();
    const double beam = MeanBeam(tile, calibrator, settings.telescope);
    if (away > 45 || beam < kLeastBeam || (settings.telescope.beam == "none" && away > kLargestFieldDeg)) continue;
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
    const bool is_best =
        best != nullptr &&
        Away(source, Angle::Radians(best->ra_rad).deg(), Angle::Radians(best->dec_rad).deg()).arcsec() <
            kSameSourceArcsec;
    if (!is_best) others += flux * flux;
  }
  std::sort(apparent.rbegin(), apparent.rend());
  apparent.resize(std::min(apparent.size(), static_cast<std::size_t>(settings.calibrate.field_max_sources)));
  double quadrature = 0;
  for (double flux : apparent) quadrature += flux * flux;

  SolveForecast forecast;
  double baselines = std::max(0, tile.antennas - 1);
  if (best != nullptr && best_jy * best_jy >= kDominance * kDominance * others) {
    forecast.model = "calibrator:" + best->name;
    forecast.signal_jy = best_jy;
    forecast.transit_s =
        WrapSigned(Angle::Radians(best->ra_rad) - Angle::Degrees(tile.ra_deg)).deg() / kSiderealDegPerS;
  } else if (quadrature > 0) {
    forecast.model = "field";
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
  later.mid_mjd += seconds / 86400;
  later.ra_deg = WrapPositive(Angle::Degrees(tile.ra_deg + kSiderealDegPerS * seconds)).deg();
  return later;
}

void Forecaster::Apply(const Settings& settings) {
  settings_ = settings;
  store_.reset();
  remembered_.clear();
}

state::SourceStore* Forecaster::Store() {
  if (!store_) store_ = OpenSourcesIfAny(settings_);
  return store_.get();
}

std::string Forecaster::FieldCatalogue() {
  if (Store() == nullptr) return "";
  const auto catalogues = Store()->Catalogues();
  for (const auto& [name, count] : catalogues) {
    if (name == "nvss") return name;
  }
  return catalogues.size() == 1 ? catalogues.front().first : "";
}

bool Forecaster::HasCatalogue() { return !FieldCatalogue().empty(); }

std::vector<state::SourceRow> Forecaster::Rows(const GroupObservation& tile, double radius_deg, double min_flux_jy) {
  std::vector<state::SourceRow> rows;
  const std::string catalogue = FieldCatalogue();
  if (catalogue.empty()) return rows;
  for (state::ConeMatch& match : Store()->Cone(tile.ra_deg, tile.dec_deg, radius_deg, catalogue, min_flux_jy)) {
    rows.push_back(std::move(match.source));
  }
  return rows;
}

std::vector<SkySource> Forecaster::Field(const GroupObservation& tile) {
  if (Store() == nullptr) return {};
  try {
    return CatalogueSources("field", Store(), ViewOf(tile), settings_.calibrate);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kBadInput) return {};  // no catalogue, or nothing there
    throw;
  }
}

std::vector<SkySource> Forecaster::Calibrators(const GroupObservation& tile) {
  std::vector<SkySource> out;
  for (const calibrate::FluxStandard& standard : calibrate::PerleyButler2017()) {
    if (standard.extended || tile.low_hz < standard.from_ghz * 1e9 || tile.high_hz > standard.to_ghz * 1e9) continue;
    out.push_back(calibrate::SourceOf(standard, tile.low_hz, tile.high_hz));
  }
  if (Store() == nullptr) return out;
  for (const state::ConeMatch& match :
       Store()->Cone(tile.ra_deg, tile.dec_deg, settings_.calibrate.field_radius_deg, "vla-calibrators")) {
    const state::SourceRow& row = match.source;
    if (!(row.flux_jy > 0)) continue;
    SkySource source;
    source.name = row.name;
    source.ra_rad = Angle::Degrees(row.ra_deg).rad();
    source.dec_rad = Angle::Degrees(row.dec_deg).rad();
    source.flux_jy = row.flux_jy;
    source.spectral_index = row.spectral_index.value_or(settings_.calibrate.spectral_index);
    const bool known = std::any_of(out.begin(), out.end(), [&](const SkySource& other) {
      return Away(source, Angle::Radians(other.ra_rad).deg(), Angle::Radians(other.dec_rad).deg()).arcsec() <
             kSameSourceArcsec;
    });
    if (!known) out.push_back(std::move(source));
  }
  return out;
}

std::optional<SolveForecast> Forecaster::Of(const GroupObservation& tile, std::string& why) {
  try {
    auto forecast = ForecastSolve(tile, Field(tile), Calibrators(tile), settings_);
    if (!forecast) {
      why = HasCatalogue() ? "the catalogue holds no source about it"
                           : "no source catalogue is imported (contimg catalog import nvss FILE)";
    }
    return forecast;
  } catch (const Error& error) {
    why = fmt::format("the source database cannot be read ({})", error.what());
    return std::nullopt;
  }
}

std::vector<SolveCandidate> Forecaster::Coming(const GroupObservation& tile, double seconds) {
  std::vector<SolveCandidate> out;
  if (!(tile.duration_s > 0)) return out;
  for (double ahead = tile.duration_s; ahead < seconds; ahead += tile.duration_s) {
    GroupObservation later = Drifted(tile, ahead);
    const double mjd = later.mid_mjd;
    const std::pair<int, int> step{static_cast<int>(std::lround(later.dec_deg * kStepsPerDegree)),
                                   static_cast<int>(std::lround(later.ra_deg * kStepsPerDegree))};
    auto known = remembered_.find(step);
    if (known == remembered_.end()) {
      later.ra_deg = step.second / kStepsPerDegree;
      std::string ignored;
      const auto forecast = Of(later, ignored);
      known = remembered_.emplace(step, forecast ? forecast->bandpass_snr : 0).first;
    }
    out.push_back({mjd, known->second});
  }
  return out;
}

}  // namespace contimg::ops
