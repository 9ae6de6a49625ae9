// Tiles added up: a mosaic that is open for more.
//
// Per tile I (attenuated by the primary beam), R (its residual), b = primary beam · smearing and σ from the residual's
// mesh; noise is even before the division by the beam, so that is where everything is weighted:
//     M = Σ b I/σ² / Σ b²/σ²,   Res = Σ b R/σ² / Σ b²/σ²,   W = Σ b²/σ²,   rms = W^(−1/2).
// This is the mean of I/b with weights b²/σ² (linmos), without dividing by small b first. M holds fluxes of point
// sources, because smearing is in b.
//
// Sums do not depend on the order of the tiles, bit for bit: weights are whole numbers, and what is added is rounded to
// a millionth of the noise, so that double-precision sums of it are exact.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "config/array_view.h"
#include "config/buffer.h"
#include "image/plane/plane.h"
#include "mosaic/coadd/tile_sky.h"
#include "mosaic/grid/sky_grid.h"

namespace contimg::mosaic {

struct CoaddOptions {
  double noise_jy = 0;   // about that of the tiles, Jy/beam: what rounding and weights are measured by
  double min_pb = 0.1;   // of a tile less is not used
  bool residual = true;  // whether there is a residual map
};

// What a tile gave to one pixel of the mosaic.
struct TileSample {
  std::size_t pixel = 0;
  double flux = 0, weight = 0;  // as they were added
  double pb = 0;
};
struct TileShare {
  std::size_t pixels = 0;           // of the mosaic that got something of it
  std::vector<TileSample> samples;  // of one in kSampleStep rows and columns of the mosaic, in its order
};
inline constexpr std::size_t kSampleStep = 16;

// A tile against all the others at one of its samples.
struct TilePull {
  double pull = 0;  // difference of their means over its noise
  double pb = 0;    // of the tile
};

struct MosaicMaps {
  image::Plane image, residual, rms, weight;  // NaN where there is no tile; Jy/beam, Jy/beam, Jy/beam, 1/Jy²
  std::size_t covered = 0;                    // pixels
  // Number of tiles over one pixel in kSampleStep rows and columns of the maps, [⌈ny/step⌉][⌈nx/step⌉].
  std::vector<std::uint16_t> tiles;
};

// Largest error of a point source of a tile with this beam, as a part of its peak, in what is added of it between its
// pixels.
double ResamplingError(const image::GaussianBeam& beam, double cell_rad);

// Memory: 20 bytes a pixel (12 without residual), no more while it becomes maps.
class OpenMosaic {
 public:
  OpenMosaic(const SkyGrid& grid, const CoaddOptions& options);

  // Adds a tile: only its own pixels are touched. All its fluxes and its noise are multiplied by `factor`. `residual`
  // may be empty without a residual map. Returns the mosaic's pixels that got something of it. Blank pixels (NaN within
  // reach of the interpolation) add nothing. The result does not depend on `threads`. Throws Error{kBadInput} for noise
  // that is more than a hundred times less than noise_jy, of which weights could not be added up.
  TileShare Add(const TileSky& tile, ArrayView<const float, 2> image, ArrayView<const float, 2> residual, double factor,
                int threads);

  // Where others have been added too: what the tile differs by from them. The sky drops out; sums being exact, it makes
  // no difference whether it was the first or the last.
  std::vector<TilePull> PullsOf(const std::vector<TileSample>& samples) const;

  // The maps; nothing is left in the sums.
  MosaicMaps Close(int threads) &&;

  const SkyGrid& grid() const { return grid_; }

 private:
  SkyGrid grid_;
  CoaddOptions options_;
  double quantum_;                // what is added is a multiple of it
  double largest_weight_ = 0;     // that any pixel can have, in units of 1/noise_jy²
  Buffer<double> flux_, left_;    // Σ b I/σ², Σ b R/σ², in kWeightUnit/noise_jy²
  Buffer<std::uint32_t> weight_;  // Σ b²/σ², likewise
  std::vector<std::uint16_t> tiles_;
};

}  // namespace contimg::mosaic
