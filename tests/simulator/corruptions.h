// What the instrument and its surroundings do to the visibilities.
#pragma once

#include <complex>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/simulator/apparent_place.h"
#include "tests/simulator/array_config.h"

namespace contimg::simulator {

enum class RfiKind { kNarrowBand, kBurst, kTrack };
const char* ToString(RfiKind kind);

// A transmitter. It does not turn with the sky, so the correlator's fringe rotation smears it like the real thing.
struct RfiEmitter {
  RfiKind kind = RfiKind::kNarrowBand;
  double azimuth_deg = 0;  // north through east, at the array
  double elevation_deg = 0;
  double azimuth_rate_deg_s = 0;
  double elevation_rate_deg_s = 0;
  double frequency_hz = 0;  // centre at the start
  double frequency_rate_hz_s = 0;
  double bandwidth_hz = 0;
  double start_s = 0;  // after the start of the tile
  double duration_s = 0;
  double flux_xx_jy = 0;  // within its band, as received (far side lobes included)
  double flux_yy_jy = 0;
};

// Standard deviations are over antennas and receptors; every antenna keeps its own values from tile to tile.
struct Corruptions {
  double sefd_jy = 0;                   // thermal noise and the level of the autocorrelations; 0: neither
  double gain_amplitude = 0;            // rms of ln|g|
  double gain_phase_deg = 0;            // rms of arg g (180 or more: uniform)
  double drift_amplitude_per_hour = 0;  // typical rate of change of ln|g|
  double drift_phase_deg_per_hour = 0;  // typical rate of change of arg g
  double delay_ns = 0;                  // rms delay
  double bandpass_ripple = 0;           // rms of the ripple in ln|B|; the phase ripples by as many radians
  std::vector<int> dead_stations;       // station numbers: noise, no signal
  int dead_pol = -1;                    // 0 (X) or 1 (Y): only that receptor of theirs; −1: both
  double dead_from_mjd_s = 0;           // they live in integrations whose middle is before
  std::vector<RfiEmitter> rfi;

  bool has_gains() const {
    return gain_amplitude > 0 || gain_phase_deg > 0 || drift_amplitude_per_hour > 0 || drift_phase_deg_per_hour > 0 ||
           delay_ns > 0 || bandpass_ripple > 0;
  }
};

// The response of every antenna and receptor, a function of the seed, the station and absolute time:
//   g(t, ν) = G(t) B(ν) exp(2πi τ (ν − ν_ref)),   V_observed = conj(g1) g2 V   (antennas 1 and 2 as in the file)
class AntennaGains {
 public:
  AntennaGains(const ArrayConfig& array, const Corruptions& corruptions, double reference_hz, std::uint64_t seed);
  static constexpr int kPols = 2;
  // `position`: in the correlator order. `time_s`: MJD seconds.
  std::complex<double> Gain(std::size_t position, int pol, double time_s) const;
  std::complex<double> Bandpass(std::size_t position, int pol, double frequency_hz) const;  // without the delay
  double DelayS(std::size_t position, int pol) const { return At(position, pol).delay_s; }
  std::complex<double> Response(std::size_t position, int pol, double frequency_hz) const;  // Bandpass and delay
  double reference_hz() const { return reference_hz_; }

 private:
  static constexpr int kRipples = 3;
  struct Receptor {
    double log_amplitude, phase;
    double amplitude_swing, amplitude_period_s, amplitude_start;
    double phase_swing, phase_period_s, phase_start;
    double delay_s;
    double ripple_amplitude[kRipples], ripple_phase[kRipples], ripple_period_hz[kRipples], ripple_start[kRipples];
  };
  const Receptor& At(std::size_t position, int pol) const {
    return receptors_[position * kPols + static_cast<std::size_t>(pol)];
  }
  double reference_hz_;
  std::vector<Receptor> receptors_;
};

// Random transmitters for one tile: lines of one to a few channels that stay or come and go, bursts over much of the
// band for one to three integrations, and satellite-like tracks that move over the sky and drift in frequency.
struct RfiRecipe {
  int narrow_band = 0;
  int bursts = 0;
  int tracks = 0;
  double min_flux_jy = 5;
  double max_flux_jy = 500;  // logarithmically uniform between
};
std::vector<RfiEmitter> DrawRfi(const RfiRecipe& recipe, double low_hz, double high_hz, double tile_s,
                                std::uint64_t seed);

// Where a transmitter is at `time_s` after the start of the tile, ITRF, and how fast it moves, per second.
struct EmitterPlace {
  Vec3 direction, rate;
};
EmitterPlace PlaceOf(const RfiEmitter& emitter, const Geodetic& site, double time_s);
// Flux density relative to flux_*_jy in a channel, averaged over channel and integration: overlap in time times overlap
// in frequency.
double Occupancy(const RfiEmitter& emitter, double frequency_hz, double width_hz, double time_s, double integration_s);

}  // namespace contimg::simulator
