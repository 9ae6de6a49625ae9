#include "mosaic/photometry/clusters.h"

#include <Eigen/Core>
#include <Eigen/Eigenvalues>
#include <algorithm>
#include <limits>
#include <numeric>

namespace contimg::mosaic {
namespace {

// Indices in ascending y.
std::vector<std::size_t> ByHeight(const std::vector<image::PixelPosition>& places) {
  std::vector<std::size_t> order(places.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return places[a].y < places[b].y; });
  return order;
}

std::size_t RootOf(std::vector<std::size_t>& parent, std::size_t i) {
  while (parent[i] != i) i = parent[i] = parent[parent[i]];
  return i;
}

}  // namespace

std::vector<std::vector<std::size_t>> NearPlaces(const std::vector<image::PixelPosition>& places,
                                                 const std::vector<image::PixelPosition>& others,
                                                 const BeamPixels& beam, double widths, bool same) {
  const std::vector<std::size_t> order = ByHeight(others);
  const double reach_x = beam.ReachX(widths), reach_y = beam.ReachY(widths);
  std::vector<std::vector<std::size_t>> near(places.size());
  for (std::size_t i = 0; i < places.size(); ++i) {
    const image::PixelPosition& at = places[i];
    auto next = std::lower_bound(order.begin(), order.end(), at.y - reach_y,
                                 [&](std::size_t k, double y) { return others[k].y < y; });
    for (; next != order.end() && others[*next].y <= at.y + reach_y; ++next) {
      const double dx = others[*next].x - at.x, dy = others[*next].y - at.y;
      if (std::abs(dx) > reach_x || beam.Distance2(dx, dy) >= widths * widths || (same && *next == i)) continue;
      near[i].push_back(*next);
    }
    std::sort(near[i].begin(), near[i].end());
  }
  return near;
}

std::vector<std::vector<std::size_t>> LinkPlaces(const std::vector<image::PixelPosition>& places,
                                                 const BeamPixels& beam, double widths) {
  const auto near = NearPlaces(places, places, beam, widths, true);
  std::vector<std::size_t> parent(places.size());
  std::iota(parent.begin(), parent.end(), std::size_t{0});
  for (std::size_t i = 0; i < places.size(); ++i) {
    for (const std::size_t k : near[i]) {
      const std::size_t a = RootOf(parent, i), b = RootOf(parent, k);
      parent[std::max(a, b)] = std::min(a, b);
    }
  }
  std::vector<std::vector<std::size_t>> groups;
  std::vector<std::size_t> group_of(places.size());
  for (std::size_t i = 0; i < places.size(); ++i) {
    const std::size_t root = RootOf(parent, i);
    if (root == i) {
      group_of[i] = groups.size();
      groups.emplace_back();
    }
    groups[group_of[root]].push_back(i);
  }
  return groups;
}

JointFluxes SolveJointly(const std::vector<image::PixelPosition>& places, const std::vector<double>& values,
                         const BeamPixels& beam) {
  return SolveJointly(places, values, [&](double dx, double dy) { return beam.Value(dx, dy); });
}

JointFluxes SolveJointly(const std::vector<image::PixelPosition>& places, const std::vector<double>& values,
                         const PointResponse& response) {
  JointFluxes result;
  if (places.size() == 1) {
    result.flux = values;
    result.variance = {1};
    return result;
  }
  const auto n = static_cast<Eigen::Index>(places.size());
  Eigen::MatrixXd k(n, n);
  for (Eigen::Index i = 0; i < n; ++i) {
    for (Eigen::Index j = 0; j <= i; ++j) {
      const auto &a = places[static_cast<std::size_t>(i)], &b = places[static_cast<std::size_t>(j)];
      k(i, j) = k(j, i) = response(a.x - b.x, a.y - b.y);
    }
  }
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> eigen(k);
  const Eigen::VectorXd& l = eigen.eigenvalues();  // ascending
  const double low = std::max(l[0], std::numeric_limits<double>::min());
  result.condition = l[n - 1] / low;
  const Eigen::MatrixXd inverse =
      eigen.eigenvectors() * l.cwiseMax(low).cwiseInverse().asDiagonal() * eigen.eigenvectors().transpose();
  const Eigen::VectorXd s = inverse * Eigen::Map<const Eigen::VectorXd>(values.data(), n);
  result.flux.assign(s.data(), s.data() + n);
  result.variance.resize(places.size());
  for (Eigen::Index i = 0; i < n; ++i) result.variance[static_cast<std::size_t>(i)] = inverse(i, i);
  return result;
}

}  // namespace contimg::mosaic
