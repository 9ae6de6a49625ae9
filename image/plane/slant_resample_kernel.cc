#include "image/plane/slant_resample_kernel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "image/plane/slant_resample_kernel.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "image/plane/slant_resample.h"

HWY_BEFORE_NAMESPACE();
namespace contimg::image::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// A coordinate split into the first tap and the weights there, zeros up to kWidth.
template <int kTaps, int kWidth>
HWY_INLINE std::int32_t SplitCoordinate(const float* table, double at, float* weights) {
  const double whole = std::floor(at);
  const double phase = (at - whole) * static_cast<double>(BandlimitedInterpolator::kPhases);
  const auto index = static_cast<std::size_t>(phase);
  const auto fraction = static_cast<float>(phase - static_cast<double>(index));
  const float* low = table + index * kWidth;
  const hn::CappedTag<float, kWidth> d;
  const auto f = hn::Set(d, fraction);
  for (std::size_t k = 0; k < kWidth; k += hn::Lanes(d)) {
    const auto a = hn::LoadU(d, low + k), b = hn::LoadU(d, low + kWidth + k);
    hn::StoreU(hn::MulAdd(f, hn::Sub(b, a), a), d, weights + k);
  }
  return static_cast<std::int32_t>(whole) - kTaps / 2 + 1;
}

// One image or two with the same weights, of which each is what it would be alone.
template <int kTaps, int kWidth, bool kTwo>
void Interpolate(const InterpolationInput& in, const double* x, const double* y, std::size_t count, float* output,
                 float* output2) {
  const hn::CappedTag<float, kWidth> d;
  constexpr std::size_t kParts = kWidth / hn::MaxLanes(hn::CappedTag<float, kWidth>());
  for (std::size_t i = 0; i < count; ++i) {
    if (!(x[i] >= 0 && y[i] >= 0 && x[i] <= in.nx - 1 && y[i] <= in.ny - 1)) {
      output[i] = std::numeric_limits<float>::quiet_NaN();
      if constexpr (kTwo) output2[i] = output[i];
      continue;
    }
    HWY_ALIGN float wx[kWidth];
    HWY_ALIGN float wy[kWidth];
    const std::int32_t x0 = SplitCoordinate<kTaps, kWidth>(in.weights, x[i], wx);
    const std::int32_t y0 = SplitCoordinate<kTaps, kWidth>(in.weights, y[i], wy);
    if (x0 >= 0 && y0 >= 0 && x0 + kWidth <= in.nx && y0 + kTaps <= in.ny) {
      const std::ptrdiff_t first = static_cast<std::ptrdiff_t>(y0) * in.nx + x0;
      const float* row = in.pixels + first;
      const float* row2 = kTwo ? in.second + first : nullptr;
      hn::VFromD<decltype(d)> sum[kParts], sum2[kParts];
      for (auto& part : sum) part = hn::Zero(d);
      for (auto& part : sum2) part = hn::Zero(d);
      for (std::int32_t j = 0; j < kTaps; ++j) {
        const auto w = hn::Set(d, wy[j]);
        for (std::size_t part = 0; part < kParts; ++part) {
          sum[part] = hn::MulAdd(w, hn::LoadU(d, row + part * hn::Lanes(d)), sum[part]);
          if constexpr (kTwo) sum2[part] = hn::MulAdd(w, hn::LoadU(d, row2 + part * hn::Lanes(d)), sum2[part]);
        }
        row += in.nx;
        if constexpr (kTwo) row2 += in.nx;
      }
      auto total = hn::Zero(d), total2 = hn::Zero(d);
      for (std::size_t part = 0; part < kParts; ++part) {
        const auto w = hn::Load(d, wx + part * hn::Lanes(d));
        total = hn::MulAdd(sum[part], w, total);
        if constexpr (kTwo) total2 = hn::MulAdd(sum2[part], w, total2);
      }
      output[i] = hn::GetLane(hn::SumOfLanes(d, total));
      if constexpr (kTwo) output2[i] = hn::GetLane(hn::SumOfLanes(d, total2));
    } else {
      double total = 0, total2 = 0;
      for (std::int32_t j = 0; j < kTaps; ++j) {
        const std::int32_t row = std::clamp(y0 + j, 0, in.ny - 1);
        for (std::int32_t k = 0; k < kTaps; ++k) {
          const std::int32_t column = std::clamp(x0 + k, 0, in.nx - 1);
          const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(row) * in.nx + column;
          total += static_cast<double>(wy[j]) * wx[k] * in.pixels[at];
          if constexpr (kTwo) total2 += static_cast<double>(wy[j]) * wx[k] * in.second[at];
        }
      }
      output[i] = static_cast<float>(total);
      if constexpr (kTwo) output2[i] = static_cast<float>(total2);
    }
  }
}

template <bool kTwo>
void InterpolateTaps(const InterpolationInput& in, const double* x, const double* y, std::size_t count, float* output,
                     float* output2) {
  if (in.taps == 8) {
    Interpolate<8, 8, kTwo>(in, x, y, count, output, output2);
  } else if (in.taps == 12) {
    Interpolate<12, 16, kTwo>(in, x, y, count, output, output2);
  } else {
    Interpolate<16, 16, kTwo>(in, x, y, count, output, output2);
  }
}

void InterpolateRowAny(const InterpolationInput& in, const double* x, const double* y, std::size_t count, float* output,
                       float* output2) {
  in.second == nullptr ? InterpolateTaps<false>(in, x, y, count, output, output2)
                       : InterpolateTaps<true>(in, x, y, count, output, output2);
}

void LocateRowAny(const SlantRow& row, std::size_t count, double* x, double* y) {
  const hn::ScalableTag<double> d;
  const auto one = hn::Set(d, 1.0), step = hn::Set(d, static_cast<double>(hn::Lanes(d)));
  auto offset = hn::Sub(hn::Iota(d, 0.0), hn::Set(d, row.middle));
  // The last vector is written aside.
  HWY_ALIGN double rest_x[hn::MaxLanes(d)];
  HWY_ALIGN double rest_y[hn::MaxLanes(d)];
  for (std::size_t i = 0; i < count; i += hn::Lanes(d), offset = hn::Add(offset, step)) {
    const auto l = hn::NegMulAdd(offset, hn::Set(d, row.cell), hn::Set(d, row.shift_l));
    const auto r2 = hn::MulAdd(l, l, hn::Set(d, row.m * row.m));
    const auto n1 = hn::Neg(hn::Div(r2, hn::Add(one, hn::Sqrt(hn::Sub(one, r2)))));
    const auto at_x =
        hn::MulAdd(n1, hn::Set(d, row.x_n), hn::MulAdd(offset, hn::Set(d, row.scale), hn::Set(d, row.x0)));
    const auto at_y = hn::MulAdd(n1, hn::Set(d, row.y_n), hn::Set(d, row.y0));
    const bool whole = i + hn::Lanes(d) <= count;
    hn::StoreU(at_x, d, whole ? x + i : rest_x);
    hn::StoreU(at_y, d, whole ? y + i : rest_y);
    if (whole) continue;
    std::copy_n(rest_x, count - i, x + i);
    std::copy_n(rest_y, count - i, y + i);
  }
}

}  // namespace contimg::image::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace contimg::image {

HWY_EXPORT(InterpolateRowAny);
HWY_EXPORT(LocateRowAny);

void InterpolateRow(const InterpolationInput& input, const double* x, const double* y, std::size_t count, float* output,
                    float* output2) {
  HWY_DYNAMIC_DISPATCH(InterpolateRowAny)(input, x, y, count, output, output2);
}

void LocateRow(const SlantRow& row, std::size_t count, double* x, double* y) {
  HWY_DYNAMIC_DISPATCH(LocateRowAny)(row, count, x, y);
}

}  // namespace contimg::image
#endif
