// Flux scales of tiles, from the sources that they share.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "image/plane/image_statistics.h"
#include "mosaic/grid/sky_grid.h"
#include "mosaic/tile/tile_images.h"

namespace contimg::mosaic {

// An isolated bright source of one tile.
struct ScaleReference {
  Vector3 direction;
  double flux_jy = 0;   // on the sky: what the image reads at its maximum, less σ²/S by which noise lifts that
  double error_jy = 0;  // 1 σ of the noise
};

struct ReferenceLimits {
  double min_snr = 25;
  double min_response = 0.25;
  double alone_widths = 3;   // of the beam: no maximum nearer
  double neighbour_snr = 5;  // above this one is a neighbour
};
// `response`: primary beam × smearing at a pixel; the images have none of both.
std::vector<ScaleReference> FindReferences(const TileImages& images, const image::CoarseMap& rms,
                                           const std::function<double(double x, double y)>& response,
                                           const ReferenceLimits& limits, int threads);

struct TileScale {
  std::size_t references = 0;  // shared with any other tile; 0: the scale is not known
  double scale = 1;            // by which the tile's fluxes exceed those of the others
  double error = 0;            // 1 σ
};

// Each pair of tiles with at least three references nearer than `match_rad` to each other has a ratio: the weighted
// median, with weights from the noise and 1 % of the flux. Scales are the weighted least-squares solution of all
// ratios; of the tiles that hang together the median scale is 1 (of two, that between them: which of them is wrong,
// nothing tells). One variable source in an overlap changes nothing. The result does not depend on the order of tiles.
std::vector<TileScale> SolveScales(const std::vector<std::vector<ScaleReference>>& tiles, double match_rad);

}  // namespace contimg::mosaic
