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

// The beam of a mosaic; angles are from each tile's own north: one array sees every tile so, and a drift turns them
// all.
struct BeamWish {
  enum class Kind {
    kCommon,   // where beams differ by more than kBeamsAgree, the smallest to which all can be brought
    kPerTile,  // each tile as it is
    kGiven,    // `beam`, which must hold all the tiles'
  };
  Kind kind = Kind::kCommon;
  image::GaussianBeam beam;  // kGiven
};

// What the metrics of a tile's image say that a mosaic asks for.
struct KnownOfTile {
  std::string grade;      // empty: not known
  double thermal_jy = 0;  // noise that the receivers explain; 0: not known
};

struct MosaicRequest {
  std::vector<std::filesystem::path> tiles;            // images, or prefixes as `contimg image --out` takes them
  std::filesystem::path prefix;                        // X.image.fits and so on
  std::map<std::filesystem::path, KnownOfTile> known;  // of images whose PREFIX.metrics.json is not beside them
  GridWishes grid;
  double min_pb = 0.1;  // of a tile less is not used
  GateLimits limits;
  BeamWish beam;
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
// set, the tiles are of no one mosaic or the beam asked for does not hold one of theirs; kBadInput when no tile is
// left; kResource when memory does not suffice; kIo; kCancelled.
MosaicReport RunMosaic(const MosaicRequest& request, const RunContext& context);

}  // namespace contimg::mosaic
