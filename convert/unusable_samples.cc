#include "convert/unusable_samples.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <vector>

#include "config/parallel.h"

namespace contimg::convert {
namespace {

constexpr std::size_t kSamplesForMedian = 200000;

// Infinity when nothing weighs.
float WeightLimit(const VisibilityBlock& block) {
  const std::size_t n_baselines = block.n_baselines(), cell = block.n_channels() * block.n_pols();
  const std::size_t n_cells = block.n_times() * n_baselines;
  const std::size_t step = std::max<std::size_t>(1, n_cells * cell / kSamplesForMedian);
  std::vector<float> weights;
  for (std::size_t i = 0; i < n_cells * cell; i += step) {
    if (block.baselines[i / cell % n_baselines].is_auto()) continue;
    if (block.flag[i] == 0 && block.weight[i] > 0) weights.push_back(block.weight[i]);
  }
  if (weights.empty()) return std::numeric_limits<float>::infinity();
  const auto middle = weights.begin() + static_cast<std::ptrdiff_t>(weights.size() / 2);
  std::nth_element(weights.begin(), middle, weights.end());
  return kLargestWeight * *middle;
}

}  // namespace

void DropUnusable(VisibilityBlock& block, const std::string& path, const RunContext& context) {
  const std::size_t cell = block.n_channels() * block.n_pols();
  const float limit = WeightLimit(block);
  const bool corrected = block.data_state == DataState::kCorrected;
  std::atomic<std::size_t> zeros{0}, heavy{0};
  ParallelFor(context.threads, block.n_times(), [&](std::size_t t) {
    std::size_t zero = 0, absurd = 0;
    for (std::size_t b = 0; b < block.n_baselines(); ++b) {
      const std::size_t first = (t * block.n_baselines() + b) * cell;
      const bool cross = !block.baselines[b].is_auto();
      for (std::size_t i = first; i < first + cell; ++i) {
        if (block.flag[i] != 0) continue;
        if (cross && block.weight[i] > limit) {
          block.weight[i] = 0;
          ++absurd;
        }
        if (corrected && block.vis[i] == Visibility(0)) {
          block.flag[i] = 1;
          ++zero;
        }
      }
    }
    zeros += zero;
    heavy += absurd;
  });
  if (zeros > 0) {
    context.reporter->Warn("read", fmt::format("{}: {} samples of CORRECTED_DATA are exactly 0, as in rows that were "
                                               "never calibrated: flagged",
                                               path, zeros.load()));
  }
  if (heavy > 0) {
    context.reporter->Warn("read", fmt::format("{}: {} weights are above {:g}, {:g} times the median weight: not used",
                                               path, heavy.load(), limit, kLargestWeight));
  }
}

}  // namespace contimg::convert
