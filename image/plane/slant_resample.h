// From the slant grid to the plain-SIN grid: interpolation of a band-limited image.
//
// A synthesised image holds no spatial frequency beyond B = max|uv| · cell cycles per pixel, well below the 1/2 that
// pixels can carry (0.19 for a DSA-110 tile at 3"). Each output pixel is a weighted sum of W × W pixels around its
// place in the slant grid, the weights of one axis being the least-squares best for all frequencies |f| ≤ B at that
// fraction of a pixel: with Gram matrix sinc(2B(i − j)) and right side sinc(2B(x − i)) they minimise ∫ |e^{2πifx} − Σ
// w_i e^{2πif i}|² df. The minimum itself is the relative rms error for an image with power everywhere in the band, so
// the interpolator knows its accuracy: both axes together, W = 8 gives 2.4e-5 at B = 0.18
// and W = 16 gives 1.2e-6 there, 1.2e-4 at B = 0.35.
#pragma once

#include <cstddef>
#include <vector>

#include "config/array_view.h"
#include "image/plane/image_geometry.h"

namespace contimg::image {

// Interpolation weights of one axis, tabulated over the fraction of a pixel.
class BandlimitedInterpolator {
 public:
  static constexpr std::size_t kPhases = 512;  // linear between them: error (2πB/512)²/8 < 2e-5·B²

  // `band`: highest frequency in cycles per pixel. 8 or 12 taps when they are good to `tolerance`, else 16.
  BandlimitedInterpolator(double band, double tolerance);

  std::size_t taps() const { return taps_; }
  // Numbers from one phase to the next in the table: zeros follow the taps to whole vectors.
  std::size_t stride() const { return taps_ <= 8 ? 8 : 16; }
  // Largest relative rms error over all fractions, one axis.
  double expected_error() const { return expected_error_; }
  // Weights of the `taps()` pixels from floor(x) − taps/2 + 1 on, at phase i of 0 … kPhases (inclusive).
  const float* Weights(std::size_t phase) const { return table_.data() + phase * stride(); }

 private:
  bool Build(double band, std::size_t taps, double tolerance);

  std::size_t taps_ = 0;
  double expected_error_ = 0;
  std::vector<float> table_;
};

// values[i] = the image at the (fractional, zero-based) pixel (x[i], y[i]); NaN outside [0, nx − 1] × [0, ny − 1].
// A blank (NaN) tap makes a blank value; beyond-edge taps repeat the edge.
void InterpolateAt(ArrayView<const float, 2> image, const BandlimitedInterpolator& interpolator, const double* x,
                   const double* y, std::size_t count, float* values);
// The same of two images of one shape at the same places, in one pass.
void InterpolateTwoAt(ArrayView<const float, 2> image, ArrayView<const float, 2> second,
                      const BandlimitedInterpolator& interpolator, const double* x, const double* y, std::size_t count,
                      float* values, float* second_values);

// Fills row `y` of `output` (on `plain`, whose slant_a = slant_b = 0) from `input` (on `slant`). The phase centre, not
// necessarily the pixel counts, cells or shifts, is common. Pixels whose place lies outside the input become NaN;
// beyond-edge taps repeat the edge.
void ResampleRowToPlain(ArrayView<const float, 2> input, const ImageGeometry& slant,
                        const BandlimitedInterpolator& interpolator, ArrayView<float, 2> output,
                        const ImageGeometry& plain, std::size_t y);

}  // namespace contimg::image
