#include "ingest/absurd_weights.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "config/parallel.h"
#include "config/robust_statistics.h"

namespace contimg::ingest {
namespace {

constexpr float kMostOverMedian = 1000;
constexpr std::size_t kSampled = 100000;

}  // namespace

float LargestCredibleWeight(const VisibilityBlock& block) {
  const std::size_t n = block.weight.size(), row = std::max<std::size_t>(1, block.n_channels() * block.n_pols());
  std::size_t stride = std::max<std::size_t>(1, n / kSampled);
  while (std::gcd(stride, row) != 1) ++stride;  // meets all channels and products
  std::vector<float> positive;
  for (std::size_t i = 0; i < n; i += stride) {
    const float w = block.weight[i];
    if (w > 0 && std::isfinite(w)) positive.push_back(w);
  }
  if (positive.empty()) return std::numeric_limits<float>::infinity();
  return kMostOverMedian * TakeMedian(positive);
}

DroppedWeights DropWeightsAbove(float limit, std::size_t n_times, VisibilityBlock& block, int threads) {
  std::vector<DroppedWeights> parts(n_times);
  const std::size_t per_time = block.n_times() > 0 ? block.weight.size() / block.n_times() : 0;
  ParallelFor(threads, n_times, [&](std::size_t t) {
    DroppedWeights& part = parts[t];
    for (std::size_t i = t * per_time; i < (t + 1) * per_time; ++i) {
      float& w = block.weight[i];
      if (!(w > limit)) {
        part.largest = std::max(part.largest, w);
        continue;
      }
      w = 0;
      ++part.samples;
      if (block.flag[i] == 0) ++part.unflagged;
      block.flag[i] = 1;
    }
  });
  DroppedWeights sum;
  for (const DroppedWeights& part : parts) {
    sum.samples += part.samples;
    sum.unflagged += part.unflagged;
    sum.largest = std::max(sum.largest, part.largest);
  }
  return sum;
}

}  // namespace contimg::ingest
