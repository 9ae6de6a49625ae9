// An image restored with one beam, made one restored with another.
#pragma once

#include <cstddef>

#include "config/array_view.h"
#include "image/plane/beam_algebra.h"

namespace contimg::image {

// image ← residual + (image − residual) through the Gaussian between the beams, Jy per new beam: image − residual is
// the CLEAN model through `from`, so this is what restoring the model with `to` would have made. A point of the model
// keeps its peak; its flux and those of extended ones are kept as areas of beams count.
//
// The residual stays as it is, as in the restoration: in it a source that CLEAN left peaks at its flux, and its noise
// is the tile's. Through the Gaussian both would change, fluxes by how far CLEAN went (docs/mosaics.md has it
// measured).
//
// By FFT with zeros beyond the edges, of as many as the Gaussian reaches; pixels that are not finite count as nothing
// in the model and stay what they are. `between`: BeamBetween(from, to); nothing is done where it is zero. The result
// does not depend on `threads`. Right to 1e-6 of the brightest, but for sources that an edge cuts.
void RestoreAnew(const GaussianBeam& from, const GaussianBeam& to, const BeamMoments& between,
                 ArrayView<const float, 2> residual, double cell_rad, ArrayView<float, 2> image, int threads);
// What it takes besides the images, for such ones.
std::size_t RestoreAnewBytes(std::size_t ny, std::size_t nx);

}  // namespace contimg::image
