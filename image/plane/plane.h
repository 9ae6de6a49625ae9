// An image that owns its pixels, zero at first.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>

#include "config/array_view.h"
#include "config/buffer.h"
#include "config/parallel.h"
#include "image/plane/image_geometry.h"

namespace contimg::image {

struct Plane {
  Plane() = default;
  Plane(std::size_t ny, std::size_t nx) : shape{ny, nx}, pixels(ny * nx) {}
  explicit Plane(const ImageGeometry& g) : Plane(g.ny, g.nx) {}
  ArrayView<float, 2> view() { return {pixels.data(), shape}; }
  ArrayView<const float, 2> view() const { return {pixels.data(), shape}; }
  bool empty() const { return pixels.empty(); }

  std::array<std::size_t, 2> shape{};  // ny, nx
  Buffer<float> pixels;
};

inline Plane Copy(const Plane& from, int threads) {
  Plane copy(from.shape[0], from.shape[1]);
  const std::size_t nx = from.shape[1];
  ParallelFor(threads, from.shape[0],
              [&](std::size_t y) { std::copy_n(from.pixels.data() + y * nx, nx, copy.pixels.data() + y * nx); });
  return copy;
}

// The middle `size` by `size` pixels, fewer where there are not so many; an even number.
inline Plane Crop(const Plane& from, std::size_t size) {
  const std::size_t ny = from.shape[0], nx = from.shape[1];
  size = std::min({size, ny, nx}) / 2 * 2;
  Plane core(size, size);
  for (std::size_t y = 0; y < size; ++y) {
    const float* row = &from.view()(ny / 2 - size / 2 + y, nx / 2 - size / 2);
    std::copy_n(row, size, &core.view()(y, 0));
  }
  return core;
}

}  // namespace contimg::image
