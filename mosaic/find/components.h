// Maxima that the beam mixes, told apart.
#pragma once

#include <vector>

#include "mosaic/find/peaks.h"
#include "mosaic/photometry/point_shape.h"
#include "mosaic/tile/image_reader.h"

namespace contimg::mosaic {

// A point source of a group.
struct Component {
  double x = 0, y = 0;  // pixels
  double flux = 0;      // apparent, of the group's joint solve
  double variance = 1;  // of the flux, in σ²: 1 alone
  double sigma = 0;     // local rms
  double left = 0;      // of the flux: what CLEAN left

  PointFlux point() const { return {flux, left}; }
};

struct DeblendOptions {
  double threshold = 5.5;  // components below it are dropped, in local rms
  // What a component leaves is a further one above the threshold and these shares together, of the brightest
  // component's flux (errors of calibration) and, where no PSF is known, of what CLEAN left of it (it is no beam).
  double hidden_of_flux = 0.02;
  double hidden_of_residual = 0.06;
  std::size_t most = 8;  // components of a group; groups of more maxima keep those
  // More maxima in one group are side lobes that CLEAN left, no sources to be told apart: they stay as they are.
  // (Telling n apart takes n⁴.)
  std::size_t together = 20;
  double nearest_widths = 0.5;  // components nearer to a brighter one, in full widths of the beam, are dropped
};

// Places and fluxes of the sources of one group of maxima, `beside` being sources of other groups, which are taken away
// throughout. In turn, each place is moved to the maximum of the image less the others, each as `shape` has it, then
// all fluxes are solved for together, until nothing moves; what is then left of the image within a beam may be a
// further component, and the search goes on. Brightest first. Empty when all are dropped.
std::vector<Component> Deblend(const TileImages& images, const ImageReader& reader, const PointShape& shape,
                               const image::CoarseMap& rms, const std::vector<Peak>& group,
                               const std::vector<Component>& beside, const DeblendOptions& options);

}  // namespace contimg::mosaic
