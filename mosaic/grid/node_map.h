// Where the pixels of one grid lie in another, on a lattice of nodes with straight lines between.
#pragma once

#include <cstddef>
#include <vector>

#include "image/plane/image_geometry.h"
#include "mosaic/grid/sky_grid.h"

namespace contimg::mosaic {

inline constexpr double kMapTolerance = 1e-4;  // pixels by which the mapping may be off

// Nodes at pixels x0 + i·step, y0 + j·step of `to` over a box of it, exact there, each with its pixel in `from`; NaN
// beyond the horizon.
struct NodeMap {
  std::size_t step = 1;
  PixelBox box;                             // of `to`
  std::size_t nx = 0, ny = 0;               // nodes; the last ones are at or beyond the box's end
  std::vector<image::PixelPosition> nodes;  // [ny][nx]

  const image::PixelPosition& At(std::size_t i, std::size_t j) const { return nodes[j * nx + i]; }
};

// Nodes every `largest_step` pixels (a power of two), or half, a quarter … of that where straight lines between those
// would err by more than kMapTolerance in the middle of some cell of a lattice of 9 by 9 over the box.
NodeMap MapGrid(const SkyGrid& from, const SkyGrid& to, const PixelBox& box, std::size_t largest_step, int threads);

}  // namespace contimg::mosaic
