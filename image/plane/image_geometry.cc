#include "image/plane/image_geometry.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "config/error.h"
#include "config/units.h"

namespace contimg::image {

const char* Code(Projection projection) { return projection == Projection::kZea ? "ZEA" : "SIN"; }

// t = n − 1 solves (1 + t)² = 1 − (l' − a t)² − (m' − b t)²; this is the root that is 0 at the centre, written
// without the difference of nearly equal numbers.
double SlantNMinus1(const ImageGeometry& geometry, double l_slant, double m_slant) {
  const double a = geometry.slant_a;
  const double b = geometry.slant_b;
  const double p = 1 - (a * l_slant + b * m_slant);
  const double r2 = l_slant * l_slant + m_slant * m_slant;
  const double discriminant = p * p - (1 + a * a + b * b) * r2;
  if (!(discriminant >= 0) || p < 0) return std::numeric_limits<double>::quiet_NaN();
  return r2 == 0 ? 0 : -r2 / (p + std::sqrt(discriminant));
}

DirectionCosines PixelToDirection(const ImageGeometry& geometry, double x, double y) {
  const double l_slant = geometry.shift_l - (x - static_cast<double>(geometry.nx / 2)) * geometry.cell_rad;
  const double m_slant = geometry.shift_m + (y - static_cast<double>(geometry.ny / 2)) * geometry.cell_rad;
  if (geometry.projection == Projection::kZea) {  // r² = 2 (1 − n)
    const double r2 = l_slant * l_slant + m_slant * m_slant;
    const double shrink = r2 <= 2 ? std::sqrt(1 - r2 / 4) : std::numeric_limits<double>::quiet_NaN();
    return {l_slant * shrink, m_slant * shrink, r2 <= 2 ? -r2 / 2 : shrink};
  }
  const double t = SlantNMinus1(geometry, l_slant, m_slant);
  return {l_slant - geometry.slant_a * t, m_slant - geometry.slant_b * t, t};
}

PixelPosition DirectionToPixel(const ImageGeometry& geometry, double l, double m) {
  const double r2 = l * l + m * m;
  const double t = -r2 / (1 + std::sqrt(1 - r2));
  const double grow = geometry.projection == Projection::kZea ? 1 / std::sqrt(1 + t / 2) : 1;
  const double l_slant = grow * l + geometry.slant_a * t;
  const double m_slant = grow * m + geometry.slant_b * t;
  return {static_cast<double>(geometry.nx / 2) - (l_slant - geometry.shift_l) / geometry.cell_rad,
          static_cast<double>(geometry.ny / 2) + (m_slant - geometry.shift_m) / geometry.cell_rad};
}

NRange CheckGeometry(const ImageGeometry& geometry) {
  if (geometry.nx == 0 || geometry.ny == 0 || geometry.nx % 2 != 0 || geometry.ny % 2 != 0) {
    throw Error(ErrorKind::kBadInput, "image", "",
                fmt::format("the image must have an even number of pixels on each side, not {} x {}", geometry.nx,
                            geometry.ny));
  }
  if (!(geometry.cell_rad > 0) || !std::isfinite(geometry.cell_rad)) {
    throw Error(ErrorKind::kBadInput, "image", "",
                fmt::format("the pixel size must be positive, not {} rad", geometry.cell_rad));
  }
  // n − 1 is concave with its maximum, 0, at the phase centre: its minimum lies on the border.
  NRange range{0, -2};
  bool visible = true;
  const auto visit = [&](double x, double y) {
    const double t = PixelToDirection(geometry, x, y).n_minus_1;
    visible = visible && !std::isnan(t);
    range.min = std::min(range.min, t);
    range.max = std::max(range.max, t);
  };
  constexpr int kSteps = 256;
  const double nx = static_cast<double>(geometry.nx);
  const double ny = static_cast<double>(geometry.ny);
  for (int i = 0; i <= kSteps; ++i) {
    const double x = -0.5 + nx * i / kSteps;
    const double y = -0.5 + ny * i / kSteps;
    visit(x, -0.5);
    visit(x, ny - 0.5);
    visit(-0.5, y);
    visit(nx - 0.5, y);
  }
  if (!visible) {
    throw Error(ErrorKind::kUsage, "image", "image.size",
                fmt::format("an image of {} x {} pixels of {:.4g} arcsec reaches beyond the horizon of the projection; "
                            "use fewer or smaller pixels",
                            geometry.nx, geometry.ny, Angle::Radians(geometry.cell_rad).arcsec()));
  }
  const PixelPosition centre = DirectionToPixel(geometry, 0, 0);
  if (centre.x >= -0.5 && centre.x <= nx - 0.5 && centre.y >= -0.5 && centre.y <= ny - 0.5) range.max = 0;
  return range;
}

}  // namespace contimg::image
