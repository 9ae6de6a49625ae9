#include "calibrate/flag_rfi_lane.h"

#include "config/robust_statistics.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <iterator>
#include <utility>

namespace contimg::calibrate {
namespace {

using RankedRms = std::vector<std::pair<float, std::size_t>>;

// Values in ascending order with their positions.
RankedRms Rank(const float* rms, std::size_t stride, std::size_t n) {
  RankedRms ranked;
  ranked.reserve(n);
  for (std::size_t i = 0; i < n; ++i) {
    if (rms[i * stride] >= 0) ranked.emplace_back(rms[i * stride], i);
  }
  std::sort(ranked.begin(), ranked.end());
  return ranked;
}

double Median(const RankedRms& ranked, std::size_t begin, std::size_t end) {
  const std::size_t n = end - begin, middle = begin + n / 2;
  return n % 2 == 1 ? ranked[middle].first : 0.5 * (double{ranked[middle - 1].first} + double{ranked[middle].first});
}

// What deviates lies at the ends of the ranked values, so what is left is always one range.
std::vector<std::size_t> Outliers(const RankedRms& ranked, double threshold, bool new_median) {
  std::vector<std::size_t> found;
  std::size_t begin = 0, end = ranked.size();
  if (begin == end) return found;
  double median = Median(ranked, begin, end);
  while (begin < end) {
    if (new_median) median = Median(ranked, begin, end);
    double sum = 0;
    for (std::size_t i = begin; i < end; ++i) sum += (ranked[i].first - median) * (ranked[i].first - median);
    const double limit = threshold * std::sqrt(sum / static_cast<double>(end - begin));
    const std::size_t before = end - begin;
    while (begin < end && median - ranked[begin].first > limit) found.push_back(ranked[begin++].second);
    while (begin < end && ranked[end - 1].first - median > limit) found.push_back(ranked[--end].second);
    if (end - begin == before) break;
  }
  return found;
}

}  // namespace

std::vector<std::size_t> TimestepOutliers(const float* rms, std::size_t stride, std::size_t n, double threshold) {
  return Outliers(Rank(rms, stride, n), threshold, false);
}

std::vector<std::size_t> ChannelOutliers(const float* rms, std::size_t stride, std::size_t n, double threshold) {
  return Outliers(Rank(rms, stride, n), threshold, true);
}

bool IsRough(const float* spectrum, std::size_t stride, std::size_t n, float noise) {
  std::vector<float> bends;
  for (std::size_t c = 1; c + 1 < n; ++c) {
    const float before = spectrum[(c - 1) * stride], here = spectrum[c * stride], after = spectrum[(c + 1) * stride];
    if (before >= 0 && here >= 0 && after >= 0) bends.push_back(std::abs(before - 2 * here + after));
  }
  // A typical difference of 1 between two samples is 1/1.128 σ; a second difference has √6 σ and a median of 0.6745 of
  // it.
  constexpr float kMedianBend = 0.6745f * 2.449f / 1.128f;
  return TakeMedian(bends) > 3 * kMedianBend * noise;
}

float FlattenBand(float* amplitude, const PlaneShape& s) {
  constexpr std::size_t kNeighbours = 4;
  std::vector<float> level(s.n_channels), values;
  for (std::size_t c = 0; c < s.n_channels; ++c) {
    values.clear();
    for (std::size_t t = 0; t < s.n_times; ++t) {
      const float a = amplitude[t * s.time_stride + c * s.channel_stride];
      if (a > 0) values.push_back(a);
    }
    level[c] = TakeMedian(values);
  }
  std::vector<float> used = level;
  for (std::size_t c = 0; c < s.n_channels; ++c) {
    values.clear();
    for (std::size_t k = c - std::min(c, kNeighbours); k <= std::min(s.n_channels - 1, c + kNeighbours); ++k) {
      if (k != c && level[k] > 0) values.push_back(level[k]);
    }
    const float around = TakeMedian(values);
    if (around > 0 && level[c] > 3 * around) used[c] = around;
  }
  values.clear();
  std::copy_if(used.begin(), used.end(), std::back_inserter(values), [](float u) { return u > 0; });
  const float typical = TakeMedian(values);
  for (std::size_t c = 0; c < s.n_channels; ++c) {
    if (used[c] == 0) continue;
    for (std::size_t t = 0; t < s.n_times; ++t)
      amplitude[t * s.time_stride + c * s.channel_stride] *= typical / used[c];
  }
  return typical;
}

}  // namespace contimg::calibrate
