#include "mosaic/grid/node_map.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "config/parallel.h"

namespace contimg::mosaic {
namespace {

using image::PixelPosition;

constexpr double kNowhere = std::numeric_limits<double>::quiet_NaN();

PixelPosition Mapped(const GridAxes& from, const GridAxes& to, double x, double y) {
  const auto direction = to.DirectionAt(x, y);
  const auto at = direction ? from.PixelAt(*direction) : std::nullopt;
  return at ? *at : PixelPosition{kNowhere, kNowhere};
}

// Largest error in the middle of cells of this step.
double MiddleError(const GridAxes& from, const GridAxes& to, const PixelBox& box, double step) {
  constexpr int kSamples = 8;
  double largest = 0;
  for (int j = 0; j <= kSamples; ++j) {
    for (int i = 0; i <= kSamples; ++i) {
      const double x = static_cast<double>(box.x0) + static_cast<double>(box.x1 - box.x0) * i / kSamples,
                   y = static_cast<double>(box.y0) + static_cast<double>(box.y1 - box.y0) * j / kSamples;
      const PixelPosition a = Mapped(from, to, x, y), b = Mapped(from, to, x + step, y),
                          c = Mapped(from, to, x, y + step), d = Mapped(from, to, x + step, y + step),
                          middle = Mapped(from, to, x + step / 2, y + step / 2);
      const double off = std::hypot((a.x + b.x + c.x + d.x) / 4 - middle.x, (a.y + b.y + c.y + d.y) / 4 - middle.y);
      if (off > largest) largest = off;
    }
  }
  return largest;
}

}  // namespace

NodeMap MapGrid(const SkyGrid& from_grid, const SkyGrid& to_grid, const PixelBox& box, std::size_t largest_step,
                int threads) {
  const GridAxes from(from_grid), to(to_grid);
  NodeMap map;
  map.box = box;
  map.step = largest_step;
  while (map.step > 1 && MiddleError(from, to, box, static_cast<double>(map.step)) > kMapTolerance) map.step /= 2;
  map.nx = (static_cast<std::size_t>(box.x1 - box.x0) + map.step - 1) / map.step + 1;
  map.ny = (static_cast<std::size_t>(box.y1 - box.y0) + map.step - 1) / map.step + 1;
  map.nodes.resize(map.nx * map.ny);
  ParallelFor(threads, map.ny, [&](std::size_t j) {
    for (std::size_t i = 0; i < map.nx; ++i) {
      map.nodes[j * map.nx + i] = Mapped(from, to, static_cast<double>(box.x0) + static_cast<double>(i * map.step),
                                         static_cast<double>(box.y0) + static_cast<double>(j * map.step));
    }
  });
  return map;
}

}  // namespace contimg::mosaic
