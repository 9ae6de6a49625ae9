#include "image/quality/astrometry.h"

#include <algorithm>
#include <cmath>

#include "config/robust_statistics.h"

namespace contimg::image {
namespace {

constexpr std::size_t kFewestPlaces = 5;
constexpr double kHighestSnr = 100, kFarOff = 4;
constexpr int kPasses = 3;

struct Weighted {
  const PlaceInBoth* place;
  double weight;
};

// How far a place is from where a solution has it; the square.
double Distance2(const PlaceInBoth& p, const Astrometry& a) {
  const double stretch = a.scale - 1;
  const double e = p.offset_east_rad - a.shift_east_rad - stretch * p.east_rad - a.rotation_rad * p.north_rad;
  const double n = p.offset_north_rad - a.shift_north_rad - stretch * p.north_rad + a.rotation_rad * p.east_rad;
  return e * e + n * n;
}

std::optional<Astrometry> Solve(const std::vector<Weighted>& used) {
  if (used.size() < kFewestPlaces) return std::nullopt;
  double sum = 0, east = 0, north = 0, off_east = 0, off_north = 0;
  for (const auto& [p, w] : used) {
    sum += w;
    east += w * p->east_rad;
    north += w * p->north_rad;
    off_east += w * p->offset_east_rad;
    off_north += w * p->offset_north_rad;
  }
  east /= sum, north /= sum, off_east /= sum, off_north /= sum;
  double spread = 0, along = 0, across = 0;
  for (const auto& [p, w] : used) {
    const double e = p->east_rad - east, n = p->north_rad - north;
    spread += w * (e * e + n * n);
    along += w * (e * p->offset_east_rad + n * p->offset_north_rad);
    across += w * (n * p->offset_east_rad - e * p->offset_north_rad);
  }
  if (!(spread > 0)) return std::nullopt;
  Astrometry out;
  out.places = used.size();
  const double stretch = along / spread;
  out.rotation_rad = across / spread;
  out.scale = 1 + stretch;
  out.shift_east_rad = off_east - stretch * east - out.rotation_rad * north;
  out.shift_north_rad = off_north - stretch * north + out.rotation_rad * east;
  double square = 0;
  for (const auto& [p, w] : used) square += w * Distance2(*p, out);
  const double variance = square / static_cast<double>(2 * used.size() - 4);  // of a place of weight 1
  out.turn_error = std::sqrt(variance / spread);
  out.shift_error_rad = std::sqrt(variance / sum + variance / spread * (east * east + north * north));
  return out;
}

}  // namespace

std::optional<Astrometry> SolveAstrometry(const std::vector<PlaceInBoth>& places) {
  std::vector<Weighted> all;
  for (const PlaceInBoth& place : places) {
    const double snr = std::min(place.snr, kHighestSnr);
    if (snr > 0) all.push_back({&place, snr * snr});
  }
  std::vector<Weighted> used = all;
  auto solution = Solve(used);
  // Half of a two-dimensional normal distribution lies within 1.1774 σ.
  constexpr double kSigmaOfMedian = 1 / 1.1774;
  for (int pass = 0; pass < kPasses && solution; ++pass) {
    std::vector<double> distances;  // in units of what weights promise
    for (const auto& [p, w] : all) distances.push_back(std::sqrt(w * Distance2(*p, *solution)));
    std::vector<double> sorted = distances;
    const double limit = kFarOff * kSigmaOfMedian * TakeMedian(sorted);
    used.clear();
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (distances[i] <= limit) used.push_back(all[i]);
    }
    solution = Solve(used);
  }
  return solution;
}

}  // namespace contimg::image
