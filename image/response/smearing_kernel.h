// The inner sum of smearing, SIMD with run-time dispatch. Private to image/response/smearing.cc.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

namespace contimg::image {

// (time, baseline)s of one time: arguments of the sincs per unit of Δs = (Δl, Δm, Δn).
struct SmearedBaselines {
  std::vector<double> weight;
  std::array<std::vector<double>, 3> delay;  // π δν b / c
  std::array<std::vector<double>, 3> rate;   // π δt (ω × b) / c, per Hz
};

// Gauss and Legendre's frequencies and weights, which stand for the band.
struct SmearedBand {
  std::array<double, 3> frequency_hz;
  std::array<double, 3> share;
};

// Σ weight · sinc of the delay · mean over the band of the sinc of the rate, at the offset (Δl, Δm, Δn).
double SumOfKept(const SmearedBaselines& baselines, const SmearedBand& band, double dl, double dm, double dn);

}  // namespace contimg::image
