#include "mosaic/coadd/tile_sky.h"

#include <algorithm>
#include <utility>

namespace contimg::mosaic {

SmoothMap::SmoothMap(const std::optional<image::ThinImage>& image) {
  if (!image) return;
  step_ = image->step;
  nx_ = image->nx;
  ny_ = image->ny;
  nodes_ = image->pixels;
}

double SmoothMap::At(double x, double y) const {
  if (nodes_.empty()) return 1;
  const auto split = [this](double at, std::size_t n, std::size_t& first) {
    const double t = at / static_cast<double>(step_);
    first = static_cast<std::size_t>(std::clamp(t, 0.0, n >= 2 ? static_cast<double>(n - 2) : 0.0));
    return n >= 2 ? t - static_cast<double>(first) : 0.0;
  };
  std::size_t i = 0, j = 0;
  const double fx = split(x, nx_, i), fy = split(y, ny_, j);
  const float* v = nodes_.data() + j * nx_ + i;
  const std::size_t right = nx_ >= 2 ? 1 : 0, up = ny_ >= 2 ? nx_ : 0;
  return (v[0] * (1 - fx) + v[right] * fx) * (1 - fy) + (v[up] * (1 - fx) + v[up + right] * fx) * fy;
}

TileSky SkyOf(const image::FitsHeader& header, const std::optional<image::ThinImage>& pb,
              const std::optional<image::ThinImage>& smear, image::CoarseMap rms) {
  TileSky sky;
  sky.grid = {header.centre, header.geometry};
  sky.beam = *header.beam;
  sky.pb = SmoothMap(pb);
  sky.smear = SmoothMap(smear);
  sky.rms = std::move(rms);
  return sky;
}

}  // namespace contimg::mosaic
