#include "convert/unusable_samples.h"

#include <fmt/format.h>

#include <atomic>

#include "config/parallel.h"
#include "ingest/absurd_weights.h"

namespace contimg::convert {

void DropUnusable(VisibilityBlock& block, const VisibilityParts& vis, const std::string& path,
                  const RunContext& context) {
  const std::size_t n_baselines = block.n_baselines(), cell = block.n_channels() * block.n_pols();
  const float limit = ingest::WeightLimit(block);
  std::atomic<std::size_t> zeros{0}, heavy{0};
  ParallelFor(context.threads, block.n_times(), [&](std::size_t t) {
    std::size_t absurd = 0;
    for (std::size_t b = 0; b < n_baselines; ++b) {
      if (block.baselines[b].is_auto()) continue;
      const std::size_t first = (t * n_baselines + b) * cell;
      for (std::size_t i = first; i < first + cell; ++i) {
        if (block.flag[i] != 0 || !(block.weight[i] > limit)) continue;
        block.weight[i] = 0;
        ++absurd;
      }
    }
    heavy += absurd;
  });
  if (block.data_state == DataState::kCorrected) {
    vis.ForEach([&](const VisibilityPart& part) {
      ParallelFor(context.threads, part.end_time - part.first_time, [&](std::size_t t) {
        const Visibility* values = part.vis + t * n_baselines * cell;
        std::uint8_t* flags = block.flag.data() + (part.first_time + t) * n_baselines * cell;
        std::size_t zero = 0;
        for (std::size_t i = 0; i < n_baselines * cell; ++i) {
          if (flags[i] != 0 || values[i] != Visibility(0)) continue;
          flags[i] = 1;
          ++zero;
        }
        zeros += zero;
      });
    });
  }
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
