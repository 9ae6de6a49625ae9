// What a mosaic must know of a tile besides its pixels: small enough to be kept for all tiles.
#pragma once

#include <cstddef>
#include <vector>

#include "image/plane/image_statistics.h"
#include "mosaic/grid/sky_grid.h"
#include "mosaic/tile/tile_images.h"

namespace contimg::mosaic {

// A smooth image at every 16th pixel (every one of images of fewer than 512, where 16 pixels are not little of the
// sky), bilinear between, a straight line beyond the last. The primary beam errs by 2e-5 so.
class SmoothMap {
 public:
  SmoothMap() = default;                                // 1 everywhere
  explicit SmoothMap(ArrayView<const float, 2> image);  // an empty one likewise
  double At(double x, double y) const;

 private:
  std::size_t step_ = 1, nx_ = 0, ny_ = 0;
  std::vector<float> nodes_;
};

// Pixels between nodes at which what is smooth over an image of this size may be kept: 1 to 16, a power of two.
std::size_t SmoothStep(const image::ImageGeometry& geometry);

struct TileSky {
  SkyGrid grid;
  image::GaussianBeam beam;
  SmoothMap pb, smear;
  image::CoarseMap rms;  // of the residual: apparent sky, Jy/beam
};
TileSky SkyOf(const TileImages& images, image::CoarseMap rms);

}  // namespace contimg::mosaic
