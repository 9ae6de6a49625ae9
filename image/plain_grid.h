// From the slant grid, on which images are made, to the plain grid of the products.
#pragma once

#include <cstddef>

#include "config/array_view.h"
#include "image/plane/image_geometry.h"
#include "image/plane/plane.h"
#include "image/plane/slant_resample.h"

namespace contimg::image {

class PlainGrid {
 public:
  // `band`: the images' highest spatial frequency, cycles per pixel.
  PlainGrid(const ImageGeometry& slant, const ImageGeometry& plain, double band, int threads);

  // Relative rms error of the resampling; 0 where the grids are one.
  double expected_error() const { return slanted_ ? interpolator_.expected_error() : 0; }
  // All of an image, or its row `y`. Thread-safe.
  Plane Of(ArrayView<const float, 2> slant) const;
  void Row(ArrayView<const float, 2> slant, ArrayView<float, 2> plain, std::size_t y) const;

 private:
  ImageGeometry slant_, plain_;
  bool slanted_;
  BandlimitedInterpolator interpolator_;
  int threads_;
};

}  // namespace contimg::image
