// Local maxima of an image above the noise, at fractions of a pixel.
#pragma once

#include <vector>

#include "image/plane/image_statistics.h"
#include "mosaic/tile/image_reader.h"
#include "mosaic/tile/tile_images.h"

namespace contimg::mosaic {

struct Peak {
  double x = 0, y = 0;  // pixels
  double value = 0;     // of the interpolated image there, times the sign asked for
  double sigma = 0;     // local rms
};

struct PeakOptions {
  double threshold = 5.5;  // in local rms
  double min_pb = 0.1;     // primary beam below which nothing is looked for
  int sign = 1;            // −1: minima, as of the negative image
};

// All local maxima of `image`, one of those of `images` (the reader's, too). No filter goes before: of an image whose
// noise is correlated as its beam, the image itself is the matched filter. The maximum lies between pixels and higher
// than those, so pixels count that exceed the threshold less what a beam loses half a pixel away; then Newton's steps
// on the interpolated image. Ascending y of the pixel, then x. The result does not depend on `threads`.
std::vector<Peak> FindPeaks(ArrayView<const float, 2> image, const ImageReader& reader, const TileImages& images,
                            const image::CoarseMap& rms, const PeakOptions& options, int threads);

// Pixels that are searched: neither blank nor below min_pb.
std::size_t SearchedPixels(const TileImages& images, double min_pb, int threads);

}  // namespace contimg::mosaic
