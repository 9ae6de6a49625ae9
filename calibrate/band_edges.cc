#include "calibrate/band_edges.h"

#include <algorithm>
#include <complex>
#include <cstdint>
#include <limits>

#include "config/robust_statistics.h"

namespace contimg::calibrate {
namespace {

constexpr float kLeastError = 0.01F;  // less does no harm
constexpr float kTimesTheMedian = 2;

}  // namespace

std::vector<std::size_t> UnclosedBandEdges(const std::vector<SolutionWindow>& windows, const std::vector<float>& error,
                                           const std::vector<float>& chance, std::size_t n_receptors) {
  std::vector<std::size_t> edges;
  std::size_t first = 0;
  for (const SolutionWindow& window : windows) {
    const std::size_t n = window.frequency_hz.size();
    std::vector<std::uint8_t> beyond(n);
    for (std::size_t r = 0; r < n_receptors; ++r) {
      std::vector<float> errors(n);
      for (std::size_t c = 0; c < n; ++c) errors[c] = error[(first + c) * n_receptors + r];
      const float usual = std::max(kLeastError, kTimesTheMedian * Median(errors));
      for (std::size_t c = 0; c < n; ++c) {
        const float by_chance = chance[(first + c) * n_receptors + r];
        if (errors[c] * errors[c] > usual * usual + by_chance * by_chance) beyond[c] = 1;
      }
    }
    std::size_t low = 0, high = 0;
    while (low < n / 4 && beyond[low] != 0) edges.push_back(first + low++);
    while (high < n / 4 && beyond[n - 1 - high] != 0) edges.push_back(first + n - 1 - high++);
    first += n;
  }
  std::sort(edges.begin(), edges.end());
  return edges;
}

void FlagChannels(SolutionSet& s, const std::vector<std::size_t>& channels) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (std::size_t t = 0; t < s.intervals.size(); ++t) {
    for (std::size_t a = 0; a < s.antennas.size(); ++a) {
      for (const std::size_t c : channels) {
        for (std::size_t r = 0; r < s.n_receptors; ++r) {
          const std::size_t i = s.Index(t, a, c, r);
          s.value[i] = {nan, nan};
          s.error[i] = std::numeric_limits<float>::quiet_NaN();
          s.snr[i] = 0;
          s.flag[i] = kFlagged;
        }
      }
    }
  }
}

}  // namespace contimg::calibrate
