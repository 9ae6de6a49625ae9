// The local noise of a tile.
#pragma once

#include <cstddef>

#include "config/array_view.h"
#include "image/plane/image_statistics.h"
#include "mosaic/tile/tile_files.h"

namespace contimg::mosaic {

// How the noise is measured. A box of 256 pixels holds some 85 beams of the DSA-110's across: its rms is good to 4 %.
struct RmsMeshOptions {
  std::size_t step_px = 128;  // between nodes
  std::size_t box_px = 256;   // side of the square about a node in which it is measured
  std::size_t every = 4;      // in x and y: the pixels between are hardly independent of these; closer in small images
  double clip = 3.5;          // in 1.4826 · median absolute deviations, three times
  double scale = 1.005;       // what the standard deviation of a normal distribution cut at 3.5 σ lacks
  std::size_t min_pixels = 200;  // fewer usable ones make no node
};

// The standard deviation of `residual` about each node after clipping. Measured on the residual, not on the image,
// sources do not raise it. Blank pixels and such that are exactly 0, by which others mark blanks, do not count; a node
// with too few of the others takes the mean of its neighbours. Throws Error{kBadInput} when no node can be measured.
// The result does not depend on `threads`.
image::CoarseMap MeasureRms(ArrayView<const float, 2> residual, const RmsMeshOptions& options, int threads);

// The noise of what was read, measured on its residual. Of a mosaic no less than its rms map has (the same everywhere,
// TileFiles): what is below each tile's CLEAN limit does not fall with the number of tiles as noise does, and of ten
// days it is more than half of the error of a flux. Of a mosaic without a residual: its rms map's.
image::CoarseMap NoiseOf(const TileFiles& files, int threads);

}  // namespace contimg::mosaic
