#include "image/tile_summary.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "config/parallel.h"
#include "config/units.h"

namespace contimg::image {
namespace {

bool IsParallelHand(Polarisation p) {
  return p == Polarisation::kXX || p == Polarisation::kYY || p == Polarisation::kRR || p == Polarisation::kLL ||
         p == Polarisation::kI;
}

std::vector<std::size_t> ParallelHands(const VisibilityBlock& block) {
  std::vector<std::size_t> hands;
  for (std::size_t p = 0; p < block.n_pols(); ++p) {
    if (IsParallelHand(block.polarisations[p])) hands.push_back(p);
  }
  return hands;
}

// Differences of neighbouring channels in units of their expected rms for weight 1, from about 400 000 samples.
double NoiseOfUnitWeight(const VisibilityBlock& block, const std::vector<std::size_t>& hands) {
  const auto vis = block.vis_view();
  const auto flag = block.flag_view();
  const auto weight = block.weight_view();
  const std::size_t rows = block.n_times() * block.n_baselines();
  const std::size_t stride = std::max<std::size_t>(1, rows * block.n_channels() * hands.size() / 400000);
  std::vector<float> differences;
  for (std::size_t row = 0; row < rows; row += stride) {
    const std::size_t t = row / block.n_baselines(), b = row % block.n_baselines();
    if (block.baselines[b].is_auto()) continue;
    for (std::size_t k = 0; k + 1 < block.n_channels(); ++k) {
      for (std::size_t p : hands) {
        const float w1 = weight(t, b, k, p), w2 = weight(t, b, k + 1, p);
        if (flag(t, b, k, p) != 0 || flag(t, b, k + 1, p) != 0 || !(w1 > 0) || !(w2 > 0)) continue;
        const Visibility difference = vis(t, b, k + 1, p) - vis(t, b, k, p);
        const float scale = 1 / std::sqrt(1 / w1 + 1 / w2);
        differences.push_back(std::abs(difference.real()) * scale);
        differences.push_back(std::abs(difference.imag()) * scale);
      }
    }
  }
  if (differences.empty()) return 0;
  const auto middle = differences.begin() + static_cast<std::ptrdiff_t>(differences.size() / 2);
  std::nth_element(differences.begin(), middle, differences.end());
  return 1.4826 * static_cast<double>(*middle);
}

std::vector<TileSummary::UvPoint> SampleCoverage(const VisibilityBlock& block, std::size_t max_points) {
  const auto uvw = block.uvw_view();
  const std::size_t n_baselines = block.n_baselines(), rows = block.n_times() * n_baselines;
  constexpr std::size_t kChannels = 5;  // across the band
  // A stride that shares no factor with the number of baselines, so that all of them are met.
  std::size_t stride = std::max<std::size_t>(1, rows * kChannels / std::max<std::size_t>(1, max_points));
  while (std::gcd(stride, n_baselines) != 1) ++stride;
  std::vector<TileSummary::UvPoint> points;
  for (std::size_t row = 0; row < rows; row += stride) {
    const std::size_t t = row / n_baselines, b = row % n_baselines;
    if (block.baselines[b].is_auto()) continue;
    for (std::size_t c = 0; c < kChannels; ++c) {
      const double scale = block.frequency_hz[c * (block.n_channels() - 1) / (kChannels - 1)] / kSpeedOfLight;
      points.push_back({static_cast<float>(uvw(t, b, 0) * scale), static_cast<float>(uvw(t, b, 1) * scale)});
    }
  }
  return points;
}

}  // namespace

TileSummary SummariseTile(const VisibilityBlock& block, std::size_t max_uv_points, int threads) {
  const std::vector<std::size_t> hands = ParallelHands(block);
  const std::size_t n_baselines = block.n_baselines(), n_channels = block.n_channels(), n_pols = block.n_pols();
  const auto flag = block.flag_view();
  struct Count {
    std::vector<std::size_t> by_channel;
    std::vector<std::size_t> by_baseline;
  };
  std::vector<Count> counts(block.n_times());
  ParallelFor(threads, block.n_times(), [&](std::size_t t) {
    Count& count = counts[t];
    count.by_channel.assign(n_channels, 0);
    count.by_baseline.assign(n_baselines, 0);
    for (std::size_t b = 0; b < n_baselines; ++b) {
      if (block.baselines[b].is_auto()) continue;
      const std::uint8_t* row = &flag(t, b, 0, 0);
      for (std::size_t k = 0; k < n_channels; ++k) {
        std::size_t bad = 0;
        for (std::size_t p : hands) bad += row[k * n_pols + p] != 0 ? 1 : 0;
        count.by_channel[k] += bad;
        count.by_baseline[b] += bad;
      }
    }
  });
  const double per_time = static_cast<double>(hands.size());
  std::size_t n_cross = 0;
  std::vector<double> bad_channel(n_channels), bad_antenna(block.antennas.size()), all_antenna(block.antennas.size());
  double bad = 0;
  for (std::size_t b = 0; b < n_baselines; ++b) {
    if (block.baselines[b].is_auto()) continue;
    ++n_cross;
    double sum = 0;
    for (const Count& count : counts) sum += static_cast<double>(count.by_baseline[b]);
    bad += sum;
    for (int antenna : {block.baselines[b].antenna1, block.baselines[b].antenna2}) {
      const auto a = static_cast<std::size_t>(antenna);
      bad_antenna[a] += sum;
      all_antenna[a] += per_time * static_cast<double>(block.n_times() * n_channels);
    }
  }
  for (const Count& count : counts) {
    for (std::size_t k = 0; k < n_channels; ++k) bad_channel[k] += static_cast<double>(count.by_channel[k]);
  }
  TileSummary summary;
  const double per_channel = per_time * static_cast<double>(n_cross * block.n_times());
  if (per_channel > 0) {
    summary.flagged_fraction = bad / (per_channel * static_cast<double>(n_channels));
    for (double count : bad_channel) summary.flagged_by_channel.push_back(count / per_channel);
  }
  for (std::size_t a = 0; a < bad_antenna.size(); ++a) {
    const double fraction =
        all_antenna[a] > 0 ? bad_antenna[a] / all_antenna[a] : std::numeric_limits<double>::quiet_NaN();
    summary.flagged_by_antenna.push_back(fraction);
    if (fraction >= 1) ++summary.dead_antennas;
  }
  summary.noise_of_unit_weight = NoiseOfUnitWeight(block, hands);
  summary.uv = SampleCoverage(block, max_uv_points);
  return summary;
}

}  // namespace contimg::image
