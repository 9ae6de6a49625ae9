#include "mosaic/variability/flux_scale.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "config/robust_statistics.h"

namespace contimg::mosaic {
namespace {

constexpr double kFarInErrors = 4;

template <typename Point>
double VarianceOf(const Point& p, const ScaleOptions& options) {
  const double systematic = options.floor * p.flux_jy;
  return p.error_jy * p.error_jy + systematic * systematic;
}

class ScaleSolver {
 public:
  ScaleSolver(std::vector<ScalePoint> points, std::size_t sources, std::size_t tiles, const ScaleOptions& options)
      : points_(std::move(points)), options_(options), scales_(tiles), means_(sources), steady_(sources, true) {
    std::erase_if(points_, [&](const ScalePoint& p) { return !(p.flux_jy > options_.min_snr * p.error_jy); });
    std::sort(points_.begin(), points_.end(), [](const ScalePoint& a, const ScalePoint& b) {
      return std::tie(a.source, a.tile, a.flux_jy, a.error_jy) < std::tie(b.source, b.tile, b.flux_jy, b.error_jy);
    });
  }

  std::vector<std::optional<double>> Solve() {
    for (int round = 0; round < options_.rounds; ++round) {
      UpdateMeans(round > 0);
      UpdateScales(round > 0);
      CentreScales();
    }
    UpdateMeans(true);
    std::vector<std::optional<double>> fluxes(means_.size());
    for (const ScalePoint& p : points_) {
      if (steady_[p.source]) fluxes[p.source] = means_[p.source];
    }
    return fluxes;
  }

 private:
  double Scale(const ScalePoint& p) const { return scales_[p.tile].value_or(1); }
  double Variance(const ScalePoint& p) const { return VarianceOf(p, options_); }

  void UpdateMeans(bool judge) {
    for (std::size_t from = 0; from < points_.size();) {
      std::size_t to = from;
      double sum_w = 0, sum_wf = 0;
      for (; to < points_.size() && points_[to].source == points_[from].source; ++to) {
        const double f = Scale(points_[to]), w = 1 / (f * f * Variance(points_[to]));
        sum_w += w;
        sum_wf += w * f * points_[to].flux_jy;
      }
      const double mean = sum_wf / sum_w;
      double chi2 = 0;
      for (std::size_t i = from; i < to; ++i) {
        const double f = Scale(points_[i]), off = f * points_[i].flux_jy - mean;
        chi2 += off * off / (f * f * Variance(points_[i]));
      }
      const auto n = static_cast<double>(to - from);
      means_[points_[from].source] = mean;
      // One tile tells nothing of another one.
      steady_[points_[from].source] = n > 1 && (!judge || chi2 / (n - 1) < options_.max_eta);
      from = to;
    }
  }

  void UpdateScales(bool judge) {
    struct Sums {
      double sf = 0, ss = 0;
      int n = 0;
    };
    std::vector<Sums> sums(scales_.size());
    for (const ScalePoint& p : points_) {
      if (!steady_[p.source]) continue;
      const double mean = means_[p.source], f = Scale(p);
      if (judge && std::abs(f * p.flux_jy - mean) > kFarInErrors * f * std::sqrt(Variance(p))) continue;
      const double w = 1 / Variance(p);
      sums[p.tile].sf += w * p.flux_jy * mean;
      sums[p.tile].ss += w * p.flux_jy * p.flux_jy;
      ++sums[p.tile].n;
    }
    for (std::size_t t = 0; t < scales_.size(); ++t) {
      scales_[t].reset();
      if (sums[t].n < options_.min_references) continue;
      scales_[t] = sums[t].sf / sums[t].ss;
    }
  }

  void CentreScales() {
    std::vector<double> all;
    for (const auto& scale : scales_) {
      if (scale) all.push_back(*scale);
    }
    const double middle = TakeMedian(all, 1.0);
    for (auto& scale : scales_) {
      if (scale) *scale /= middle;
    }
  }

  std::vector<ScalePoint> points_;
  ScaleOptions options_;
  std::vector<std::optional<double>> scales_;
  std::vector<double> means_;
  std::vector<bool> steady_;
};

}  // namespace

std::vector<std::optional<double>> ReferenceFluxes(std::vector<ScalePoint> points, std::size_t sources,
                                                   std::size_t tiles, const ScaleOptions& options) {
  return ScaleSolver(std::move(points), sources, tiles, options).Solve();
}

std::optional<TileScale> ScaleOfTile(const std::vector<ReferencePoint>& points, const ScaleOptions& options) {
  std::vector<double> ratios;
  for (const ReferencePoint& p : points) {
    if (p.flux_jy > options.min_snr * p.error_jy) ratios.push_back(p.reference_jy / p.flux_jy);
  }
  const double about = TakeMedian(ratios, 1.0);
  TileScale scale;
  double sum_sf = 0, sum_ss = 0;
  for (const ReferencePoint& p : points) {
    if (!(p.flux_jy > options.min_snr * p.error_jy)) continue;
    const double variance = VarianceOf(p, options);
    if (std::abs(about * p.flux_jy - p.reference_jy) > kFarInErrors * about * std::sqrt(variance)) continue;
    sum_sf += p.flux_jy * p.reference_jy / variance;
    sum_ss += p.flux_jy * p.flux_jy / variance;
    ++scale.references;
  }
  if (scale.references < options.min_references) return std::nullopt;
  scale.scale = sum_sf / sum_ss;
  scale.error = 1 / std::sqrt(sum_ss);
  return scale;
}

}  // namespace contimg::mosaic
