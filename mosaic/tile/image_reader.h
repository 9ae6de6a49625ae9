// An image read at any place, not only at pixels.
#pragma once

#include <vector>

#include "config/array_view.h"
#include "image/plane/beam_fit.h"
#include "image/plane/image_geometry.h"
#include "image/plane/slant_resample.h"

namespace contimg::mosaic {

// Highest spatial frequency that matters in an image of this beam, cycles per pixel: 1.8 times the full width of the
// beam's transform (0.8825 over its own), beyond which a Gaussian has 2e-5 of its power; at least 0.2, because an image
// of natural weights holds noise of its longest baselines that its beam does not tell of; at most 0.4, because taps
// that are to carry more let every source shine through 8 pixels beside it (0.02 of it at 1/2).
double BandOf(const image::GaussianBeam& beam, double cell_rad);

// Largest error, as a part of its peak, of what `interpolator` reads of a point source in an image of this beam, at its
// place or anywhere about it.
double SourceError(const image::BandlimitedInterpolator& interpolator, const image::GaussianBeam& beam,
                   double cell_rad);

// Band-limited interpolation by 8 taps (12 or 16 where the beam has few pixels): image/plane/slant_resample.h. Blank
// taps make a blank value; outside the image it is NaN; taps beyond the edge repeat it.
class ImageReader {
 public:
  ImageReader(ArrayView<const float, 2> image, double band);

  float At(double x, double y) const;
  // The same for many places.
  std::vector<float> At(const std::vector<image::PixelPosition>& places) const;

  // Value, gradient and second derivatives (per pixel) of the interpolated image, by central differences over a fifth
  // of a pixel.
  struct Shape {
    double value = 0;
    double gx = 0, gy = 0;
    double hxx = 0, hyy = 0, hxy = 0;
  };
  Shape ShapeAt(double x, double y) const;

 private:
  ArrayView<const float, 2> image_;
  image::BandlimitedInterpolator interpolator_;
};

}  // namespace contimg::mosaic
