// How far a place is from where the image ends.
#pragma once

#include "config/array_view.h"
#include "mosaic/tile/beam_pixels.h"

namespace contimg::mosaic {

inline constexpr double kFarFromEdge = 10;  // beams: no farther is looked

// Distance to the edge of the image or the nearest blank pixel, in major axes of the beam, at most kFarFromEdge. Blanks
// are looked for on a lattice of a quarter of the minor axis within three beams, beyond which they do not matter.
double EdgeBeams(ArrayView<const float, 2> image, const BeamPixels& beam, double x, double y);

}  // namespace contimg::mosaic
