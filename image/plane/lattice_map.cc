#include "image/plane/lattice_map.h"

#include <algorithm>
#include <array>
#include <limits>

#include "config/parallel.h"

namespace contimg::image {
namespace {

// Weights of nodes −1, 0, 1, 2 at fraction t between nodes 0 and 1 (Catmull & Rom 1974).
std::array<float, 4> CubicWeights(double t) {
  const double t2 = t * t, t3 = t2 * t;
  return {static_cast<float>(0.5 * (-t3 + 2 * t2 - t)), static_cast<float>(0.5 * (3 * t3 - 5 * t2 + 2)),
          static_cast<float>(0.5 * (-3 * t3 + 4 * t2 + t)), static_cast<float>(0.5 * (t3 - t2))};
}

}  // namespace

void FillFromLattice(const ImageGeometry& plain, std::size_t step_px,
                     const std::function<double(double l, double m)>& value, ArrayView<float, 2> image, int threads) {
  const std::size_t ny = image.shape(0), nx = image.shape(1), step = step_px;
  // Node (i, j) stands at pixel ((i − 1)·step, (j − 1)·step).
  const std::size_t nodes_x = (nx - 1) / step + 4, nodes_y = (ny - 1) / step + 4;
  std::vector<float> nodes(nodes_x * nodes_y);
  ParallelFor(threads, nodes_y, [&](std::size_t j) {
    const double y = (static_cast<double>(j) - 1) * static_cast<double>(step);
    const double m = plain.shift_m + (y - static_cast<double>(plain.ny / 2)) * plain.cell_rad;
    for (std::size_t i = 0; i < nodes_x; ++i) {
      const double x = (static_cast<double>(i) - 1) * static_cast<double>(step);
      const double l = plain.shift_l - (x - static_cast<double>(plain.nx / 2)) * plain.cell_rad;
      nodes[j * nodes_x + i] =
          l * l + m * m < 1 ? static_cast<float>(value(l, m)) : std::numeric_limits<float>::quiet_NaN();
    }
  });
  std::vector<std::array<float, 4>> weights(step);
  for (std::size_t k = 0; k < step; ++k) {
    weights[k] = CubicWeights(static_cast<double>(k) / static_cast<double>(step));
  }
  ParallelFor(threads, ny, [&](std::size_t y) {
    std::vector<float> line(nodes_x);
    const std::array<float, 4>& wy = weights[y % step];
    const float* from = nodes.data() + (y / step) * nodes_x;
    for (std::size_t i = 0; i < nodes_x; ++i) {
      line[i] =
          wy[0] * from[i] + wy[1] * from[nodes_x + i] + wy[2] * from[2 * nodes_x + i] + wy[3] * from[3 * nodes_x + i];
    }
    for (std::size_t x0 = 0, i = 0; x0 < nx; x0 += step, ++i) {
      const float a = line[i], b = line[i + 1], c = line[i + 2], d = line[i + 3];
      const std::size_t count = std::min(step, nx - x0);
      for (std::size_t k = 0; k < count; ++k) {
        const std::array<float, 4>& w = weights[k];
        image(y, x0 + k) = w[0] * a + w[1] * b + w[2] * c + w[3] * d;
      }
    }
  });
}

}  // namespace contimg::image
