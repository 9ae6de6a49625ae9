#include "image/operator/doubling_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "image/operator/doubling_kernels.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>

HWY_BEFORE_NAMESPACE();
namespace contimg::image::HWY_NAMESPACE {

// Plain loops throughout: the compiler vectorises them for each target.

constexpr std::size_t kBlock = 1024;  // stays in the first-level cache

void SumPairsTarget(const float* weights, std::size_t pairs, const float* below, const float* above, std::size_t stride,
                    std::size_t n, float* out) {
  for (std::size_t first = 0; first < n; first += kBlock) {
    const std::size_t count = std::min(kBlock, n - first);
    float* HWY_RESTRICT sum = out + first;
    for (std::size_t x = 0; x < count; ++x) sum[x] = 0;
    for (std::size_t k = 0; k < pairs; ++k) {
      const float w = weights[k];
      const float* HWY_RESTRICT low = below + first - k * stride;
      const float* HWY_RESTRICT high = above + first + k * stride;
      for (std::size_t x = 0; x < count; ++x) sum[x] += w * (low[x] + high[x]);
    }
  }
}

void AddScaledTarget(float weight, const float* HWY_RESTRICT row, std::size_t n, float* HWY_RESTRICT sum) {
  for (std::size_t x = 0; x < n; ++x) sum[x] += weight * row[x];
}

// Fine pixel 2j + parity lies on wide pixel first + j (even) or between first + j and first + j + 1 (odd).
void InterleaveTarget(const float* HWY_RESTRICT even, const float* HWY_RESTRICT odd, std::size_t n,
                      float* HWY_RESTRICT out) {
  for (std::size_t j = 0; j < n; ++j) {
    out[2 * j] = even[j];
    out[2 * j + 1] = odd[j];
  }
}

void SeparateTarget(const float* HWY_RESTRICT in, std::size_t n, float* HWY_RESTRICT even, float* HWY_RESTRICT odd) {
  for (std::size_t j = 0; j < n; ++j) {
    even[j] = in[2 * j];
    odd[j] = in[2 * j + 1];
  }
}

}  // namespace contimg::image::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace contimg::image {

HWY_EXPORT(SumPairsTarget);
HWY_EXPORT(AddScaledTarget);
HWY_EXPORT(InterleaveTarget);
HWY_EXPORT(SeparateTarget);

void SumPairs(const std::vector<float>& weights, const float* below, const float* above, std::size_t stride,
              std::size_t n, float* out) {
  HWY_DYNAMIC_DISPATCH(SumPairsTarget)(weights.data(), weights.size(), below, above, stride, n, out);
}

void AddScaled(float weight, const float* row, std::size_t n, float* sum) {
  HWY_DYNAMIC_DISPATCH(AddScaledTarget)(weight, row, n, sum);
}

// Fine pixels come in pairs: an even offset from the centre (a wide pixel) and the one after it (between two). The
// first fine pixel has an odd offset when half their number is odd: the pairs then start one pixel before it, and end
// one after the last.
void DoubleRow(const std::vector<float>& weights, const PixelAxis& axis, const float* wide, float* scratch,
               float* fine) {
  const std::size_t half = axis.fine / 2;
  const std::size_t first = axis.wide / 2 - (half + 1) / 2;  // wide pixel of the first pair
  const std::size_t skip = half % 2;
  const std::size_t pairs = half + skip;
  const float* even = wide + first;
  HWY_DYNAMIC_DISPATCH(SumPairsTarget)(weights.data(), weights.size(), even, even + 1, 1, pairs, scratch);
  if (skip == 0) {
    HWY_DYNAMIC_DISPATCH(InterleaveTarget)(even, scratch, pairs, fine);
    return;
  }
  fine[0] = scratch[0];
  HWY_DYNAMIC_DISPATCH(InterleaveTarget)(even + 1, scratch + 1, pairs - 2, fine + 1);
  fine[axis.fine - 1] = even[pairs - 1];
}

void TransposeRow(const std::vector<float>& weights, const PixelAxis& axis, const float* fine, float* scratch,
                  float* wide) {
  const std::size_t half = axis.fine / 2;
  const std::size_t first = axis.wide / 2 - (half + 1) / 2;
  const std::size_t skip = half % 2;
  const std::size_t pairs = half + skip;
  // Odd pixels with zeros to either side, so that every wide pixel can take from all of them.
  const std::size_t margin = weights.size();
  float* odd = scratch;  // of wide pixel i − margin at index i: between it and the next
  std::fill_n(odd, axis.wide + 2 * margin, 0.0F);
  std::fill_n(wide, axis.wide, 0.0F);
  float* even = wide + first;
  float* own = odd + margin + first;
  if (skip == 0) {
    HWY_DYNAMIC_DISPATCH(SeparateTarget)(fine, pairs, even, own);
  } else {
    own[0] = fine[0];
    HWY_DYNAMIC_DISPATCH(SeparateTarget)(fine + 1, pairs - 2, even + 1, own + 1);
    even[pairs - 1] = fine[axis.fine - 1];
  }
  // Wide pixel i has weight k in the places between at i − 1 − k and i + k.
  for (std::size_t k = 0; k < weights.size(); ++k) {
    AddScaled(weights[k], odd + margin - 1 - k, axis.wide, wide);
    AddScaled(weights[k], odd + margin + k, axis.wide, wide);
  }
}

}  // namespace contimg::image
#endif
