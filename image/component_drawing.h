// The components that CLEAN has found on the slant grid, drawn on the plain grid of the products: as points and as
// beams.
#pragma once

#include <functional>
#include <vector>

#include "config/array_view.h"
#include "config/settings.h"
#include "image/clean/clean.h"
#include "image/clean/restore.h"
#include "image/plane/beam_fit.h"
#include "image/plane/image_geometry.h"

namespace contimg::image {

class ComponentDrawing {
 public:
  // What a component's flux is multiplied with: 1 for an image, the ratio to the reference for one of a band, a
  // spectral index for a mean of those.
  using Factor = std::function<double(const CleanComponent&)>;
  static double One(const CleanComponent&) { return 1; }

  ComponentDrawing(std::vector<CleanComponent> components, const ImageSettings& settings, const ImageGeometry& slant,
                   const ImageGeometry& plain, const GaussianBeam& beam, int threads);

  // Extended components become a lattice of at most `lattice_px` pixels (image/clean/restore.h).
  std::vector<SkyPoint> Points(const Factor& factor, double lattice_px) const;
  // image += flux · factor · beam of each component, Jy/beam. `image`: the plain grid.
  void AddBeams(const Factor& factor, ArrayView<float, 2> image) const;

 private:
  std::vector<CleanComponent> components_;
  std::vector<ScaleKernel> kernels_;
  ImageGeometry slant_, plain_;
  GaussianBeam beam_;
  int threads_;
};

}  // namespace contimg::image
