// The sky in the quick-look picture: the image under a grid, the beam's contours and the catalogue's sources.
#pragma once

#include "image/plane/beam_fit.h"
#include "image/quality/canvas.h"
#include "image/quality/quick_look.h"

namespace contimg::image {

// Draws into `box` (square) and, with labels and colour bar, around it.
void DrawSky(const QuickLookInput& input, Canvas& canvas, const Box& box);

// The half-power ellipse of the beam as a path about (x, y); `scale`: screen pixels per radian.
void TraceBeam(Canvas& canvas, const GaussianBeam& beam, double x, double y, double scale);

}  // namespace contimg::image
