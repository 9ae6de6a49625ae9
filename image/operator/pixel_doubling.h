// A band-limited image on pixels half as wide as those it is computed on.
//
// Pixels of a synthesised image are several times finer than the data need (docs/imaging.md: four or five across the
// beam, Nyquist asks for two): transforms, w screens and gridding corrections on pixels twice as wide, followed by one
// interpolation, do the same for a quarter of the work. Every second pixel of each axis exists already; the one between
// is a weighted sum of `taps` neighbours, the weights being the least-squares best for all frequencies of the band, as
// in image/plane/slant_resample.h. The adjoint takes a model image back to the wide pixels, so that prediction stays
// the exact transpose of imaging.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "config/array_view.h"
#include "image/plane/image_geometry.h"

namespace contimg::image {

class PixelDoubling {
 public:
  // For images without power beyond `band` cycles per wide pixel, with at most `error` relative to it at any frequency
  // of the band, both axes together. Nothing when too many taps would be needed.
  static std::optional<PixelDoubling> Make(double band, double error);

  std::size_t taps() const { return 2 * weights_.size(); }
  double largest_error() const { return largest_error_; }  // both axes

  // The image to compute: pixels twice as wide about the same centre, with a margin of taps/2 of them on every side.
  ImageGeometry Wide(const ImageGeometry& fine) const;

  // fine (of the shape of `geometry`) = wide (of that of Wide(geometry)), interpolated; and wide = the transpose of
  // that applied to fine. Pixels do not depend on the number of threads.
  void Double(ArrayView<const float, 2> wide, ArrayView<float, 2> fine, int threads) const;
  void Transpose(ArrayView<const float, 2> fine, ArrayView<float, 2> wide, int threads) const;

 private:
  std::vector<float> weights_;  // of the pixels 1/2, 3/2, … to either side of the place between two
  double largest_error_ = 0;
};

}  // namespace contimg::image
