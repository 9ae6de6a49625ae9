#include "image/quality/tile_summary.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <numeric>

#include "config/parallel.h"
#include "config/robust_statistics.h"
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

// The samples that are imaged: cross-correlations within the limits, unflagged, finite, with weight.
class UsedSamples {
 public:
  UsedSamples(const VisibilityBlock& block, const UvLimits& limits)
      : block_(block), vis_(block.vis_view()), flag_(block.flag_view()), weight_(block.weight_view()) {
    const double scale = block.frequency_hz[block.n_channels() / 2] / kSpeedOfLight;
    const auto uvw = block.uvw_view();
    row_used_.resize(block.n_times() * block.n_baselines());
    for (std::size_t row = 0; row < row_used_.size(); ++row) {
      const std::size_t t = row / block.n_baselines(), b = row % block.n_baselines();
      const double length = std::hypot(uvw(t, b, 0), uvw(t, b, 1)) * scale;
      row_used_[row] = !block.baselines[b].is_auto() && length >= limits.min_lambda &&
                       (limits.max_lambda <= 0 || length <= limits.max_lambda);
    }
  }
  bool Row(std::size_t row) const { return row_used_[row]; }
  std::size_t rows() const { return row_used_.size(); }
  float Weight(std::size_t row, std::size_t k, std::size_t p) const {  // 0: not used
    const std::size_t t = row / block_.n_baselines(), b = row % block_.n_baselines();
    const float w = weight_(t, b, k, p);
    if (flag_(t, b, k, p) != 0 || !(w > 0) || !std::isfinite(w)) return 0;
    const Visibility v = vis_(t, b, k, p);
    return std::isfinite(v.real()) && std::isfinite(v.imag()) ? w : 0;
  }
  Visibility Value(std::size_t row, std::size_t k, std::size_t p) const {
    return vis_(row / block_.n_baselines(), row % block_.n_baselines(), k, p);
  }

 private:
  const VisibilityBlock& block_;
  ArrayView<const Visibility, 4> vis_;
  ArrayView<const std::uint8_t, 4> flag_;
  ArrayView<const float, 4> weight_;
  std::vector<bool> row_used_;
};

// Differences of neighbours in units of their expected rms for weight 1, from about 400 000 samples.
void MeasureNoise(const VisibilityBlock& block, const UsedSamples& used, const std::vector<std::size_t>& hands,
                  TileSummary& summary) {
  constexpr std::size_t kFewest = 100;
  const std::size_t stride = std::max<std::size_t>(1, used.rows() * block.n_channels() * hands.size() / 400000);
  std::vector<double> by_channel, by_time, by_hand;
  const auto add = [&](std::size_t row1, std::size_t k1, std::size_t p1, std::size_t row2, std::size_t k2,
                       std::size_t p2, std::vector<double>& to) {
    const float w1 = used.Weight(row1, k1, p1), w2 = used.Weight(row2, k2, p2);
    if (w1 == 0 || w2 == 0) return;
    // In double precision: between the extremes of float no difference or weight becomes infinite, and no product NaN.
    const std::complex<double> difference =
        std::complex<double>(used.Value(row2, k2, p2)) - std::complex<double>(used.Value(row1, k1, p1));
    const double scale = 1 / std::sqrt(1.0 / w1 + 1.0 / w2);
    to.push_back(std::abs(difference.real()) * scale);
    to.push_back(std::abs(difference.imag()) * scale);
  };
  for (std::size_t row = 0; row < used.rows(); row += stride) {
    if (!used.Row(row)) continue;
    const std::size_t next = row + block.n_baselines();
    for (std::size_t k = 0; k < block.n_channels(); ++k) {
      for (std::size_t p : hands) {
        if (k + 1 < block.n_channels()) add(row, k, p, row, k + 1, p, by_channel);
        if (next < used.rows()) add(row, k, p, next, k, p, by_time);
      }
      if (hands.size() == 2) add(row, k, hands[0], row, k, hands[1], by_hand);
    }
  }
  const auto consider = [&](std::vector<double>& differences, const char* name) {
    if (differences.size() < kFewest) return;
    const double noise = kSigmaPerMad * TakeMedian(differences);
    // Exactly 0: copies of one another, which say nothing.
    if (!(noise > 0)) return;
    if (summary.noise_of_unit_weight > 0 && noise >= summary.noise_of_unit_weight) return;
    summary.noise_of_unit_weight = noise;
    summary.noise_from = name;
  };
  consider(by_channel, "channels");
  consider(by_time, "integrations");
  consider(by_hand, "hands");
}

// Every row, some channels of each, other ones from row to row: at most about ten million samples.
void MeasureOutliers(const VisibilityBlock& block, const UsedSamples& used, const std::vector<std::size_t>& hands,
                     TileSummary& summary, int threads) {
  const std::size_t samples = used.rows() * block.n_channels() * hands.size();
  const std::size_t step = std::max<std::size_t>(1, samples / 10000000);
  struct Part {
    double power = 0;
    std::size_t count = 0;
    std::vector<double> amplitudes;
  };
  std::vector<Part> parts(block.n_times());
  const std::size_t keep = std::max<std::size_t>(1, samples / step / 400000);  // every so many for the median
  ParallelFor(threads, block.n_times(), [&](std::size_t t) {
    Part& part = parts[t];
    for (std::size_t row = t * block.n_baselines(); row < (t + 1) * block.n_baselines(); ++row) {
      if (!used.Row(row)) continue;
      for (std::size_t k = row % step; k < block.n_channels(); k += step) {
        for (std::size_t p : hands) {
          const float w = used.Weight(row, k, p);
          if (w == 0) continue;
          const double power = static_cast<double>(w) * std::norm(std::complex<double>(used.Value(row, k, p)));
          part.power += power;
          if (part.count++ % keep == 0) part.amplitudes.push_back(std::sqrt(power));
        }
      }
    }
  });
  double power = 0;
  std::size_t count = 0;
  std::vector<double> amplitudes;
  for (const Part& part : parts) {
    power += part.power;
    count += part.count;
    amplitudes.insert(amplitudes.end(), part.amplitudes.begin(), part.amplitudes.end());
  }
  const double median = TakeMedian(amplitudes);
  if (count > 0 && median > 0) {
    summary.outlier_power = power / static_cast<double>(count) * std::log(2.0) / (median * median);
  }
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

TileSummary SummariseTile(const VisibilityBlock& block, const UvLimits& limits, std::size_t max_uv_points,
                          double dead_limit, int threads) {
  TileSummary summary;
  summary.flags = CountFlags(block, dead_limit, threads);
  const std::vector<std::size_t> hands = ParallelHands(block);
  const UsedSamples used(block, limits);
  MeasureNoise(block, used, hands, summary);
  MeasureOutliers(block, used, hands, summary, threads);
  summary.uv = SampleCoverage(block, max_uv_points);
  return summary;
}

}  // namespace contimg::image
