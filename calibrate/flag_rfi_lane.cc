#include "calibrate/flag_rfi_lane.h"

#include "config/robust_statistics.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <iterator>
#include <utility>

namespace contimg::calibrate {
namespace {

struct Line {
  std::vector<float> rms, lower;       // those that take part; a copy to take medians of
  std::vector<std::size_t> positions;  // of them
};

double Median(Line& line) {
  line.lower = line.rms;
  const std::size_t n = line.lower.size();
  const auto middle = line.lower.begin() + static_cast<std::ptrdiff_t>(n / 2);
  std::nth_element(line.lower.begin(), middle, line.lower.end());
  return n % 2 == 1 ? *middle : 0.5 * (double{*std::max_element(line.lower.begin(), middle)} + double{*middle});
}

std::vector<std::size_t> Outliers(const float* rms, std::size_t stride, std::size_t n, double threshold,
                                  bool new_median) {
  std::vector<std::size_t> found;
  Line line;
  line.rms.reserve(n);
  line.positions.reserve(n);
  for (std::size_t i = 0; i < n; ++i) {
    if (!(rms[i * stride] >= 0)) continue;
    line.rms.push_back(rms[i * stride]);
    line.positions.push_back(i);
  }
  if (line.rms.empty()) return found;
  double median = Median(line);
  while (!line.rms.empty()) {
    double sum = 0;
    for (const float each : line.rms) sum += (each - median) * (each - median);
    const double limit = threshold * std::sqrt(sum / static_cast<double>(line.rms.size()));
    std::size_t kept = 0;
    for (std::size_t i = 0; i < line.rms.size(); ++i) {
      if (std::abs(line.rms[i] - median) > limit) {
        found.push_back(line.positions[i]);
        continue;
      }
      line.rms[kept] = line.rms[i];
      line.positions[kept++] = line.positions[i];
    }
    if (kept == line.rms.size()) break;
    line.rms.resize(kept);
    line.positions.resize(kept);
    if (new_median && kept > 0) median = Median(line);
  }
  return found;
}

}  // namespace

std::vector<std::size_t> TimestepOutliers(const float* rms, std::size_t stride, std::size_t n, double threshold) {
  return Outliers(rms, stride, n, threshold, false);
}

std::vector<std::size_t> ChannelOutliers(const float* rms, std::size_t stride, std::size_t n, double threshold) {
  return Outliers(rms, stride, n, threshold, true);
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
