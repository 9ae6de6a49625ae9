#include "ops/calibration/forecast.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "calibrate/field_model.h"
#include "config/error.h"
#include "config/units.h"
#include "ops/calibration/job_places.h"
#include "ops/calibration/sky_models.h"

namespace contimg::ops {

namespace {

using calibrate::SkySource;

constexpr double kStepsPerDegree = 2;  // of remembered forecasts

calibrate::FieldView ViewOf(const GroupObservation& tile) {
  return {Angle::Degrees(tile.ra_deg).rad(), Angle::Degrees(tile.dec_deg).rad(), tile.low_hz, tile.high_hz};
}

}  // namespace

void Forecaster::Apply(const Settings& settings) {
  settings_ = settings;
  store_.reset();
  remembered_.clear();
}

state::SourceStore* Forecaster::Store() {
  if (!store_) store_ = OpenSourcesIfAny(settings_);
  return store_.get();
}

std::string Forecaster::Catalogue() { return Store() != nullptr ? FieldCatalogue(*Store()) : ""; }

bool Forecaster::HasCatalogue() { return !Catalogue().empty(); }

std::vector<state::SourceRow> Forecaster::Rows(const GroupObservation& tile, double radius_deg, double min_flux_jy) {
  std::vector<state::SourceRow> rows;
  const std::string catalogue = Catalogue();
  if (catalogue.empty()) return rows;
  for (state::ConeMatch& match : Store()->Cone(tile.ra_deg, tile.dec_deg, radius_deg, catalogue, min_flux_jy)) {
    rows.push_back(std::move(match.source));
  }
  return rows;
}

std::vector<JobPlace> Forecaster::Places(const GroupObservation& tile, double radius_deg, double min_flux_jy) {
  if (Store() == nullptr) return {};
  return PlacesOfField(*Store(), Catalogue(), tile.ra_deg, tile.dec_deg, radius_deg, min_flux_jy);
}

std::vector<SkySource> Forecaster::Field(const GroupObservation& tile) {
  if (Store() == nullptr) return {};
  try {
    return CatalogueSources(std::string(calibrate::kFieldModel), Store(), ViewOf(tile), settings_.calibrate);
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
    SkySource source = calibrate::SourceOf(Listed(row), settings_.calibrate);
    const bool known = std::any_of(out.begin(), out.end(), [&](const SkySource& other) {
      return calibrate::IsSameSource(calibrate::DirectionOf(source), calibrate::DirectionOf(other));
    });
    if (!known) out.push_back(std::move(source));
  }
  return out;
}

std::optional<SolveForecast> Forecaster::Of(const GroupObservation& tile, std::string& why) {
  try {
    auto forecast = calibrate::ForecastSolve(tile, Field(tile), Calibrators(tile), settings_);
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
    GroupObservation later = calibrate::Drifted(tile, ahead);
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
