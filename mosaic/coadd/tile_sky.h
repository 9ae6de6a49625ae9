// What a mosaic must know of a tile besides its pixels: small enough to be kept for all tiles.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "image/plane/image_statistics.h"
#include "image/products/fits_image.h"
#include "mosaic/grid/sky_grid.h"

namespace contimg::mosaic {

// A smooth image by every 16th of its pixels (image::ThinStep), bilinear between, a straight line beyond the last. The
// primary beam errs by 2e-5 so.
class SmoothMap {
 public:
  SmoothMap() = default;                                             // 1 everywhere
  explicit SmoothMap(const std::optional<image::ThinImage>& image);  // none: likewise
  double At(double x, double y) const;

 private:
  std::size_t step_ = 1, nx_ = 0, ny_ = 0;
  std::vector<float> nodes_;
};

struct TileSky {
  SkyGrid grid;
  image::GaussianBeam beam;
  SmoothMap pb, smear;
  image::CoarseMap rms;  // of the residual: apparent sky, Jy/beam
};
TileSky SkyOf(const image::FitsHeader& header, const std::optional<image::ThinImage>& pb,
              const std::optional<image::ThinImage>& smear, image::CoarseMap rms);

}  // namespace contimg::mosaic
