// The inner loops of resampling, SIMD with run-time dispatch. Private to image/plane/slant_resample.cc.
#pragma once

#include <cstddef>
#include <cstdint>

namespace contimg::image {

struct InterpolationInput {
  const float* pixels;  // [ny][nx]
  const float* second;  // another image of these pixels, read at the same places; null: none
  std::int32_t nx, ny;
  const float* weights;  // [BandlimitedInterpolator::kPhases + 1][stride]
  std::int32_t taps;     // 8, 12 or 16
};

// output[i] = the input at (x[i], y[i]); NaN outside [0, nx−1] × [0, ny−1] or where a coordinate is NaN. `output2`: of
// the second image, when there is one.
void InterpolateRow(const InterpolationInput& input, const double* x, const double* y, std::size_t count, float* output,
                    float* output2);

// Where the pixels of one row of the plain grid are on the slant grid: pixel i, `offset` = i − `middle` from its
// middle, has l = shift_l − offset · cell, n1 = √(1 − l² − m²) − 1 and lies at x = x0 + offset · scale + x_n · n1, y =
// y0 + y_n · n1. NaN beyond the horizon.
struct SlantRow {
  double middle, shift_l, cell, m;
  double x0, scale, x_n, y0, y_n;
};
void LocateRow(const SlantRow& row, std::size_t count, double* x, double* y);

}  // namespace contimg::image
