// Maxima that the beam mixes, told apart.
#pragma once

#include <vector>

#include "mosaic/find/peaks.h"
#include "mosaic/tile/beam_pixels.h"
#include "mosaic/tile/image_reader.h"

namespace contimg::mosaic {

// A point source of a group.
struct Component {
  double x = 0, y = 0;  // pixels
  double flux = 0;      // apparent, of the group's joint solve
  double variance = 1;  // of the flux, in σ²: 1 alone
  double sigma = 0;     // local rms
};

struct DeblendOptions {
  double threshold = 5.5;         // components below it are dropped, in local rms
  double hidden_fraction = 0.06;  // of the brightest: what a beam leaves counts as a further component above this too
  std::size_t most = 8;           // components of a group; groups of more maxima keep those
  double nearest_widths = 0.5;    // components nearer to a brighter one, in full widths of the beam, are dropped
};

// Places and fluxes of the sources of one group of maxima, `beside` being known sources of other groups whose beams are
// taken away throughout. In turn, each place is moved to the maximum of the image
// less the beams of the others, then all fluxes are solved for together, until nothing moves; what is then left of the
// image within a beam may be a further component, and the search goes on. Brightest first. Empty when all are dropped.
std::vector<Component> Deblend(ArrayView<const float, 2> image, const ImageReader& reader, const BeamPixels& beam,
                               const image::CoarseMap& rms, const std::vector<Peak>& group,
                               const std::vector<Component>& beside, const DeblendOptions& options);

}  // namespace contimg::mosaic
