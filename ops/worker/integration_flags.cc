#include "ops/worker/integration_flags.h"

#include <algorithm>

#include "config/parallel.h"
#include "ingest/flag_count.h"

namespace contimg::ops {

std::vector<QualityFlags> FlagsOfIntegrations(const VisibilityBlock& block, const Settings& settings, int threads) {
  std::vector<QualityFlags> words(block.n_times(), 0);
  const double most = settings.image.gate_flagged;
  if (!(most > 0)) return words;
  const auto dead = DeadReceptors(block, TallyFlags(block, threads), settings.flag.dead_antenna_fraction);
  const std::size_t n_pols = block.n_pols();
  const auto flags = block.flag_view();
  ParallelFor(threads, block.n_times(), [&](std::size_t time) {
    FlagCount count;
    std::vector<std::size_t> flagged(n_pols);
    for (std::size_t b = 0; b < block.n_baselines(); ++b) {
      const Baseline& baseline = block.baselines[b];
      if (baseline.is_auto()) continue;
      for (std::size_t window = 0; window < block.windows.size(); ++window) {
        if (!block.absent.empty() &&
            block.absent[(time * block.n_baselines() + b) * block.windows.size() + window] != 0) {
          continue;
        }
        const SpectralWindow& each = block.windows[window];
        const std::uint8_t* at = &flags(time, b, each.first_channel, 0);
        std::fill(flagged.begin(), flagged.end(), 0);
        for (std::size_t c = 0; c < each.n_channels; ++c, at += n_pols) {
          for (std::size_t p = 0; p < n_pols; ++p) flagged[p] += at[p] != 0 ? 1 : 0;
        }
        for (std::size_t p = 0; p < n_pols; ++p) {
          const auto receptors = Receptors(block.polarisations[p]);
          if (dead[static_cast<std::size_t>(baseline.antenna1)][receptors[0]] != 0 ||
              dead[static_cast<std::size_t>(baseline.antenna2)][receptors[1]] != 0) {
            continue;
          }
          count.samples += each.n_channels;
          count.flagged += flagged[p];
        }
      }
    }
    if (count.fraction() > most) words[time] = quality::kInterference.mask();
  });
  return words;
}

}  // namespace contimg::ops
