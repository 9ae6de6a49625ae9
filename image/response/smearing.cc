#include "image/response/smearing.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "config/units.h"
#include "image/plane/lattice_map.h"
#include "image/plane/sky_coordinates.h"
#include "image/response/smearing_kernel.h"

namespace contimg::image {
void SmearingMap(const SmearingInput& input, const ImageGeometry& plain, ArrayView<float, 2> image, int threads) {
  const std::size_t n_times = input.weights.shape(0), n_baselines = input.weights.shape(1);
  // Baselines turn slowly: six integrations represent the tile, with the weights of their neighbours.
  const std::size_t stride = std::max<std::size_t>(1, n_times / 6);
  const double sin_dec = std::sin(input.phase_centre_dec_rad), cos_dec = std::cos(input.phase_centre_dec_rad);
  std::vector<SmearedBaselines> blocks;
  std::vector<DirectionCosines> centres;  // of the blocks
  double total = 0;
  for (std::size_t first = 0; first < n_times; first += stride) {
    const std::size_t last = std::min(n_times, first + stride), t = (first + last - 1) / 2;
    const double in_time = kPi * input.integration_s[t] * kEarthRotation / kSpeedOfLight;
    const double in_band = kPi * input.channel_width_hz / kSpeedOfLight;
    SmearedBaselines& block = blocks.emplace_back();
    centres.push_back(input.centre[t]);
    for (std::size_t b = 0; b < n_baselines; ++b) {
      double weight = 0;
      for (std::size_t k = first; k < last; ++k) weight += input.weights(k, b);
      if (!(weight > 0)) continue;
      total += weight;
      const double u = input.uvw_m(t, b, 0), v = input.uvw_m(t, b, 1), w = input.uvw_m(t, b, 2);
      // The pole is (0, cos δ, sin δ) in (east, north, outwards); pole × (u, v, w):
      const std::array<double, 3> baseline{u, v, w}, turn{cos_dec * w - sin_dec * v, sin_dec * u, -cos_dec * u};
      block.weight.push_back(weight);
      for (std::size_t i = 0; i < 3; ++i) {
        block.delay[i].push_back(in_band * baseline[i]);
        block.rate[i].push_back(in_time * turn[i]);
      }
    }
  }
  if (!(total > 0)) {
    std::fill(image.begin(), image.end(), 1.0F);
    return;
  }
  const double middle = (input.first_frequency_hz + input.last_frequency_hz) / 2;
  const double half = (input.last_frequency_hz - input.first_frequency_hz) / 2;
  const SmearedBand band{{middle - half * std::sqrt(0.6), middle, middle + half * std::sqrt(0.6)},
                         {5.0 / 18, 8.0 / 18, 5.0 / 18}};

  const std::size_t step = std::max<std::size_t>(1, std::max(plain.nx, plain.ny) / 16);
  FillFromLattice(
      plain, step,
      [&](double l, double m) {
        const double n1 = NMinusOne(l, m);
        double sum = 0;
        for (std::size_t i = 0; i < blocks.size(); ++i) {
          const DirectionCosines& c = centres[i];
          sum += SumOfKept(blocks[i], band, l - c.l, m - c.m, n1 - c.n_minus_1);
        }
        return sum / total;
      },
      image, threads);
}

}  // namespace contimg::image
