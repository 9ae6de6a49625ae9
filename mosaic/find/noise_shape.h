// What the noise of an image does to places and counts: its correlation, measured on the residual.
#pragma once

#include <cstddef>

#include "image/plane/image_statistics.h"
#include "mosaic/tile/image_reader.h"
#include "mosaic/tile/tile_images.h"

namespace contimg::mosaic {

// A symmetric matrix about the pixel axes.
struct PixelTensor {
  double xx = 0, yy = 0, xy = 0;
  double Determinant() const { return xx * yy - xy * xy; }
};

// G: covariance of the noise's gradient over its variance (per pixel²), the curvature of its correlation at zero lag.
// From differences over ±3 pixels (exact to sixth order) of pixels of the residual within 4 local rms where the primary
// beam is above `min_pb`.
PixelTensor MeasureGradients(const TileImages& images, const image::CoarseMap& rms, double min_pb, int threads);

// H: minus the second derivatives of the PSF at its peak, per pixel².
PixelTensor CurvatureOf(ArrayView<const float, 2> psf, double band);

// Covariance (pixel²) of the place of a point source of S/N 1: H⁻¹ G H⁻¹, as the gradient of the noise moves the
// maximum of a peak of curvature H. Divide by (S/σ)².
PixelTensor PlaceCovariance(const PixelTensor& g, const PixelTensor& h);

// Number of maxima of Gaussian noise above u σ in so many pixels (Rice 1944; Adler 1981: the expected Euler
// characteristic): A √det G (2π)^(−3/2) u e^(−u²/2).
double ExpectedMaxima(double pixels, const PixelTensor& g, double u);

}  // namespace contimg::mosaic
