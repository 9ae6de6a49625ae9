#include "mosaic/tile/edge_distance.h"

#include <algorithm>
#include <cmath>

namespace contimg::mosaic {

double EdgeBeams(ArrayView<const float, 2> image, const BeamPixels& beam, double x, double y) {
  constexpr double kLookBeams = 3;
  const double right = static_cast<double>(image.shape(1)) - 1, top = static_cast<double>(image.shape(0)) - 1;
  double nearest = std::min({x, y, right - x, top - y});
  const double reach = kLookBeams * beam.major_px();
  const auto stride = static_cast<std::ptrdiff_t>(std::max(1.0, beam.minor_px() / 4));
  const auto steps = static_cast<std::ptrdiff_t>(reach) / stride;
  const auto x0 = static_cast<std::ptrdiff_t>(std::lround(x)), y0 = static_cast<std::ptrdiff_t>(std::lround(y));
  for (std::ptrdiff_t j = -steps; j <= steps; ++j) {
    const std::ptrdiff_t row = y0 + j * stride;
    if (row < 0 || row >= static_cast<std::ptrdiff_t>(image.shape(0))) continue;
    for (std::ptrdiff_t i = -steps; i <= steps; ++i) {
      const std::ptrdiff_t column = x0 + i * stride;
      if (column < 0 || column >= static_cast<std::ptrdiff_t>(image.shape(1))) continue;
      if (std::isfinite(image(row, column))) continue;
      nearest = std::min(nearest, std::hypot(static_cast<double>(column) - x, static_cast<double>(row) - y));
    }
  }
  return std::clamp(nearest / beam.major_px(), 0.0, kFarFromEdge);
}

}  // namespace contimg::mosaic
