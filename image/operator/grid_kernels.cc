#include "image/operator/grid_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "image/operator/grid_kernels.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "image/operator/sincos_turn.h"

HWY_BEFORE_NAMESPACE();
namespace contimg::image::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr std::size_t kChunk = 64;      // samples prepared at a time
constexpr std::size_t kMaxLanes = 16;   // of a kernel axis
constexpr std::size_t kMaxStride = 16;  // numbers per cell

// Prepared samples, structure of arrays.
template <typename T>
struct Chunk {
  std::int32_t iu[kChunk];
  std::int32_t iv[kChunk];
  double xu[kChunk];
  double xv[kChunk];
  double w[kChunk];
  double cosine[kChunk];
  double sine[kChunk];
  HWY_ALIGN T ku[kChunk * kMaxLanes];
  HWY_ALIGN T kv[kChunk * kMaxLanes + kMaxLanes];
  HWY_ALIGN T value[kChunk * kMaxStride];  // the terms of a sample, repeated to fill kMaxStride for gridding
};

// Cell, fraction, w and rotation of n ≤ kChunk samples. Plain loops: the compiler vectorises them for this target.
template <typename T>
void Locate(const RowNodes& row, int support, std::size_t first, std::size_t n, Chunk<T>& chunk) {
  const double half = 0.5 * support;
  const double* HWY_RESTRICT nu = row.frequency_hz + first;
  for (std::size_t j = 0; j < n; ++j) {
    const double u = nu[j] * row.u_per_hz;
    const double v = nu[j] * row.v_per_hz;
    const double iu = std::ceil(u - half);
    const double iv = std::ceil(v - half);
    chunk.iu[j] = static_cast<std::int32_t>(iu);
    chunk.iv[j] = static_cast<std::int32_t>(iv);
    chunk.xu[j] = 2 * (iu - u + half) - 1;
    chunk.xv[j] = 2 * (iv - v + half) - 1;
    chunk.w[j] = nu[j] * row.w_per_hz;
  }
  for (std::size_t j = 0; j < n; ++j) SinCosTurn(nu[j] * row.turn_per_hz, chunk.sine[j], chunk.cosine[j]);
}

// The kernel taps of n samples in both axes.
template <typename T>
void EvaluateKernel(const GridPass<T>& pass, std::size_t n, Chunk<T>& chunk) {
  const hn::CappedTag<T, 8> d;  // taps are padded to a multiple of 8
  const std::size_t step = hn::Lanes(d);
  const std::size_t lanes = static_cast<std::size_t>(pass.lanes);
  const T* HWY_RESTRICT table = pass.coefficients.data();
  for (std::size_t j = 0; j < n; ++j) {
    const auto xu = hn::Set(d, static_cast<T>(chunk.xu[j]));
    const auto xv = hn::Set(d, static_cast<T>(chunk.xv[j]));
    for (std::size_t i = 0; i < lanes; i += step) {
      auto ku = hn::LoadU(d, table + i);
      auto kv = ku;
      for (int power = 1; power <= pass.degree; ++power) {
        const auto c = hn::LoadU(d, table + static_cast<std::size_t>(power) * lanes + i);
        ku = hn::MulAdd(ku, xu, c);
        kv = hn::MulAdd(kv, xv, c);
      }
      hn::StoreU(ku, d, chunk.ku + j * kMaxLanes + i);
      hn::StoreU(kv, d, chunk.kv + j * kMaxLanes + i);
    }
  }
}

// φ at the distance of plane p from a sample at w (both in plane spacings); 0 outside the support.
template <typename T>
double PlaneWeight(const GridPass<T>& pass, double w, double p) {
  const double half = 0.5 * pass.support;
  const double i0 = std::ceil(w - half);
  const double tap = p - i0;
  if (tap < 0 || tap >= pass.support) return 0;
  const double x = 2 * (i0 - w + half) - 1;
  double sum = 0;
  for (int power = 0; power <= pass.degree; ++power) {
    sum = sum * x +
          pass.coefficients_double[static_cast<std::size_t>(power * pass.lanes) + static_cast<std::size_t>(tap)];
  }
  return sum;
}

// Multiplies (zr, zi) by the factors of the terms; out: n_terms complex numbers, the rest of the stride stays zero.
template <typename T>
void SpreadTerms(const GridPass<T>& pass, double w, double zr, double zi, T* HWY_RESTRICT out) {
  const SampleTerms& terms = pass.terms;
  if (terms.kind == SampleTerms::Kind::kSeries) {
    const double y = w * terms.inverse_scale;
    for (std::ptrdiff_t k = 0; k < terms.n_terms; ++k) {
      out[2 * k] = static_cast<T>(zr);
      out[2 * k + 1] = static_cast<T>(zi);
      const double next = -zi * y;
      zi = zr * y;
      zr = next;
    }
    return;
  }
  for (std::ptrdiff_t p = 0; 2 * p < terms.n_terms; ++p) {
    const double phi = PlaneWeight(pass, w * terms.inverse_scale, terms.first_plane + static_cast<int>(p));
    out[4 * p] = static_cast<T>(phi * zr);
    out[4 * p + 1] = static_cast<T>(phi * zi);
    out[4 * p + 2] = static_cast<T>(-phi * zi);
    out[4 * p + 3] = static_cast<T>(phi * zr);
  }
}

// The adjoint of SpreadTerms: Σ_k conj(c_k) in_k.
template <typename T>
void CollectTerms(const GridPass<T>& pass, double w, const T* HWY_RESTRICT in, double& zr, double& zi) {
  const SampleTerms& terms = pass.terms;
  zr = 0;
  zi = 0;
  if (terms.kind == SampleTerms::Kind::kSeries) {
    const double y = w * terms.inverse_scale;
    for (std::ptrdiff_t k = terms.n_terms - 1; k >= 0; --k) {  // Horner in −iy
      const double next = zi * y;
      zi = -zr * y + in[2 * k + 1];
      zr = next + in[2 * k];
    }
    return;
  }
  for (std::ptrdiff_t p = 0; 2 * p < terms.n_terms; ++p) {
    const double phi = PlaneWeight(pass, w * terms.inverse_scale, terms.first_plane + static_cast<int>(p));
    zr += phi * (static_cast<double>(in[4 * p]) + in[4 * p + 3]);
    zi += phi * (static_cast<double>(in[4 * p + 1]) - in[4 * p + 2]);
  }
}

// Vector j of a kernel row: the taps of the cells it covers, each repeated `stride` times.
template <typename D, typename T, typename I>
HWY_INLINE hn::Vec<D> RepeatTaps(D d, const T* taps, std::size_t stride, std::size_t j, I pattern) {
  const std::size_t lanes = hn::Lanes(d);
  if (lanes <= stride) return hn::Set(d, taps[j * lanes / stride]);
  return hn::TableLookupLanes(hn::LoadU(d, taps + j * lanes / stride), pattern);
}

template <typename D, typename T>
HWY_INLINE auto RepeatPattern(D d, std::size_t stride, const T*) {
  using DI = hn::RebindToSigned<D>;
  using Index = hn::TFromD<DI>;
  HWY_ALIGN Index index[kMaxLanes] = {};
  const std::size_t lanes = hn::Lanes(d);
  for (std::size_t i = 0; i < lanes; ++i) index[i] = lanes <= stride ? 0 : static_cast<Index>(i / stride);
  return hn::IndicesFromVec(d, hn::Load(DI(), index));
}

// Adds NV vectors of every cell row of one sample.
template <int NV, typename T>
void GridSamples(const GridPass<T>& pass, const Chunk<T>& chunk, std::size_t n, const GridBox<T>& box,
                 std::size_t first_vector) {
  const hn::CappedTag<T, kMaxLanes> d;
  const std::size_t lanes = hn::Lanes(d);
  const std::size_t stride = static_cast<std::size_t>(pass.stride);
  const auto pattern = RepeatPattern(d, stride, box.data);
  for (std::size_t s = 0; s < n; ++s) {
    const T* taps = chunk.kv + s * kMaxLanes;
    const T* value = chunk.value + s * kMaxStride;
    hn::Vec<decltype(d)> product[NV];
    for (int j = 0; j < NV; ++j) {
      const std::size_t at = first_vector + static_cast<std::size_t>(j);
      product[j] = hn::Mul(hn::Load(d, value + at * lanes % kMaxStride), RepeatTaps(d, taps, stride, at, pattern));
    }
    T* HWY_RESTRICT cell =
        box.data +
        (static_cast<std::size_t>(chunk.iu[s] - box.u0) * box.nv + static_cast<std::size_t>(chunk.iv[s] - box.v0)) *
            stride +
        first_vector * lanes;
    const std::size_t row = box.nv * stride;
    const T* ku = chunk.ku + s * kMaxLanes;
    for (int i = 0; i < pass.support; ++i, cell += row) {
      const auto k = hn::Set(d, ku[i]);
      for (int j = 0; j < NV; ++j) {
        T* at = cell + static_cast<std::size_t>(j) * lanes;
        hn::StoreU(hn::MulAdd(k, product[j], hn::LoadU(d, at)), d, at);
      }
    }
  }
}

// Sums over the cells of each sample: term sums of vectors [first_vector, first_vector + NV) are added to chunk.value.
template <int NV, typename T>
void DegridSamples(const GridPass<T>& pass, Chunk<T>& chunk, std::size_t n, const GridBox<const T>& box,
                   std::size_t first_vector) {
  const hn::CappedTag<T, kMaxLanes> d;
  const std::size_t lanes = hn::Lanes(d);
  const std::size_t stride = static_cast<std::size_t>(pass.stride);
  const auto pattern = RepeatPattern(d, stride, box.data);
  HWY_ALIGN T part[kMaxLanes];
  for (std::size_t s = 0; s < n; ++s) {
    const T* HWY_RESTRICT cell =
        box.data +
        (static_cast<std::size_t>(chunk.iu[s] - box.u0) * box.nv + static_cast<std::size_t>(chunk.iv[s] - box.v0)) *
            stride +
        first_vector * lanes;
    const std::size_t row = box.nv * stride;
    const T* ku = chunk.ku + s * kMaxLanes;
    hn::Vec<decltype(d)> sum[NV];
    for (int j = 0; j < NV; ++j) sum[j] = hn::Zero(d);
    for (int i = 0; i < pass.support; ++i, cell += row) {
      const auto k = hn::Set(d, ku[i]);
      for (int j = 0; j < NV; ++j) {
        sum[j] = hn::MulAdd(k, hn::LoadU(d, cell + static_cast<std::size_t>(j) * lanes), sum[j]);
      }
    }
    const T* taps = chunk.kv + s * kMaxLanes;
    T* HWY_RESTRICT value = chunk.value + s * kMaxStride;
    if (lanes >= stride) {
      auto total = hn::Zero(d);
      for (int j = 0; j < NV; ++j) {
        total =
            hn::MulAdd(RepeatTaps(d, taps, stride, first_vector + static_cast<std::size_t>(j), pattern), sum[j], total);
      }
      hn::Store(total, d, part);
      for (std::size_t i = 0; i < lanes; i += stride) {
        for (std::size_t t = 0; t < stride; ++t) value[t] += part[i + t];
      }
    } else {
      for (int j = 0; j < NV; ++j) {
        const std::size_t at = first_vector + static_cast<std::size_t>(j);
        const auto tap = RepeatTaps(d, taps, stride, at, pattern);
        T* to = value + at * lanes % stride;
        hn::StoreU(hn::MulAdd(tap, sum[j], hn::LoadU(d, to)), d, to);
      }
    }
  }
}

// Calls f.template operator()<NV>(first_vector) until all vectors of a cell row are covered, up to 8 at a time so that
// they stay in registers.
template <typename F>
void ForVectors(std::size_t n_vectors, const F& f) {
  std::size_t first = 0;
  for (; n_vectors - first > 8; first += 8) f.template operator()<8>(first);
  switch (n_vectors - first) {
    case 1:
      f.template operator()<1>(first);
      break;
    case 2:
      f.template operator()<2>(first);
      break;
    case 3:
      f.template operator()<3>(first);
      break;
    case 4:
      f.template operator()<4>(first);
      break;
    case 5:
      f.template operator()<5>(first);
      break;
    case 6:
      f.template operator()<6>(first);
      break;
    case 7:
      f.template operator()<7>(first);
      break;
    default:
      f.template operator()<8>(first);
      break;
  }
}

template <typename T>
std::size_t VectorsPerRow(const GridPass<T>& pass) {
  const hn::CappedTag<T, kMaxLanes> d;
  return (static_cast<std::size_t>(pass.support * pass.stride) + hn::Lanes(d) - 1) / hn::Lanes(d);
}

template <typename T>
void GridRowT(const GridPass<T>& pass, const RowNodes& row, const float* re, const float* im, const GridBox<T>& box) {
  Chunk<T> chunk;
  const std::size_t stride = static_cast<std::size_t>(pass.stride);
  std::fill_n(chunk.value, kChunk * kMaxStride, T(0));
  for (std::size_t first = 0; first < row.n; first += kChunk) {
    const std::size_t n = std::min(kChunk, row.n - first);
    Locate(row, pass.support, first, n, chunk);
    for (std::size_t j = 0; j < n; ++j) {
      const double zr = re[first + j];
      const double zi = im == nullptr ? 0.0 : static_cast<double>(im[first + j]);
      SpreadTerms(pass, chunk.w[j], zr * chunk.cosine[j] - zi * chunk.sine[j],
                  zr * chunk.sine[j] + zi * chunk.cosine[j], chunk.value + j * kMaxStride);
      T* value = chunk.value + j * kMaxStride;
      for (std::size_t i = stride; i < kMaxStride; ++i) value[i] = value[i - stride];
    }
    EvaluateKernel(pass, n, chunk);
    ForVectors(VectorsPerRow(pass), [&]<int NV>(std::size_t vector) { GridSamples<NV>(pass, chunk, n, box, vector); });
  }
}

template <typename T>
void DegridRowT(const GridPass<T>& pass, const RowNodes& row, const GridBox<const T>& box, float* re, float* im) {
  Chunk<T> chunk;
  for (std::size_t first = 0; first < row.n; first += kChunk) {
    const std::size_t n = std::min(kChunk, row.n - first);
    Locate(row, pass.support, first, n, chunk);
    EvaluateKernel(pass, n, chunk);
    std::fill_n(chunk.value, n * kMaxStride, T(0));
    ForVectors(VectorsPerRow(pass),
               [&]<int NV>(std::size_t vector) { DegridSamples<NV>(pass, chunk, n, box, vector); });
    for (std::size_t j = 0; j < n; ++j) {
      double zr = 0;
      double zi = 0;
      CollectTerms(pass, chunk.w[j], chunk.value + j * kMaxStride, zr, zi);
      re[first + j] += static_cast<float>(zr * chunk.cosine[j] + zi * chunk.sine[j]);
      im[first + j] += static_cast<float>(zi * chunk.cosine[j] - zr * chunk.sine[j]);
    }
  }
}

void GridRowFloat(const GridPass<float>& pass, const RowNodes& row, const float* re, const float* im,
                  const GridBox<float>& box) {
  GridRowT(pass, row, re, im, box);
}
void GridRowDouble(const GridPass<double>& pass, const RowNodes& row, const float* re, const float* im,
                   const GridBox<double>& box) {
  GridRowT(pass, row, re, im, box);
}
void DegridRowFloat(const GridPass<float>& pass, const RowNodes& row, const GridBox<const float>& box, float* re,
                    float* im) {
  DegridRowT(pass, row, box, re, im);
}
void DegridRowDouble(const GridPass<double>& pass, const RowNodes& row, const GridBox<const double>& box, float* re,
                     float* im) {
  DegridRowT(pass, row, box, re, im);
}

}  // namespace contimg::image::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace contimg::image {

HWY_EXPORT(GridRowFloat);
HWY_EXPORT(GridRowDouble);
HWY_EXPORT(DegridRowFloat);
HWY_EXPORT(DegridRowDouble);

template <typename T>
GridPass<T>::GridPass(const GriddingKernel& kernel, const SampleTerms& sample_terms)
    : support(kernel.support()),
      lanes(kernel.lanes()),
      degree(kernel.degree()),
      coefficients(kernel.coefficients().begin(), kernel.coefficients().end()),
      coefficients_double(kernel.coefficients()),
      terms(sample_terms),
      stride(2) {
  while (stride < 2 * terms.n_terms) stride *= 2;
}
template struct GridPass<float>;
template struct GridPass<double>;

template <>
void GridRow(const GridPass<float>& pass, const RowNodes& row, const float* re, const float* im,
             const GridBox<float>& box) {
  HWY_DYNAMIC_DISPATCH(GridRowFloat)(pass, row, re, im, box);
}
template <>
void GridRow(const GridPass<double>& pass, const RowNodes& row, const float* re, const float* im,
             const GridBox<double>& box) {
  HWY_DYNAMIC_DISPATCH(GridRowDouble)(pass, row, re, im, box);
}
template <>
void DegridRow(const GridPass<float>& pass, const RowNodes& row, const GridBox<const float>& box, float* re,
               float* im) {
  HWY_DYNAMIC_DISPATCH(DegridRowFloat)(pass, row, box, re, im);
}
template <>
void DegridRow(const GridPass<double>& pass, const RowNodes& row, const GridBox<const double>& box, float* re,
               float* im) {
  HWY_DYNAMIC_DISPATCH(DegridRowDouble)(pass, row, box, re, im);
}

}  // namespace contimg::image
#endif
