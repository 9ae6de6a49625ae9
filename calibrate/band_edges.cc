#include "calibrate/band_edges.h"

#include <algorithm>
#include <complex>
#include <limits>

#include "config/robust_statistics.h"

namespace contimg::calibrate {
namespace {

constexpr float kLeastError = 0.01F;  // less does no harm
constexpr float kTimesTheMedian = 2;

}  // namespace

std::vector<std::size_t> UnclosedBandEdges(const std::vector<SolutionWindow>& windows,
                                           const std::vector<float>& cell_errors, std::size_t n_receptors) {
  std::vector<std::size_t> edges;
  std::size_t first = 0;
  for (const SolutionWindow& window : windows) {
    const std::size_t n = window.frequency_hz.size();
    std::vector<float> errors(n);
    for (std::size_t c = 0; c < n; ++c) {
      for (std::size_t r = 0; r < n_receptors; ++r) {
        errors[c] = std::max(errors[c], cell_errors[(first + c) * n_receptors + r]);
      }
    }
    const float limit = std::max(kLeastError, kTimesTheMedian * Median(errors));
    std::size_t low = 0, high = 0;
    while (low < n / 4 && errors[low] > limit) edges.push_back(first + low++);
    while (high < n / 4 && errors[n - 1 - high] > limit) edges.push_back(first + n - 1 - high++);
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
