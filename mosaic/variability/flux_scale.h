// The flux scale of tiles, told by sources that do not vary: what each tile's fluxes are to be multiplied by so that
// all tiles agree.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

namespace contimg::mosaic {

// One source in one tile.
struct ScalePoint {
  std::size_t source = 0;  // below the number of sources
  std::size_t tile = 0;    // below the number of tiles
  double flux_jy = 0, error_jy = 0;
};

struct ScaleOptions {
  double min_snr = 25;      // of a reference in the tile
  double max_eta = 3;       // of its normalised light curve, with the floor
  double floor = 0.01;      // of the flux: what single sources do that the tile does not
  int min_references = 10;  // fewer, and a tile has no scale
  int rounds = 4;
};

// The mean fluxes of the sources that do not vary; nothing for the others. Scales of tiles and mean fluxes in turn:
// f_t = Σ w S F/Σ w S² over the references of a tile, F_s the weighted mean of f S over its tiles; w = 1/(σ² + (floor
// S)²). Sources whose scaled light curve has η above max_eta are left out after the first round, and single points
// beyond 4 of their errors. A tile without min_references counts as 1. What all tiles have in common no tile can tell:
// their median is 1. The result does not depend on the order of `points`.
std::vector<std::optional<double>> ReferenceFluxes(std::vector<ScalePoint> points, std::size_t sources,
                                                   std::size_t tiles, const ScaleOptions& options = {});

// What a tile has of a reference, and the reference's mean flux.
struct ReferencePoint {
  double flux_jy = 0, error_jy = 0;
  double reference_jy = 0;
};

struct TileScale {
  double scale = 1;
  double error = 0;
  int references = 0;  // sources that told it
};

// The scale of a tile from its references alone: about the median of F/S, as above. Nothing with fewer than
// min_references. Points below min_snr do not count. The same points in the same order give the same bits.
std::optional<TileScale> ScaleOfTile(const std::vector<ReferencePoint>& points, const ScaleOptions& options = {});

}  // namespace contimg::mosaic
