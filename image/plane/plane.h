// An image that owns its pixels, zero at first.
#pragma once

#include <array>
#include <cstddef>

#include "config/array_view.h"
#include "config/buffer.h"
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

}  // namespace contimg::image
