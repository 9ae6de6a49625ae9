// Whether a source is larger than the beam, and how large.
#pragma once

#include <optional>
#include <vector>

#include "image/plane/beam_fit.h"
#include "image/plane/image_statistics.h"
#include "mosaic/find/components.h"
#include "mosaic/find/noise_shape.h"
#include "mosaic/photometry/point_shape.h"
#include "mosaic/tile/tile_images.h"

namespace contimg::mosaic {

// The flux within one full width of the beam about a place, by the part of a point source that lies there: of a point
// its flux, of anything larger more than its peak. `others`: components that are taken away before, as `shape` has
// them. NaN where a pixel is blank or beyond the edge.
double ApertureFlux(ArrayView<const float, 2> image, const PointShape& shape, double x, double y,
                    const std::vector<Component>& others);

// Scatter of (aperture flux − value at the place) of noise alone, in local rms: from places all over the residual.
double ApertureScatter(const TileImages& images, const image::CoarseMap& rms, const PointShape& shape, double min_pb,
                       int threads);

// A Gaussian of any size, fitted.
struct ExtendedSource {
  double x = 0, y = 0;  // pixels
  double peak = 0;      // Jy/beam
  double peak_error = 0;
  double flux = 0;  // integral, of the unit of the peak times beams: Jy
  double flux_error = 0;
  double error_factor = 1;    // of the errors of its place over those of a point of the same peak
  image::GaussianBeam shape;  // as it appears, beam and all
};

// Six parameters by least squares to the image less `others`, within 1.5 full widths of what `flux_ratio`, aperture
// flux over peak, says of its size. Errors: Condon 1997, PASP 109, 166, equations 20 to 42, with the noise's own
// correlation length (θ_N² = 4 ln 2 / √det G) in place of pixels. Nothing when no peak fits, or one of more than ten
// beams.
std::optional<ExtendedSource> FitExtended(ArrayView<const float, 2> image, double cell_rad, const PointShape& shape,
                                          const Component& start, double flux_ratio, const PixelTensor& gradients,
                                          const std::vector<Component>& others);

// Which explains a single maximum better, one Gaussian of any size (six parameters) or the points that `points` tells
// apart (three each)? The sums of squares that they leave within 1.6 full widths, in σ² and beams, are compared by
// Akaike's criterion: χ² + 2 × parameters. True for the Gaussian.
bool IsRatherExtended(ArrayView<const float, 2> image, double cell_rad, const PointShape& shape,
                      const Component& maximum, const ExtendedSource& extended, const std::vector<Component>& points,
                      const std::vector<Component>& others);

}  // namespace contimg::mosaic
