// The mosaic stage: tiles in, one map of their sky and what it is made of out. docs/mosaics.md has the formulas.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/run_context.h"
#include "config/source_list.h"
#include "mosaic/gate/tile_gate.h"
#include "mosaic/grid/sky_grid.h"
#include "mosaic/mosaic_report.h"

namespace contimg::mosaic {

struct MosaicRequest {
  std::vector<std::filesystem::path> tiles;             // images, or prefixes as `contimg image --out` takes them
  std::filesystem::path prefix;                         // X.image.fits and so on
  std::map<std::filesystem::path, std::string> grades;  // of images whose PREFIX.metrics.json is not beside them
  GridWishes grid;
  double min_pb = 0.1;  // of a tile less is not used
  GateLimits limits;
  bool apply_scale = false;             // divide each tile by its scale
  bool residual = true;                 // make a residual map
  std::vector<ListedSource> catalogue;  // what the mosaic is compared with; may be empty
  bool fits = true, casacore = false, compress = false;
  bool overwrite = false;
  bool durable = true;
  std::string software = "contimg";
  std::string settings_hash;
};

// Makes and publishes X.image, .residual, .rms, .weight (Jy/beam, Jy/beam, Jy/beam, Jy⁻² beam²), X.tiles.fits,
// X.metrics.json and X.qa.png. A tile that does not fit the others is left out, with a warning that names it and says
// why. Every file is finished under a hidden name before the first gets its own; the result does not depend on the
// order of the tiles nor on the number of threads. Throws Error: kUsage when a product exists and `overwrite` is not
// set or the tiles are of no one mosaic; kBadInput when no tile is left; kResource when memory does not suffice; kIo;
// kCancelled.
MosaicReport RunMosaic(const MosaicRequest& request, const RunContext& context);

}  // namespace contimg::mosaic
