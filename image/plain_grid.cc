#include "image/plain_grid.h"

#include <algorithm>

#include "config/parallel.h"

namespace contimg::image {

PlainGrid::PlainGrid(const ImageGeometry& slant, const ImageGeometry& plain, double band, int threads)
    : slant_(slant),
      plain_(plain),
      slanted_(slant.slant_a != 0 || slant.slant_b != 0),
      interpolator_(band, 3e-5),
      threads_(threads) {}

void PlainGrid::Row(ArrayView<const float, 2> slant, ArrayView<float, 2> plain, std::size_t y) const {
  if (slanted_) {
    ResampleRowToPlain(slant, slant_, interpolator_, plain, plain_, y);
  } else {
    std::copy_n(&slant(y, 0), plain.shape(1), &plain(y, 0));
  }
}

Plane PlainGrid::Of(ArrayView<const float, 2> slant) const {
  Plane plain(plain_);
  ParallelFor(threads_, plain_.ny, [&](std::size_t y) { Row(slant, plain.view(), y); });
  return plain;
}

}  // namespace contimg::image
