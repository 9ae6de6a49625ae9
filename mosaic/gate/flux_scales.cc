#include "mosaic/gate/flux_scales.h"

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "mosaic/find/peaks.h"
#include "mosaic/photometry/clusters.h"
#include "mosaic/tile/image_reader.h"

namespace contimg::mosaic {
namespace {

constexpr std::size_t kLeastReferences = 3;  // of a pair
constexpr double kFractionalError = 0.01;    // of each flux besides the noise

struct LogRatio {
  double value = 0, weight = 0;
};

double WeightedMedian(std::vector<LogRatio> ratios) {
  std::sort(ratios.begin(), ratios.end(), [](const LogRatio& a, const LogRatio& b) { return a.value < b.value; });
  double total = 0, sum = 0;
  for (const LogRatio& r : ratios) total += r.weight;
  for (std::size_t i = 0; i < ratios.size(); ++i) {
    sum += ratios[i].weight;
    if (sum > total / 2) return ratios[i].value;
    if (sum == total / 2 && i + 1 < ratios.size()) return (ratios[i].value + ratios[i + 1].value) / 2;
  }
  return 0;
}

double LogError(const ScaleReference& r) { return std::hypot(r.error_jy / r.flux_jy, kFractionalError); }

// ln(flux in a / flux in b) of what both have; `marked`: those of a.
std::vector<LogRatio> Shared(const std::vector<ScaleReference>& a, const std::vector<ScaleReference>& b,
                             double match_rad, std::vector<char>& marked_a, std::vector<char>& marked_b) {
  std::vector<std::size_t> order(b.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](std::size_t i, std::size_t j) { return b[i].direction[2] < b[j].direction[2]; });
  std::vector<LogRatio> ratios;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const Vector3& at = a[i].direction;
    const auto begin = std::lower_bound(order.begin(), order.end(), at[2] - match_rad,
                                        [&](std::size_t k, double z) { return b[k].direction[2] < z; });
    std::optional<std::size_t> nearest;
    double distance2 = match_rad * match_rad;
    for (auto k = begin; k != order.end() && b[*k].direction[2] <= at[2] + match_rad; ++k) {
      double d2 = 0;
      for (std::size_t c = 0; c < 3; ++c) d2 += std::pow(at[c] - b[*k].direction[c], 2);
      if (d2 < distance2) distance2 = d2, nearest = *k;
    }
    if (!nearest) continue;
    const ScaleReference& other = b[*nearest];
    const double error = std::hypot(LogError(a[i]), LogError(other));
    ratios.push_back({std::log(a[i].flux_jy / other.flux_jy), 1 / (error * error)});
    marked_a[i] = marked_b[*nearest] = 1;
  }
  return ratios;
}

// Standard error of a weighted median: that of the mean times √(π/2), more where ratios scatter more than they should.
double ErrorOfMedian(const std::vector<LogRatio>& ratios, double median) {
  double weight = 0;
  std::vector<double> pulls;
  for (const LogRatio& r : ratios) {
    weight += r.weight;
    pulls.push_back(std::abs(r.value - median) * std::sqrt(r.weight));
  }
  std::nth_element(pulls.begin(), pulls.begin() + static_cast<std::ptrdiff_t>(pulls.size() / 2), pulls.end());
  return 1.2533 * std::max(1.0, 1.4826 * pulls[pulls.size() / 2]) / std::sqrt(weight);
}

}  // namespace

std::vector<ScaleReference> FindReferences(const TileImages& images, const image::CoarseMap& rms,
                                           const std::function<double(double x, double y)>& response_at,
                                           const ReferenceLimits& limits, int threads) {
  const double cell = images.header->geometry.cell_rad;
  const BeamPixels beam(*images.header->beam, cell);
  const ImageReader reader(images.image, BandOf(*images.header->beam, cell));
  const std::vector<Peak> peaks = FindPeaks(images.image, reader, images, rms, {limits.neighbour_snr, 0, 1}, threads);
  std::vector<image::PixelPosition> places;
  for (const Peak& peak : peaks) places.push_back({peak.x, peak.y});
  const auto near = NearPlaces(places, places, beam, limits.alone_widths, true);
  const GridAxes axes({images.header->centre, images.header->geometry});
  std::vector<ScaleReference> references;
  for (std::size_t i = 0; i < peaks.size(); ++i) {
    const Peak& peak = peaks[i];
    if (!near[i].empty() || !(peak.value > limits.min_snr * peak.sigma)) continue;
    const double response = response_at(peak.x, peak.y);
    const auto direction = axes.DirectionAt(peak.x, peak.y);
    if (!(response >= limits.min_response) || !direction) continue;
    references.push_back(
        {*direction, (peak.value - peak.sigma * peak.sigma / peak.value) / response, peak.sigma / response});
  }
  return references;
}

std::vector<TileScale> SolveScales(const std::vector<std::vector<ScaleReference>>& tiles, double match_rad) {
  const std::size_t n = tiles.size();
  std::vector<std::vector<char>> shared(n);
  for (std::size_t i = 0; i < n; ++i) shared[i].assign(tiles[i].size(), 0);
  // Normal equations of ln f_i − ln f_j = ln r_ij.
  const auto size = static_cast<Eigen::Index>(n);
  Eigen::MatrixXd normal = Eigen::MatrixXd::Zero(size, size);
  Eigen::VectorXd right = Eigen::VectorXd::Zero(size);
  std::vector<std::size_t> group(n);
  std::iota(group.begin(), group.end(), std::size_t{0});
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = i + 1; j < n; ++j) {
      std::vector<char> in_i = shared[i], in_j = shared[j];
      const std::vector<LogRatio> ratios = Shared(tiles[i], tiles[j], match_rad, in_i, in_j);
      if (ratios.size() < kLeastReferences) continue;
      shared[i] = in_i, shared[j] = in_j;
      const double ratio = WeightedMedian(ratios), weight = std::pow(ErrorOfMedian(ratios, ratio), -2);
      const auto a = static_cast<Eigen::Index>(i), b = static_cast<Eigen::Index>(j);
      normal(a, a) += weight, normal(b, b) += weight;
      normal(a, b) -= weight, normal(b, a) -= weight;
      right[a] += weight * ratio, right[b] -= weight * ratio;
      const std::size_t from = std::max(group[i], group[j]), to = std::min(group[i], group[j]);
      std::replace(group.begin(), group.end(), from, to);
    }
  }
  std::vector<TileScale> scales(n);
  for (std::size_t g = 0; g < n; ++g) {
    std::vector<Eigen::Index> members;
    for (std::size_t i = 0; i < n; ++i) {
      if (group[i] == g) members.push_back(static_cast<Eigen::Index>(i));
    }
    if (members.size() < 2) continue;
    const auto m = static_cast<Eigen::Index>(members.size());
    // The equations leave the sum of the logarithms open: it is held at 0.
    Eigen::MatrixXd part = Eigen::MatrixXd::Constant(m, m, normal(members[0], members[0]) / static_cast<double>(m));
    Eigen::VectorXd value(m);
    for (Eigen::Index a = 0; a < m; ++a) {
      const Eigen::Index i = members[static_cast<std::size_t>(a)];
      value[a] = right[i];
      for (Eigen::Index b = 0; b < m; ++b) part(a, b) += normal(i, members[static_cast<std::size_t>(b)]);
    }
    const Eigen::LDLT<Eigen::MatrixXd> solver(part);
    const Eigen::VectorXd logs = solver.solve(value);
    const Eigen::MatrixXd covariance = solver.solve(Eigen::MatrixXd::Identity(m, m));
    std::vector<double> sorted(logs.data(), logs.data() + m);
    std::sort(sorted.begin(), sorted.end());
    const double median = (sorted[(sorted.size() - 1) / 2] + sorted[sorted.size() / 2]) / 2;
    for (Eigen::Index a = 0; a < m; ++a) {
      const auto i = static_cast<std::size_t>(members[static_cast<std::size_t>(a)]);
      scales[i].references = static_cast<std::size_t>(std::count(shared[i].begin(), shared[i].end(), 1));
      scales[i].scale = std::exp(logs[a] - median);
      scales[i].error = scales[i].scale * std::sqrt(std::max(0.0, covariance(a, a)));
    }
  }
  return scales;
}

}  // namespace contimg::mosaic
