#include "image/clean/restore.h"

#include <algorithm>
#include <cmath>

#include "config/parallel.h"

namespace contimg::image {
namespace {

PixelPosition PlainPosition(const ImageGeometry& slant, const ImageGeometry& plain, double x, double y) {
  const DirectionCosines at = PixelToDirection(slant, x, y);
  return DirectionToPixel(plain, at.l, at.m);
}

}  // namespace

std::vector<SkyPoint> PointsOfComponents(const std::vector<CleanComponent>& components,
                                         const std::vector<ScaleKernel>& kernels, const ImageGeometry& slant,
                                         const ImageGeometry& plain, double lattice_px) {
  const auto spacing = std::max<std::ptrdiff_t>(1, static_cast<std::ptrdiff_t>(lattice_px));
  std::vector<SkyPoint> points;
  points.reserve(components.size());
  for (const CleanComponent& c : components) {
    const ScaleKernel& kernel = kernels[static_cast<std::size_t>(c.scale)];
    const auto half = static_cast<std::ptrdiff_t>(kernel.half()), first = -(half / spacing) * spacing;
    double sum = 0;
    const std::size_t begin = points.size();
    for (std::ptrdiff_t dy = first; dy <= half; dy += spacing) {
      for (std::ptrdiff_t dx = first; dx <= half; dx += spacing) {
        const double weight = kernel.at(static_cast<std::size_t>(dx + half), static_cast<std::size_t>(dy + half));
        if (weight <= 0) continue;
        const PixelPosition at = PlainPosition(slant, plain, c.x + static_cast<double>(c.dx) + static_cast<double>(dx),
                                               c.y + static_cast<double>(c.dy) + static_cast<double>(dy));
        points.push_back({at.x, at.y, c.flux_jy * weight});
        sum += weight;
      }
    }
    for (std::size_t i = begin; i < points.size(); ++i) points[i].flux_jy /= sum;
  }
  return points;
}

void AddBeams(const std::vector<SkyPoint>& points, const GaussianBeam& beam, double cell_rad, ArrayView<float, 2> image,
              int threads) {
  const auto ny = static_cast<std::ptrdiff_t>(image.shape(0)), nx = static_cast<std::ptrdiff_t>(image.shape(1));
  // exp(−(p dx² + q dy² + r dx dy)), dx in pixels to the right (west).
  const double k = 4 * std::log(2.0) * cell_rad * cell_rad;
  const double s = std::sin(beam.angle_rad), c = std::cos(beam.angle_rad);
  const double along = k / (beam.major_rad * beam.major_rad), across = k / (beam.minor_rad * beam.minor_rad);
  const double p = along * s * s + across * c * c, q = along * c * c + across * s * s,
               r = -2 * s * c * (along - across);
  const double cut = std::log(1e6);
  const double reach_y = std::sqrt(cut * p / (p * q - r * r / 4));  // of the ellipse at the cut
  const double step2 = std::exp(-2 * p);

  // Bands of rows are independent; within a pixel points are added in their order whatever the bands.
  constexpr std::ptrdiff_t kBand = 128;
  ParallelFor(threads, static_cast<std::size_t>((ny + kBand - 1) / kBand), [&](std::size_t band) {
    const std::ptrdiff_t y0 = static_cast<std::ptrdiff_t>(band) * kBand, y1 = std::min(ny, y0 + kBand);
    for (const SkyPoint& point : points) {
      if (!(point.y + reach_y >= static_cast<double>(y0) && point.y - reach_y <= static_cast<double>(y1))) continue;
      const std::ptrdiff_t top = std::max(y0, static_cast<std::ptrdiff_t>(std::ceil(point.y - reach_y)));
      const std::ptrdiff_t end = std::min(y1, static_cast<std::ptrdiff_t>(std::floor(point.y + reach_y)) + 1);
      for (std::ptrdiff_t y = top; y < end; ++y) {
        const double dy = static_cast<double>(y) - point.y;
        // p dx² + r dy dx + q dy² ≤ cut
        const double discriminant = r * r * dy * dy / 4 - p * (q * dy * dy - cut);
        if (!(discriminant > 0)) continue;
        const double middle = point.x - r * dy / (2 * p), width = std::sqrt(discriminant) / p;
        const auto x0 = std::max<std::ptrdiff_t>(0, static_cast<std::ptrdiff_t>(std::ceil(middle - width)));
        const auto x1 = std::min<std::ptrdiff_t>(nx, static_cast<std::ptrdiff_t>(std::floor(middle + width)) + 1);
        if (x0 >= x1) continue;
        // g(dx + 1) = g(dx) · ratio(dx), ratio(dx + 1) = ratio(dx) · exp(−2p): two products per pixel.
        const double dx = static_cast<double>(x0) - point.x;
        double g = point.flux_jy * std::exp(-(p * dx * dx + r * dx * dy + q * dy * dy));
        double ratio = std::exp(-(p * (2 * dx + 1) + r * dy));
        float* row = &image(y, 0);
        for (std::ptrdiff_t x = x0; x < x1; ++x) {
          row[x] += static_cast<float>(g);
          g *= ratio;
          ratio *= step2;
        }
      }
    }
  });
}

double DepositPoints(const std::vector<SkyPoint>& points, ArrayView<float, 2> image) {
  const auto ny = static_cast<std::ptrdiff_t>(image.shape(0)), nx = static_cast<std::ptrdiff_t>(image.shape(1));
  double lost = 0;
  for (const SkyPoint& point : points) {
    // Positions that are whole pixels up to rounding (always so without a slant) stay whole.
    const double sx = std::abs(point.x - std::round(point.x)) < 1e-7 ? std::round(point.x) : point.x;
    const double sy = std::abs(point.y - std::round(point.y)) < 1e-7 ? std::round(point.y) : point.y;
    const auto ix = static_cast<std::ptrdiff_t>(std::floor(sx)), iy = static_cast<std::ptrdiff_t>(std::floor(sy));
    const double fx = sx - static_cast<double>(ix), fy = sy - static_cast<double>(iy);
    for (const std::ptrdiff_t dy : {0, 1}) {
      for (const std::ptrdiff_t dx : {0, 1}) {
        const double share = point.flux_jy * (dx == 1 ? fx : 1 - fx) * (dy == 1 ? fy : 1 - fy);
        if (share == 0) continue;
        const std::ptrdiff_t px = ix + dx, py = iy + dy;
        if (px < 0 || py < 0 || px >= nx || py >= ny) {
          lost += share;
        } else {
          image(py, px) += static_cast<float>(share);
        }
      }
    }
  }
  return lost;
}

}  // namespace contimg::image
