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

constexpr std::size_t kSamplesForMedian = 200000;

}  // namespace

float WeightLimit(const VisibilityBlock& block) {
  const std::size_t n_baselines = block.n_baselines(), cell = block.n_channels() * block.n_pols();
  const std::size_t n = block.n_times() * n_baselines * cell;
  std::size_t step = std::max<std::size_t>(1, n / kSamplesForMedian);
  while (std::gcd(step, std::max<std::size_t>(1, cell)) != 1) ++step;  // meets all channels and products
  std::vector<float> weights;
  for (std::size_t i = 0; i < n; i += step) {
    if (block.baselines[i / cell % n_baselines].is_auto()) continue;
    const float w = block.weight[i];
    if (block.flag[i] == 0 && w > 0 && std::isfinite(w)) weights.push_back(w);
  }
  return kLargestWeight * TakeMedian(weights, std::numeric_limits<float>::infinity());
}

DroppedWeights DropWeightsAbove(float limit, std::size_t n_times, VisibilityBlock& block, int threads) {
  std::vector<DroppedWeights> parts(n_times);
  const std::size_t n_baselines = block.n_baselines(), cell = block.n_channels() * block.n_pols();
  ParallelFor(threads, n_times, [&](std::size_t t) {
    DroppedWeights& part = parts[t];
    for (std::size_t b = 0; b < n_baselines; ++b) {
      if (block.baselines[b].is_auto()) continue;
      const std::size_t first = (t * n_baselines + b) * cell;
      for (std::size_t i = first; i < first + cell; ++i) {
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
