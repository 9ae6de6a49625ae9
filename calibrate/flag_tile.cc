#include "calibrate/flag_tile.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <iterator>
#include <numeric>
#include <utility>

#include "calibrate/flag_aoflagger.h"
#include "calibrate/flag_rfi.h"
#include "calibrate/lost_sky.h"
#include "config/error.h"
#include "config/parallel.h"

namespace contimg::calibrate {
namespace {

constexpr std::uint32_t kMagnitude = 0x7fffffffu, kInfinity = 0x7f800000u;

// Whether a row of complex values holds a zero or something that is not finite. Vectorises; nearly always false.
bool HasInvalid(const Visibility* vis, std::size_t n) {
  std::uint32_t invalid = 0;
  const float* x = reinterpret_cast<const float*>(vis);
  for (std::size_t i = 0; i < n; ++i) {
    std::uint32_t re, im;
    std::memcpy(&re, x + 2 * i, sizeof re);
    std::memcpy(&im, x + 2 * i + 1, sizeof im);
    re &= kMagnitude;
    im &= kMagnitude;
    invalid |= static_cast<std::uint32_t>((re | im) == 0) | static_cast<std::uint32_t>(re >= kInfinity) |
               static_cast<std::uint32_t>(im >= kInfinity);
  }
  return invalid != 0;
}

bool IsFinite(Visibility v) { return std::isfinite(v.real()) && std::isfinite(v.imag()); }

using Reasons = std::array<std::size_t, kFlagReasons>;
std::size_t& At(Reasons& reasons, FlagReason reason) { return reasons[static_cast<std::size_t>(reason)]; }

// Adds to `reasons`, also for rows that do not exist (their samples count as flagged before).
void FlagRow(const Visibility* vis, std::uint8_t* flag, std::size_t n, const std::vector<std::uint8_t>& bad_samples,
             bool is_auto, Reasons& reasons) {
  const bool fresh = std::memchr(flag, 1, n) == nullptr;
  if (fresh && !is_auto && bad_samples.empty() && !HasInvalid(vis, n)) return;
  for (std::size_t i = 0; i < n; ++i) {
    FlagReason reason = FlagReason::kInput;
    if (flag[i] == 0) {
      if (!IsFinite(vis[i])) {
        reason = FlagReason::kNonFinite;
      } else if (vis[i] == Visibility(0)) {
        reason = FlagReason::kZero;
      } else if (is_auto) {
        reason = FlagReason::kAutocorrelation;
      } else if (!bad_samples.empty() && bad_samples[i] != 0) {
        reason = FlagReason::kBadBand;
      } else {
        continue;
      }
    }
    flag[i] = 1;
    ++At(reasons, reason);
  }
}

// Per [channel][pol], 1 inside a bad band; empty when there is none.
std::vector<std::uint8_t> BadSamples(const VisibilityBlock& block, const FlagSettings& settings) {
  std::vector<std::uint8_t> bad;
  for (const auto& [low, high] : ParseBands(settings.bad_bands_mhz)) {
    for (std::size_t c = 0; c < block.n_channels(); ++c) {
      // A channel is bad when it overlaps the band.
      const double half = block.channel_width_hz / 2, f = block.frequency_hz[c];
      if (f + half <= low || f - half >= high) continue;
      bad.resize(block.n_channels() * block.n_pols());
      std::fill_n(bad.begin() + static_cast<std::ptrdiff_t>(c * block.n_pols()), block.n_pols(), std::uint8_t{1});
    }
  }
  return bad;
}

Reasons FlagInvalid(VisibilityBlock& block, const FlagSettings& settings, int threads) {
  const std::vector<std::uint8_t> bad_samples = BadSamples(block, settings);
  const std::size_t samples = block.n_channels() * block.n_pols(), nb = block.n_baselines();
  std::vector<Reasons> parts(block.n_times());
  ParallelFor(threads, block.n_times(), [&](std::size_t t) {
    for (std::size_t b = 0; b < nb; ++b) {
      const std::size_t at = (t * nb + b) * samples;
      FlagRow(block.vis.data() + at, block.flag.data() + at, samples, bad_samples, block.baselines[b].is_auto(),
              parts[t]);
    }
  });
  Reasons total{};
  for (const Reasons& part : parts) {
    for (std::size_t i = 0; i < kFlagReasons; ++i) total[i] += part[i];
  }
  At(total, FlagReason::kInput) -= AbsentSamples(block);
  return total;
}

// Returns how many samples it has flagged.
std::size_t FlagDead(VisibilityBlock& block, const std::vector<std::array<char, 2>>& dead, int threads) {
  const std::size_t np = block.n_pols(), nc = block.n_channels(), nb = block.n_baselines();
  std::vector<std::size_t> fresh(nb);
  ParallelFor(threads, nb, [&](std::size_t b) {
    if (block.baselines[b].is_auto()) return;
    const auto& dead1 = dead[static_cast<std::size_t>(block.baselines[b].antenna1)];
    const auto& dead2 = dead[static_cast<std::size_t>(block.baselines[b].antenna2)];
    for (std::size_t p = 0; p < np; ++p) {
      const auto r = Receptors(block.polarisations[p]);
      if (dead1[r[0]] == 0 && dead2[r[1]] == 0) continue;
      for (std::size_t t = 0; t < block.n_times(); ++t) {
        std::uint8_t* flag = block.flag.data() + (t * nb + b) * nc * np;
        for (std::size_t c = 0; c < nc; ++c) {
          fresh[b] += flag[c * np + p] == 0 ? 1 : 0;
          flag[c * np + p] = 1;
        }
      }
    }
  });
  return std::accumulate(fresh.begin(), fresh.end(), std::size_t{0});
}

std::size_t FlaggedSamples(const FlagReport& report) {
  std::size_t flagged = 0;
  for (const FlagCount& baseline : report.baselines) flagged += baseline.flagged;
  return flagged;
}

// Cross-correlations with at least one unflagged sample.
std::vector<std::size_t> BaselinesToSearch(const VisibilityBlock& block, const FlagTally& tally) {
  std::vector<std::size_t> baselines;
  const std::size_t np = block.n_pols();
  for (std::size_t b = 0; b < block.n_baselines(); ++b) {
    std::size_t flagged = 0;
    for (std::size_t p = 0; p < np; ++p) flagged += tally.by_plane[b * np + p];
    if (!block.baselines[b].is_auto() && flagged < np * tally.samples_by_baseline[b]) baselines.push_back(b);
  }
  return baselines;
}

}  // namespace

std::vector<std::pair<double, double>> ParseBands(const std::string& text) {
  std::vector<std::pair<double, double>> bands;
  std::string compact;
  std::remove_copy(text.begin(), text.end(), std::back_inserter(compact), ' ');
  const char* at = compact.data();
  const char* const end = at + compact.size();
  while (at != end) {
    double low = 0, high = 0;
    const auto first = std::from_chars(at, end, low);
    const bool dash = first.ec == std::errc() && first.ptr != end && *first.ptr == '-';
    const auto second = std::from_chars(dash ? first.ptr + 1 : end, end, high);
    if (!dash || second.ec != std::errc() || !(low < high) || (second.ptr != end && *second.ptr != ',')) {
      throw Error(ErrorKind::kUsage, "flag", "flag.bad_bands_mhz",
                  fmt::format("expected bands as low-high in MHz separated by commas, found '{}'", text));
    }
    bands.emplace_back(low * 1e6, high * 1e6);
    at = second.ptr == end ? end : second.ptr + 1;
  }
  return bands;
}

void ExtendFlags(ArrayView<std::uint8_t, 4> flag, ArrayView<const std::uint8_t, 4> before, std::size_t times,
                 std::size_t channels, int threads) {
  if (times == 0 && channels == 0) return;
  const auto [nt, nb, nc, np] = flag.shape();
  ParallelFor(threads, nb, [&, nt = nt, nc = nc, np = np](std::size_t b) {
    // The new flags are taken down first, so that the extension does not extend itself.
    std::vector<std::uint8_t> fresh(nt * nc * np);
    bool any = false;
    for (std::size_t t = 0; t < nt; ++t) {
      for (std::size_t i = 0; i < nc * np; ++i) {
        const bool is_new = flag[t][b].data()[i] != 0 && before[t][b].data()[i] == 0;
        fresh[t * nc * np + i] = is_new;
        any = any || is_new;
      }
    }
    if (!any) return;
    for (std::size_t t = 0; t < nt; ++t) {
      for (std::size_t i = 0; i < nc * np; ++i) {
        if (fresh[t * nc * np + i] == 0) continue;
        const std::size_t c = i / np, p = i % np;
        for (std::size_t t2 = t - std::min(t, times); t2 <= std::min(nt - 1, t + times); ++t2) {
          for (std::size_t c2 = c - std::min(c, channels); c2 <= std::min(nc - 1, c + channels); ++c2) {
            flag(t2, b, c2, p) = 1;
          }
        }
      }
    }
  });
}

FlagReport FlagTile(VisibilityBlock& block, const FlagSettings& settings, int threads) {
  Reasons reasons = FlagInvalid(block, settings, threads);
  FlagTally tally = TallyFlags(block, threads);
  std::size_t before = tally.total;
  const auto dead = DeadReceptors(block, tally, settings.dead_antenna_fraction);
  if (std::any_of(dead.begin(), dead.end(), [](const auto& receptors) { return receptors[0] + receptors[1] != 0; })) {
    FlagDead(block, dead, threads);
    tally = TallyFlags(block, threads);
  }
  At(reasons, FlagReason::kDeadAntenna) = tally.total - before;
  FlagReport report;
  if (settings.enabled) {
    const auto extend_times = static_cast<std::size_t>(settings.extend_times);
    const auto extend_channels = static_cast<std::size_t>(settings.extend_channels);
    Buffer<std::uint8_t> kept;
    if (extend_times + extend_channels > 0) {
      kept = Buffer<std::uint8_t>(block.flag.size());
      std::copy(block.flag.begin(), block.flag.end(), kept.begin());
    }
    const auto search = settings.engine == "aoflagger" ? &FlagWithAoflagger : &FlagRfi;
    before = tally.total;
    search(block.vis_view(), block.flag_view(), BaselinesToSearch(block, tally), settings, threads);
    if (!kept.empty()) {
      const std::size_t found = TallyFlags(block, threads).total;
      At(reasons, FlagReason::kInterference) = found - before;
      ExtendFlags(block.flag_view(), {kept.data(), block.shape()}, extend_times, extend_channels, threads);
      before = found;
    }
    LostSky sky = FindLostSky(block, settings, threads);
    if (sky.Count(SkyVerdict::kLost) > 0) {
      std::vector<std::array<char, 2>> lost;
      for (const auto& both : sky.receptors) {
        lost.push_back({both[0].verdict == SkyVerdict::kLost, both[1].verdict == SkyVerdict::kLost});
      }
      At(reasons, FlagReason::kLostSky) = FlagDead(block, lost, threads);
    }
    report = {CountFlags(block, settings.dead_antenna_fraction, threads), {}, {}};
    At(reasons, kept.empty() ? FlagReason::kInterference : FlagReason::kExtension) =
        FlaggedSamples(report) - At(reasons, FlagReason::kLostSky) - before;
    report.sky = std::move(sky);
  } else {
    report = {CountFlags(block, settings.dead_antenna_fraction, threads), {}, {}};
  }
  report.by_reason = reasons;
  return report;
}

}  // namespace contimg::calibrate
