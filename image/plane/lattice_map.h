// Smooth functions of the sky on a full image, computed on a coarse lattice and interpolated.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "config/array_view.h"
#include "image/plane/image_geometry.h"

namespace contimg::image {

// image(y, x) = value(l, m) to fourth order in `step_px`: Catmull-Rom interpolation between nodes every `step_px`
// pixels. `value` is called from several threads, once per node, also a little outside the image; beyond the horizon it
// is not called and the pixels become NaN. Plain geometry.
void FillFromLattice(const ImageGeometry& plain, std::size_t step_px,
                     const std::function<double(double l, double m)>& value, ArrayView<float, 2> image, int threads);

}  // namespace contimg::image
