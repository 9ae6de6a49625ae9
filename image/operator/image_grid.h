// The pixels on which an image is computed: its own, or twice as wide ones when the baselines allow it.
#pragma once

#include <memory>
#include <optional>

#include "image/operator/grid_engine.h"
#include "image/operator/pixel_doubling.h"
#include "image/plane/image_geometry.h"
#include "ingest/visibility_block.h"

namespace contimg::image {

struct ImageGrid {
  ImageGeometry geometry;                 // of the transforms
  std::optional<PixelDoubling> doubling;  // from it to the image

  std::unique_ptr<GridEngine> MakeEngine(const GridEngineSetup& setup) const;
};

// For the cross- or all correlations of `block` up to `max_uv_lambda`, and an interpolation good to `error` (relative,
// at each baseline); with error 0 the image's own pixels.
ImageGrid ChooseGrid(const VisibilityBlock& block, const ImageGeometry& image, double max_uv_lambda, double error);

}  // namespace contimg::image
