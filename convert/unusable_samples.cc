#include "convert/unusable_samples.h"

#include <fmt/format.h>

#include <atomic>

#include "config/parallel.h"
#include "ingest/absurd_weights.h"

namespace contimg::convert {

void DropUnusable(VisibilityBlock& block, const std::string& path, const RunContext& context) {
  const std::size_t cell = block.n_channels() * block.n_pols();
  const float limit = ingest::WeightLimit(block);
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
                                               path, heavy.load(), limit, ingest::kLargestWeight));
  }
}

}  // namespace contimg::convert
