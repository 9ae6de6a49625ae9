// The measurement equation of the simulator: a direct sum over point emitters, in double precision.
#pragma once

#include <cstddef>
#include <vector>

#include "config/array_view.h"
#include "tests/simulator/apparent_place.h"

namespace contimg::simulator {

// A block of evenly spaced channels.
struct ChannelBlock {
  double first_hz = 0;  // centre of channel 0
  double step_hz = 0;   // from one channel to the next; negative when the frequencies descend
  std::size_t n = 0;
  double Frequency(std::size_t k) const { return first_hz + static_cast<double>(k) * step_hz; }
};

// Emitters (stars, transmitters; points or Gaussians) as one block of channels sees them during one integration.
class EmitterSet {
 public:
  EmitterSet(std::size_t n_emitters, std::size_t n_channels);
  // `offset`: s − s0, the emitter's direction minus the phase centre's, ITRF. `rate`: d(s − c)/dt per second, c the
  // sky-fixed point that the correlator follows within the integration. `bandwidth_hz`: width over which the channel
  // averages this emitter's phase (the channel's own, or less for a narrow line).
  void Place(std::size_t emitter, const Vec3& offset, const Vec3& rate, double bandwidth_hz);
  // Makes it an elliptical Gaussian: full widths at half maximum (radians) times unit vectors along its axes, ITRF.
  void Spread(std::size_t emitter, const Vec3& major, const Vec3& minor);
  // Flux density, attenuated by the beam, in one channel, Jy. Zero until set.
  double& Amplitude(std::size_t channel, std::size_t emitter) { return amplitude_[channel * padded_ + emitter]; }

  std::size_t size() const { return size_; }
  std::size_t padded() const { return padded_; }  // a multiple of the widest vector; padding has zero amplitude
  const double* geometry(int component) const { return geometry_[component].data(); }  // dx dy dz rx ry rz bandwidth
  bool any_spread() const { return !axes_[0].empty(); }
  const double* axis(int component) const { return axes_[component].data(); }  // major x y z, minor x y z
  const double* amplitude(std::size_t channel) const { return amplitude_.data() + channel * padded_; }

 private:
  std::size_t size_, padded_;
  std::vector<double> geometry_[7];
  std::vector<double> axes_[6];    // empty while all are points
  std::vector<double> amplitude_;  // [channel, padded to 8][emitter]
};

// For every baseline b (ITRF, metres, antenna 2 − antenna 1; `baselines_m` is [baseline][3]) and channel ν:
//   V = Σ A(ν) exp(+2πi ν τ) sinc(ν τ̇ T) sinc(Δν τ),  τ = b·(s − s0)/c,  τ̇ = b·d(s − c)/dt /c,  sinc x = sin(πx)/(πx)
// with T = `integration_s`; a Gaussian's term has the further factor
//   exp(−π² ν² ((b·major)² + (b·minor)²) / (4 ln 2 c²)).
// The phase runs by a phasor recurrence in double precision, anchored anew for every block;
// the smearing is interpolated by a parabola through the block's ends and middle (relative error below
// (bandwidth/ν)³, 1e-8 for a subband). `re`, `im`: [baseline][channel], overwritten.
void SumEmitters(const EmitterSet& emitters, const ChannelBlock& channels, double integration_s,
                 ArrayView<const double, 2> baselines_m, ArrayView<double, 2> re, ArrayView<double, 2> im);

// Smearing factors alone, by the formulas above.
double TimeSmearing(double frequency_hz, double delay_rate, double integration_s);
double BandwidthSmearing(double bandwidth_hz, double delay_s);
// What a Gaussian of these axes leaves of its flux on a baseline (metres), by the formula above.
double Resolution(double frequency_hz, const Vec3& baseline_m, const Vec3& major, const Vec3& minor);

}  // namespace contimg::simulator
