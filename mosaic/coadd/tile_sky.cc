#include "mosaic/coadd/tile_sky.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace contimg::mosaic {

std::size_t SmoothStep(const image::ImageGeometry& geometry) {
  return std::bit_floor(std::clamp<std::size_t>(std::min(geometry.nx, geometry.ny) / 256, 1, 16));
}

SmoothMap::SmoothMap(ArrayView<const float, 2> image) {
  if (image.empty()) return;
  image::ImageGeometry size;
  size.nx = image.shape(1), size.ny = image.shape(0);
  step_ = SmoothStep(size);
  nx_ = (size.nx - 1) / step_ + 1;
  ny_ = (size.ny - 1) / step_ + 1;
  nodes_.reserve(nx_ * ny_);
  for (std::size_t j = 0; j < ny_; ++j) {
    for (std::size_t i = 0; i < nx_; ++i) nodes_.push_back(image(j * step_, i * step_));
  }
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

TileSky SkyOf(const TileImages& images, image::CoarseMap rms) {
  TileSky sky;
  sky.grid = {images.header->centre, images.header->geometry};
  sky.beam = *images.header->beam;
  sky.pb = SmoothMap(images.pb);
  sky.smear = SmoothMap(images.smear);
  sky.rms = std::move(rms);
  return sky;
}

}  // namespace contimg::mosaic
