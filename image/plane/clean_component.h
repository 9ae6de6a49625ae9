// Flux found by deconvolution.
#pragma once

#include <cstdint>

namespace contimg::image {

// Flux at (x + dx, y + dy) of the slant grid; `scale` is an index into the scales of the deconvolution, 0 = a point.
// Minor cycles find whole pixels; fractions come from image/clean/fine_positions.h.
struct CleanComponent {
  std::int32_t x = 0;
  std::int32_t y = 0;
  std::int32_t scale = 0;
  float flux_jy = 0;
  float dx = 0;  // within ±1/2
  float dy = 0;
};

}  // namespace contimg::image
