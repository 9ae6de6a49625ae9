#include "calibrate/flag_rfi_lane.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace contimg::calibrate {
namespace {

using Ranked = std::vector<std::pair<float, std::size_t>>;

// Values in ascending order with their positions.
Ranked Rank(const float* rms, std::size_t stride, std::size_t n) {
  Ranked ranked;
  ranked.reserve(n);
  for (std::size_t i = 0; i < n; ++i) {
    if (rms[i * stride] >= 0) ranked.emplace_back(rms[i * stride], i);
  }
  std::sort(ranked.begin(), ranked.end());
  return ranked;
}

double Median(const Ranked& ranked, std::size_t begin, std::size_t end) {
  const std::size_t n = end - begin, middle = begin + n / 2;
  return n % 2 == 1 ? ranked[middle].first : 0.5 * (double{ranked[middle - 1].first} + double{ranked[middle].first});
}

// What deviates lies at the ends of the ranked values, so what is left is always one range.
std::vector<std::size_t> Outliers(const Ranked& ranked, double threshold, bool new_median) {
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

}  // namespace contimg::calibrate
