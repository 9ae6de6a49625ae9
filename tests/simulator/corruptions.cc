#include "tests/simulator/corruptions.h"

#include <algorithm>
#include <cmath>

#include "tests/simulator/noise.h"

namespace contimg::simulator {

const char* ToString(RfiKind kind) {
  switch (kind) {
    case RfiKind::kNarrowBand:
      return "narrow_band";
    case RfiKind::kBurst:
      return "burst";
    case RfiKind::kTrack:
      return "track";
  }
  return "";
}

AntennaGains::AntennaGains(const ArrayConfig& array, const Corruptions& c, double reference_hz, std::uint64_t seed)
    : reference_hz_(reference_hz) {
  const double deg = kPi / 180;
  for (int station : array.correlator_order) {
    for (std::uint64_t pol = 0; pol < kPols; ++pol) {
      Random random(MixSeed({seed, 0x6A1, static_cast<std::uint64_t>(station), pol}));
      Receptor r;
      r.log_amplitude = c.gain_amplitude * random.Normal();
      const double unit_phase = random.Normal(), uniform_phase = random.Uniform(-kPi, kPi);
      r.phase = c.gain_phase_deg >= 180 ? uniform_phase : c.gain_phase_deg * deg * unit_phase;
      // A sine of period P and swing a has the rms rate 2π a / (P √2).
      const auto swing = [&](double rate_per_hour, double period_s) {
        return rate_per_hour / 3600 * period_s * std::sqrt(2.0) / (2 * kPi);
      };
      r.amplitude_period_s = 3600 * random.Uniform(1, 4);
      r.amplitude_swing = swing(c.drift_amplitude_per_hour, r.amplitude_period_s);
      r.amplitude_start = random.Uniform(0, 2 * kPi);
      r.phase_period_s = 3600 * random.Uniform(1, 4);
      r.phase_swing = swing(c.drift_phase_deg_per_hour * deg, r.phase_period_s);
      r.phase_start = random.Uniform(0, 2 * kPi);
      r.delay_s = c.delay_ns * 1e-9 * random.Normal();
      for (int i = 0; i < kRipples; ++i) {
        // Sine waves of equal expected power whose variances add up to the square of the ripple.
        r.ripple_amplitude[i] = c.bandpass_ripple * std::sqrt(2.0 / kRipples) * random.Normal();
        r.ripple_phase[i] = c.bandpass_ripple * std::sqrt(2.0 / kRipples) * random.Normal();
        r.ripple_period_hz[i] = 1e6 * random.Uniform(10, 200);
        r.ripple_start[i] = random.Uniform(0, 2 * kPi);
      }
      receptors_.push_back(r);
    }
  }
}

std::complex<double> AntennaGains::Gain(std::size_t position, int pol, double time_s) const {
  const Receptor& r = At(position, pol);
  const auto sine = [&](double period_s, double start) {
    return std::sin(2 * kPi * std::fmod(time_s, period_s) / period_s + start);
  };
  const double log_amplitude = r.log_amplitude + r.amplitude_swing * sine(r.amplitude_period_s, r.amplitude_start);
  const double phase = r.phase + r.phase_swing * sine(r.phase_period_s, r.phase_start);
  return std::polar(std::exp(log_amplitude), phase);
}

std::complex<double> AntennaGains::Bandpass(std::size_t position, int pol, double frequency_hz) const {
  const Receptor& r = At(position, pol);
  double log_amplitude = 0, phase = 0;
  for (int i = 0; i < kRipples; ++i) {
    const double turn = 2 * kPi * (frequency_hz - reference_hz_) / r.ripple_period_hz[i] + r.ripple_start[i];
    log_amplitude += r.ripple_amplitude[i] * std::cos(turn);
    phase += r.ripple_phase[i] * std::sin(turn);
  }
  return std::polar(std::exp(log_amplitude), phase);
}

std::complex<double> AntennaGains::Response(std::size_t position, int pol, double frequency_hz) const {
  const double turns = DelayS(position, pol) * (frequency_hz - reference_hz_);
  return Bandpass(position, pol, frequency_hz) * std::polar(1.0, 2 * kPi * turns);
}

std::vector<RfiEmitter> DrawRfi(const RfiRecipe& recipe, double low_hz, double high_hz, double tile_s,
                                std::uint64_t seed) {
  Random random(MixSeed({seed, 0x4F1}));
  std::vector<RfiEmitter> emitters;
  const double band = high_hz - low_hz;
  const auto draw = [&](RfiKind kind) {
    RfiEmitter e;
    e.kind = kind;
    e.azimuth_deg = random.Uniform(0, 360);
    e.elevation_deg = random.Uniform(0, 3);
    const double flux = recipe.min_flux_jy * std::pow(recipe.max_flux_jy / recipe.min_flux_jy, random.Uniform());
    const double share = random.Uniform(0.2, 0.8);  // polarised
    e.flux_xx_jy = 2 * flux * share;
    e.flux_yy_jy = 2 * flux * (1 - share);
    e.frequency_hz = low_hz + band * random.Uniform();
    return e;
  };
  for (int i = 0; i < recipe.narrow_band; ++i) {
    RfiEmitter e = draw(RfiKind::kNarrowBand);
    e.bandwidth_hz = 2e4 * std::pow(40.0, random.Uniform());  // 20 to 800 kHz
    const bool steady = random.Uniform() < 0.5;
    e.start_s = steady ? 0 : random.Uniform(0, 0.7) * tile_s;
    e.duration_s = steady ? tile_s : random.Uniform(0.1, 0.3) * tile_s;
    emitters.push_back(e);
  }
  for (int i = 0; i < recipe.bursts; ++i) {
    RfiEmitter e = draw(RfiKind::kBurst);
    e.bandwidth_hz = band * random.Uniform(0.3, 1.5);
    e.duration_s = kDsa110IntegrationS * random.Uniform(0.2, 2.5);
    e.start_s = random.Uniform() * std::max(0.0, tile_s - e.duration_s);
    emitters.push_back(e);
  }
  for (int i = 0; i < recipe.tracks; ++i) {
    RfiEmitter e = draw(RfiKind::kTrack);
    e.elevation_deg = random.Uniform(20, 80);
    e.azimuth_rate_deg_s = random.Uniform(-0.02, 0.02);
    e.elevation_rate_deg_s = random.Uniform(-0.02, 0.02);
    e.bandwidth_hz = 1e6 * random.Uniform(0.3, 2.0);
    e.frequency_rate_hz_s = random.Uniform(-2e4, 2e4);
    e.start_s = 0;
    e.duration_s = tile_s;
    emitters.push_back(e);
  }
  return emitters;
}

EmitterPlace PlaceOf(const RfiEmitter& e, const Geodetic& site, double time_s) {
  const double sin_lat = std::sin(site.latitude_rad), cos_lat = std::cos(site.latitude_rad);
  const double sin_lon = std::sin(site.longitude_rad), cos_lon = std::cos(site.longitude_rad);
  const auto direction = [&](double at_s) {
    const double az = (e.azimuth_deg + e.azimuth_rate_deg_s * at_s) * kPi / 180;
    const double el = (e.elevation_deg + e.elevation_rate_deg_s * at_s) * kPi / 180;
    const double east = std::cos(el) * std::sin(az), north = std::cos(el) * std::cos(az), up = std::sin(el);
    return Vec3{-sin_lon * east - sin_lat * cos_lon * north + cos_lat * cos_lon * up,
                cos_lon * east - sin_lat * sin_lon * north + cos_lat * sin_lon * up, cos_lat * north + sin_lat * up};
  };
  constexpr double kStepS = 0.5;
  EmitterPlace place{direction(time_s), {}};
  const Vec3 before = direction(time_s - kStepS), after = direction(time_s + kStepS);
  for (std::size_t axis = 0; axis < 3; ++axis) place.rate[axis] = (after[axis] - before[axis]) / (2 * kStepS);
  return place;
}

double Occupancy(const RfiEmitter& e, double frequency_hz, double width_hz, double time_s, double integration_s) {
  const auto overlap = [](double low1, double high1, double low2, double high2) {
    return std::max(0.0, std::min(high1, high2) - std::max(low1, low2));
  };
  const double on_s =
      overlap(time_s - integration_s / 2, time_s + integration_s / 2, e.start_s, e.start_s + e.duration_s);
  const double centre = e.frequency_hz + e.frequency_rate_hz_s * (time_s - e.start_s);
  const double in_hz = overlap(frequency_hz - width_hz / 2, frequency_hz + width_hz / 2, centre - e.bandwidth_hz / 2,
                               centre + e.bandwidth_hz / 2);
  return on_s / integration_s * (in_hz / width_hz);
}

}  // namespace contimg::simulator
