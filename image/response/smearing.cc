#include "image/response/smearing.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "config/units.h"
#include "image/plane/lattice_map.h"
#include "image/plane/sky_coordinates.h"

namespace contimg::image {
namespace {

// A (time, baseline): argument of the sincs per unit of Δs.
struct Sample {
  double weight;
  std::array<double, 3> delay;  // π δν b / c
  std::array<double, 3> rate;   // π δt (ω × b) / c, per Hz
  std::size_t time;
};

}  // namespace

void SmearingMap(const SmearingInput& input, const ImageGeometry& plain, ArrayView<float, 2> image, int threads) {
  const std::size_t n_times = input.weights.shape(0), n_baselines = input.weights.shape(1);
  // Baselines turn slowly: six integrations represent the tile, with the weights of their neighbours.
  const std::size_t stride = std::max<std::size_t>(1, n_times / 6);
  const double sin_dec = std::sin(input.phase_centre_dec_rad), cos_dec = std::cos(input.phase_centre_dec_rad);
  std::vector<Sample> samples;
  double total = 0;
  for (std::size_t first = 0; first < n_times; first += stride) {
    const std::size_t last = std::min(n_times, first + stride), t = (first + last - 1) / 2;
    const double in_time = kPi * input.integration_s[t] * kEarthRotation / kSpeedOfLight;
    const double in_band = kPi * input.channel_width_hz / kSpeedOfLight;
    for (std::size_t b = 0; b < n_baselines; ++b) {
      double weight = 0;
      for (std::size_t k = first; k < last; ++k) weight += input.weights(k, b);
      if (!(weight > 0)) continue;
      total += weight;
      const double u = input.uvw_m(t, b, 0), v = input.uvw_m(t, b, 1), w = input.uvw_m(t, b, 2);
      // The pole is (0, cos δ, sin δ) in (east, north, outwards); pole × (u, v, w):
      const std::array<double, 3> turn{cos_dec * w - sin_dec * v, sin_dec * u, -cos_dec * u};
      samples.push_back({weight,
                         {in_band * u, in_band * v, in_band * w},
                         {in_time * turn[0], in_time * turn[1], in_time * turn[2]},
                         t});
    }
  }
  if (!(total > 0)) {
    std::fill(image.begin(), image.end(), 1.0F);
    return;
  }
  // Three frequencies with the weights of Gauss and Legendre stand for the band.
  const double middle = (input.first_frequency_hz + input.last_frequency_hz) / 2;
  const double half = (input.last_frequency_hz - input.first_frequency_hz) / 2;
  const std::array<double, 3> frequency{middle - half * std::sqrt(0.6), middle, middle + half * std::sqrt(0.6)};
  constexpr std::array<double, 3> kShare{5.0 / 18, 8.0 / 18, 5.0 / 18};

  const std::size_t step = std::max<std::size_t>(1, std::max(plain.nx, plain.ny) / 16);
  FillFromLattice(
      plain, step,
      [&](double l, double m) {
        const double n1 = NMinusOne(l, m);
        double sum = 0;
        for (const Sample& s : samples) {
          const DirectionCosines& c = input.centre[s.time];
          const double dl = l - c.l, dm = m - c.m, dn = n1 - c.n_minus_1;
          const double x = s.delay[0] * dl + s.delay[1] * dm + s.delay[2] * dn;
          const double y = s.rate[0] * dl + s.rate[1] * dm + s.rate[2] * dn;
          double kept = 0;
          for (std::size_t k = 0; k < 3; ++k) kept += kShare[k] * SinOverX(y * y * frequency[k] * frequency[k]);
          sum += s.weight * kept * SinOverX(x * x);
        }
        return sum / total;
      },
      image, threads);
}

}  // namespace contimg::image
