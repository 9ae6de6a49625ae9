#include "image/quality/cutout.h"

#include <algorithm>
#include <cmath>

#include "image/quality/canvas.h"
#include "image/quality/picture_style.h"

namespace contimg::image {

std::string CutoutPng(ArrayView<const float, 2> sky, double low, double high, double x, double y, double ring) {
  Canvas canvas(kCutoutSize, kCutoutSize, kBackground);
  const auto n = static_cast<int>(sky.shape(0));
  canvas.Raster({0, 0, kCutoutSize, kCutoutSize}, [&](int column, int row) {
    const auto at = [&](int screen) { return static_cast<std::size_t>(std::min(n - 1, screen * n / kCutoutSize)); };
    const float value = sky(at(kCutoutSize - 1 - row), at(column));
    if (!std::isfinite(value)) return Colour{0.3, 0.3, 0.32, 1};
    return HeatColour((value - low) / (high - low));
  });
  const double scale = static_cast<double>(kCutoutSize) / n;
  canvas.Circle((x + 0.5) * scale, kCutoutSize - (y + 0.5) * scale, std::max(6.0, ring * scale),
                {0.45, 0.95, 0.75, 0.75}, 1);
  return canvas.Png();
}

}  // namespace contimg::image
