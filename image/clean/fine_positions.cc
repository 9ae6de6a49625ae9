#include "image/clean/fine_positions.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <tuple>
#include <unordered_map>

namespace contimg::image {
namespace {

constexpr auto kPhases = static_cast<double>(BandlimitedInterpolator::kPhases);

// Places are multiples of 1/kPhases of a pixel, where the interpolator is tabulated.
double OnLattice(double x) { return std::round(x * kPhases) / kPhases; }

// Whole pixel below and phase of a place on the lattice.
struct Place {
  explicit Place(double x)
      : pixel(static_cast<std::ptrdiff_t>(std::floor(x))),
        phase(static_cast<std::size_t>(std::lround((x - std::floor(x)) * kPhases))) {}
  std::ptrdiff_t pixel;
  std::size_t phase;
};

double X(const CleanComponent& c) { return c.x + static_cast<double>(c.dx); }
double Y(const CleanComponent& c) { return c.y + static_cast<double>(c.dy); }

std::uint64_t Key(std::ptrdiff_t x, std::ptrdiff_t y) {
  return static_cast<std::uint64_t>(y) << 32 | static_cast<std::uint32_t>(x);
}

auto Order(const CleanComponent& c) { return std::make_tuple(c.scale, c.y, c.x, c.dy, c.dx); }

}  // namespace

std::vector<CleanComponent> SumSamePlaces(std::vector<CleanComponent> components) {
  std::stable_sort(components.begin(), components.end(),
                   [](const CleanComponent& a, const CleanComponent& b) { return Order(a) < Order(b); });
  std::vector<CleanComponent> summed;
  for (const CleanComponent& c : components) {
    if (!summed.empty() && Order(summed.back()) == Order(c)) {
      summed.back().flux_jy += c.flux_jy;
    } else {
      summed.push_back(c);
    }
  }
  return summed;
}

struct FinePositions::Group {
  std::vector<CleanComponent> members;  // the brightest first
};

FinePositions::FinePositions(ArrayView<const float, 2> psf, double band) : psf_(psf), interpolator_(band, 1e-4) {}

double FinePositions::Psf(double dx, double dy) const {
  const Place x(dx), y(dy);
  const auto taps = static_cast<std::ptrdiff_t>(interpolator_.taps());
  const std::ptrdiff_t x0 = static_cast<std::ptrdiff_t>(psf_.shape(1) / 2) + x.pixel - taps / 2 + 1;
  const std::ptrdiff_t y0 = static_cast<std::ptrdiff_t>(psf_.shape(0) / 2) + y.pixel - taps / 2 + 1;
  if (x0 < 0 || y0 < 0 || x0 + taps > static_cast<std::ptrdiff_t>(psf_.shape(1)) ||
      y0 + taps > static_cast<std::ptrdiff_t>(psf_.shape(0))) {
    return 0;
  }
  const float *wx = interpolator_.Weights(x.phase), *wy = interpolator_.Weights(y.phase);
  double sum = 0;
  for (std::ptrdiff_t j = 0; j < taps; ++j) {
    const float* row = &psf_(y0 + j, x0);
    double line = 0;
    for (std::ptrdiff_t i = 0; i < taps; ++i) line += static_cast<double>(wx[i]) * row[i];
    sum += wy[j] * line;
  }
  return sum;
}

// What the dirty image of the group's components shows at (x, y).
double FinePositions::Response(const Group& group, double x, double y) const {
  double sum = 0;
  for (const CleanComponent& c : group.members) sum += c.flux_jy * Psf(x - X(c), y - Y(c));
  return sum;
}

// The point whose visibilities are nearest to the group's in weighted least squares stands where the response has its
// extreme, with the response as its flux: minimise Σ w |Σ c_i e_i − F e(p)|² over F, then p.
CleanComponent FinePositions::Join(const Group& group) const {
  double flux = 0, x = 0, y = 0;
  for (const CleanComponent& c : group.members) {
    flux += c.flux_jy;
    x += c.flux_jy * X(c);
    y += c.flux_jy * Y(c);
  }
  x = OnLattice(x / flux);
  y = OnLattice(y / flux);
  constexpr double kStep = 0.125;  // of the differences, pixels
  for (int iteration = 0; iteration < 3; ++iteration) {
    const auto at = [&](double dx, double dy) { return Response(group, x + dx * kStep, y + dy * kStep); };
    const double middle = at(0, 0), left = at(-1, 0), right = at(1, 0), down = at(0, -1), up = at(0, 1);
    const double gx = (right - left) / 2, gy = (up - down) / 2;
    const double hxx = right - 2 * middle + left, hyy = up - 2 * middle + down;
    const double hxy = (at(1, 1) - at(1, -1) - at(-1, 1) + at(-1, -1)) / 4;
    const double determinant = hxx * hyy - hxy * hxy;
    if (!(determinant > 0) || !(hxx * middle < 0)) break;  // not near an extreme
    const double sx = std::clamp(-(hyy * gx - hxy * gy) / determinant * kStep, -0.5, 0.5);
    const double sy = std::clamp(-(hxx * gy - hxy * gx) / determinant * kStep, -0.5, 0.5);
    x = OnLattice(x + sx);
    y = OnLattice(y + sy);
    if (std::max(std::abs(sx), std::abs(sy)) < 1 / kPhases) break;
  }
  CleanComponent joined;
  joined.x = static_cast<std::int32_t>(std::lround(x));
  joined.y = static_cast<std::int32_t>(std::lround(y));
  joined.dx = static_cast<float>(x - joined.x);
  joined.dy = static_cast<float>(y - joined.y);
  joined.flux_jy = static_cast<float>(Response(group, x, y));
  return joined;
}

std::vector<CleanComponent> FinePositions::Merge(std::vector<CleanComponent> components) const {
  components = SumSamePlaces(std::move(components));
  if (!usable()) return components;
  std::unordered_map<std::uint64_t, std::vector<std::size_t>> by_pixel;
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < components.size(); ++i) {
    if (components[i].scale != 0) continue;
    by_pixel[Key(components[i].x, components[i].y)].push_back(i);
    order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return std::abs(components[a].flux_jy) > std::abs(components[b].flux_jy);
  });
  constexpr double kCancels = 0.5;  // of the sum of absolute fluxes: below it a group has no sensible middle
  std::vector<std::uint8_t> taken(components.size(), 0);
  std::vector<CleanComponent> result;
  result.reserve(components.size());
  for (const std::size_t seed : order) {
    if (taken[seed] != 0) continue;
    const CleanComponent& first = components[seed];
    Group group;
    std::vector<std::size_t> members;
    double sum = 0, absolute = 0;
    constexpr int kSearch = 2;  // pixels: kReachPx and half a pixel of rounding
    for (int dy = -kSearch; dy <= kSearch; ++dy) {
      for (int dx = -kSearch; dx <= kSearch; ++dx) {
        const auto found = by_pixel.find(Key(first.x + dx, first.y + dy));
        if (found == by_pixel.end()) continue;
        for (const std::size_t i : found->second) {
          const CleanComponent& c = components[i];
          if (taken[i] != 0 || std::hypot(X(c) - X(first), Y(c) - Y(first)) > kReachPx) continue;
          members.push_back(i);
          group.members.push_back(c);
          sum += c.flux_jy;
          absolute += std::abs(c.flux_jy);
        }
      }
    }
    if (members.size() > 1 && std::abs(sum) >= kCancels * absolute) {
      const CleanComponent joined = Join(group);
      if (std::hypot(X(joined) - X(first), Y(joined) - Y(first)) <= kReachPx) {
        for (const std::size_t i : members) taken[i] = 1;
        result.push_back(joined);
        continue;
      }
    }
    taken[seed] = 1;
    result.push_back(first);
  }
  for (const CleanComponent& c : components) {
    if (c.scale != 0) result.push_back(c);
  }
  return SumSamePlaces(std::move(result));
}

void FinePositions::AddPoints(const std::vector<CleanComponent>& components, ArrayView<float, 2> image) const {
  const auto ny = static_cast<std::ptrdiff_t>(image.shape(0)), nx = static_cast<std::ptrdiff_t>(image.shape(1));
  const auto taps = static_cast<std::ptrdiff_t>(interpolator_.taps());
  for (const CleanComponent& c : components) {
    if (c.scale != 0) continue;
    if (c.dx == 0 && c.dy == 0) {
      image(c.y, c.x) += c.flux_jy;
      continue;
    }
    const Place x(X(c)), y(Y(c));
    const float *wx = interpolator_.Weights(x.phase), *wy = interpolator_.Weights(y.phase);
    for (std::ptrdiff_t j = 0; j < taps; ++j) {
      const std::ptrdiff_t row = y.pixel - taps / 2 + 1 + j;
      if (row < 0 || row >= ny) continue;
      for (std::ptrdiff_t i = 0; i < taps; ++i) {
        const std::ptrdiff_t column = x.pixel - taps / 2 + 1 + i;
        if (column < 0 || column >= nx) continue;
        image(row, column) += c.flux_jy * wx[i] * wy[j];
      }
    }
  }
}

}  // namespace contimg::image
