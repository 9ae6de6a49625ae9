#include "ingest/flag_count.h"

#include <algorithm>
#include <cstdint>

#include "config/parallel.h"

namespace contimg {
namespace {

// Whether the input has the row.
bool Exists(const VisibilityBlock& block, std::size_t time, std::size_t baseline, std::size_t window) {
  return block.absent.empty() ||
         block.absent[(time * block.n_baselines() + baseline) * block.windows.size() + window] == 0;
}

// The rows of one baseline: flags per channel and polarisation summed over the times that exist.
void SumTimes(const VisibilityBlock& block, std::size_t baseline, std::vector<std::uint32_t>& sums) {
  const std::size_t samples = block.n_channels() * block.n_pols();
  std::vector<std::uint8_t> part(samples);
  std::fill(sums.begin(), sums.end(), 0u);
  const auto add = [&](const std::uint8_t* flag, std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) part[i] = static_cast<std::uint8_t>(part[i] + (flag[i] != 0));
  };
  for (std::size_t first = 0; first < block.n_times(); first += 255) {
    std::fill(part.begin(), part.end(), std::uint8_t{0});
    for (std::size_t t = first; t < std::min(block.n_times(), first + 255); ++t) {
      const std::uint8_t* flag = block.flag.data() + (t * block.n_baselines() + baseline) * samples;
      if (block.absent.empty()) {
        add(flag, 0, samples);
        continue;
      }
      for (std::size_t w = 0; w < block.windows.size(); ++w) {
        const SpectralWindow& window = block.windows[w];
        if (!Exists(block, t, baseline, w)) continue;
        add(flag, window.first_channel * block.n_pols(), (window.first_channel + window.n_channels) * block.n_pols());
      }
    }
    for (std::size_t i = 0; i < samples; ++i) sums[i] += part[i];
  }
}

// Fills what of the tally does not depend on flags.
void CountSamples(const VisibilityBlock& block, FlagTally& tally) {
  const std::size_t nt = block.n_times(), nc = block.n_channels(), np = block.n_pols();
  tally.samples_by_baseline.assign(block.n_baselines(), nt * nc);
  tally.samples_by_channel.assign(nc, 0);
  for (std::size_t b = 0; b < block.n_baselines(); ++b) {
    const bool cross = !block.baselines[b].is_auto();
    if (cross) {
      for (std::size_t& samples : tally.samples_by_channel) samples += nt * np;
    }
    if (block.absent.empty()) continue;
    for (std::size_t w = 0; w < block.windows.size(); ++w) {
      const SpectralWindow& window = block.windows[w];
      std::size_t missing = 0;
      for (std::size_t t = 0; t < nt; ++t) missing += Exists(block, t, b, w) ? 0 : 1;
      tally.samples_by_baseline[b] -= missing * window.n_channels;
      if (!cross) continue;
      for (std::size_t c = 0; c < window.n_channels; ++c) {
        tally.samples_by_channel[window.first_channel + c] -= missing * np;
      }
    }
  }
}

// Counts of the planes between receptors that `use` accepts.
template <typename Use>
void ForEachPlane(const VisibilityBlock& block, const Use& use) {
  for (std::size_t b = 0; b < block.n_baselines(); ++b) {
    if (block.baselines[b].is_auto()) continue;
    for (std::size_t p = 0; p < block.n_pols(); ++p) {
      const auto r = Receptors(block.polarisations[p]);
      use(b, p, static_cast<std::size_t>(block.baselines[b].antenna1), r[0],
          static_cast<std::size_t>(block.baselines[b].antenna2), r[1]);
    }
  }
}

using PerReceptor = std::vector<std::array<FlagCount, 2>>;

PerReceptor CountReceptors(const VisibilityBlock& block, const FlagTally& tally,
                           const std::vector<std::array<char, 2>>& dead) {
  PerReceptor counts(block.antennas.size());
  ForEachPlane(block,
               [&](std::size_t b, std::size_t p, std::size_t a1, std::size_t r1, std::size_t a2, std::size_t r2) {
                 const std::size_t samples = tally.samples_by_baseline[b];
                 const std::size_t flagged = tally.by_plane[b * block.n_pols() + p];
                 if (dead[a2][r2] == 0) counts[a1][r1].samples += samples, counts[a1][r1].flagged += flagged;
                 if (dead[a1][r1] == 0) counts[a2][r2].samples += samples, counts[a2][r2].flagged += flagged;
               });
  return counts;
}

}  // namespace

std::array<std::size_t, 2> Receptors(Polarisation polarisation) {
  switch (polarisation) {
    case Polarisation::kYY:
    case Polarisation::kLL:
      return {1, 1};
    case Polarisation::kXY:
    case Polarisation::kRL:
      return {0, 1};
    case Polarisation::kYX:
    case Polarisation::kLR:
      return {1, 0};
    default:
      return {0, 0};
  }
}

std::size_t AbsentSamples(const VisibilityBlock& block) {
  std::size_t channels = 0;
  for (std::size_t i = 0; i < block.absent.size(); ++i) {
    if (block.absent[i] != 0) channels += block.windows[i % block.windows.size()].n_channels;
  }
  return channels * block.n_pols();
}

FlagTally TallyFlags(const VisibilityBlock& block, int threads) {
  const std::size_t np = block.n_pols(), nc = block.n_channels(), nb = block.n_baselines();
  FlagTally tally;
  tally.by_plane.resize(nb * np);
  tally.by_channel.resize(nc);
  const std::size_t n_parts = std::min<std::size_t>(nb, 16);
  std::vector<std::vector<std::size_t>> by_channel(n_parts, std::vector<std::size_t>(nc));
  ParallelFor(threads, n_parts, [&](std::size_t part) {
    std::vector<std::uint32_t> sums(nc * np);
    for (std::size_t b = part * nb / n_parts; b < (part + 1) * nb / n_parts; ++b) {
      SumTimes(block, b, sums);
      const bool cross = !block.baselines[b].is_auto();
      for (std::size_t c = 0; c < nc; ++c) {
        for (std::size_t p = 0; p < np; ++p) {
          tally.by_plane[b * np + p] += sums[c * np + p];
          if (cross) by_channel[part][c] += sums[c * np + p];
        }
      }
    }
  });
  for (const auto& part : by_channel) {
    for (std::size_t c = 0; c < nc; ++c) tally.by_channel[c] += part[c];
  }
  for (std::size_t count : tally.by_plane) tally.total += count;
  CountSamples(block, tally);
  return tally;
}

std::vector<std::array<char, 2>> DeadReceptors(const VisibilityBlock& block, const FlagTally& tally, double limit) {
  std::vector<std::array<char, 2>> dead(block.antennas.size(), {0, 0});
  std::vector<std::array<bool, 2>> has_data(block.antennas.size(), {false, false});
  ForEachPlane(block, [&](std::size_t b, std::size_t, std::size_t a1, std::size_t r1, std::size_t a2, std::size_t r2) {
    if (tally.samples_by_baseline[b] > 0) has_data[a1][r1] = has_data[a2][r2] = true;
  });
  for (;;) {
    const PerReceptor counts = CountReceptors(block, tally, dead);
    double worst = limit;
    std::array<char, 2>* victims = nullptr;
    std::size_t receptor = 0;
    for (std::size_t a = 0; a < counts.size(); ++a) {
      for (std::size_t r = 0; r < 2; ++r) {
        // Without a living partner nothing can be done with it either.
        const double fraction = has_data[a][r] && counts[a][r].samples == 0 ? 1.0 : counts[a][r].fraction();
        if (dead[a][r] != 0 || fraction <= worst) continue;
        worst = fraction;
        victims = &dead[a];
        receptor = r;
      }
    }
    if (victims == nullptr) return dead;
    (*victims)[receptor] = 1;
  }
}

FlagCensus CountFlags(const VisibilityBlock& block, double dead_limit, int threads) {
  const FlagTally tally = TallyFlags(block, threads);
  const auto dead = DeadReceptors(block, tally, dead_limit);
  const std::size_t np = block.n_pols();
  FlagCensus census;
  census.antennas.resize(block.antennas.size());
  census.receptors.resize(block.antennas.size());
  census.baselines.resize(block.n_baselines());
  census.channels.resize(block.n_channels());
  for (std::size_t b = 0; b < block.n_baselines(); ++b) {
    census.baselines[b].samples = np * tally.samples_by_baseline[b];
    for (std::size_t p = 0; p < np; ++p) census.baselines[b].flagged += tally.by_plane[b * np + p];
    if (block.baselines[b].is_auto()) continue;
    for (int a : {block.baselines[b].antenna1, block.baselines[b].antenna2}) {
      FlagCount& antenna = census.antennas[static_cast<std::size_t>(a)];
      antenna.samples += census.baselines[b].samples;
      antenna.flagged += census.baselines[b].flagged;
    }
    census.total.samples += census.baselines[b].samples;
    census.total.flagged += census.baselines[b].flagged;
    census.absent += np * (block.n_times() * block.n_channels() - tally.samples_by_baseline[b]);
  }
  for (std::size_t c = 0; c < block.n_channels(); ++c) {
    census.channels[c] = {tally.samples_by_channel[c], tally.by_channel[c]};
  }
  ForEachPlane(block, [&](std::size_t b, std::size_t p, std::size_t a1, std::size_t r1, std::size_t a2,
                          std::size_t r2) {
    const FlagCount count{tally.samples_by_baseline[b], tally.by_plane[b * np + p]};
    const bool alive = dead[a1][r1] == 0 && dead[a2][r2] == 0;
    for (FlagCount* sum : {&census.receptors[a1][r1], &census.receptors[a2][r2], alive ? &census.living : nullptr}) {
      if (sum == nullptr) continue;
      sum->samples += count.samples;
      sum->flagged += count.flagged;
    }
  });
  for (std::size_t a = 0; a < census.receptors.size(); ++a) {
    std::size_t with_data = 0, dead_here = 0;
    for (std::size_t r = 0; r < 2; ++r) {
      if (census.receptors[a][r].samples == 0) continue;
      ++with_data;
      dead_here += dead[a][r] != 0;
    }
    census.receptors_with_data += with_data;
    census.dead_receptors += dead_here;
    if (with_data > 0 && dead_here == with_data) census.dead_antennas.push_back(a);
  }
  return census;
}

}  // namespace contimg
