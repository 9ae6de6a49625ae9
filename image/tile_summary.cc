#include "image/tile_summary.h"

#include <algorithm>
#include <cmath>
#include <numeric>

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

TileSummary SummariseTile(const VisibilityBlock& block, std::size_t max_uv_points, double dead_limit, int threads) {
  TileSummary summary;
  summary.flags = CountFlags(block, dead_limit, threads);
  summary.noise_of_unit_weight = NoiseOfUnitWeight(block, ParallelHands(block));
  summary.uv = SampleCoverage(block, max_uv_points);
  return summary;
}

}  // namespace contimg::image
