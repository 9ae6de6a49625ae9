// The restored image: clean components as Gaussian beams at their exact positions on the plain-SIN grid.
#pragma once

#include <vector>

#include "config/array_view.h"
#include "image/clean/minor_cycle.h"
#include "image/clean/scale_kernels.h"
#include "image/plane/beam_fit.h"
#include "image/plane/image_geometry.h"

namespace contimg::image {

// A point source at a fractional pixel of the plain-SIN grid.
struct SkyPoint {
  double x = 0;
  double y = 0;
  double flux_jy = 0;
};

// Components of the slant grid as points of the plain grid (both about one phase centre). A component with a scale
// becomes points on a lattice of at most `lattice_px` pixels; smoothed with a beam at least 2.5 times as wide, that is
// its shape. Points beyond the horizon do not occur on a slant grid.
std::vector<SkyPoint> PointsOfComponents(const std::vector<CleanComponent>& components,
                                         const std::vector<ScaleKernel>& kernels, const ImageGeometry& slant,
                                         const ImageGeometry& plain, double lattice_px);

// image += Σ flux · beam about each point, Jy/beam; cut off where the beam is below 1e-6. Points may lie outside.
void AddBeams(const std::vector<SkyPoint>& points, const GaussianBeam& beam, double cell_rad, ArrayView<float, 2> image,
              int threads);

// image += each point, shared between the four nearest pixels so that flux and centroid are kept (the prediction from
// such a model differs from the points' to second order in the cell). Returns the flux that fell outside.
double DepositPoints(const std::vector<SkyPoint>& points, ArrayView<float, 2> image);

}  // namespace contimg::image
