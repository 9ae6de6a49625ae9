// The inner loops of image/operator/pixel_doubling.h. SIMD with run-time dispatch.
#pragma once

#include <cstddef>
#include <vector>

namespace contimg::image {

// Pixels of one axis; the wide ones reach beyond the fine ones by at least as many as there are weights.
struct PixelAxis {
  std::size_t fine = 0;
  std::size_t wide = 0;
};

// out[x] = Σ_k weights[k] (below[x − k·stride] + above[x + k·stride]).
void SumPairs(const std::vector<float>& weights, const float* below, const float* above, std::size_t stride,
              std::size_t n, float* out);
// sum[x] += weight · row[x].
void AddScaled(float weight, const float* row, std::size_t n, float* sum);

// A row of wide pixels interpolated to fine ones. `scratch`: axis.wide numbers.
void DoubleRow(const std::vector<float>& weights, const PixelAxis& axis, const float* wide, float* scratch,
               float* fine);
// The transpose. `scratch`: 2 (axis.wide + weights.size()) numbers.
void TransposeRow(const std::vector<float>& weights, const PixelAxis& axis, const float* fine, float* scratch,
                  float* wide);

}  // namespace contimg::image
