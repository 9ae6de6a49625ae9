#include "image/operator/screen_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "image/operator/screen_kernels.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <cmath>

#include "image/operator/sincos_turn.h"

HWY_BEFORE_NAMESPACE();
namespace contimg::image::HWY_NAMESPACE {

// Plain loops throughout: the compiler vectorises them for each target.

void NMinus1RowTarget(const ImageGeometry& geometry, std::size_t y, double middle, double* HWY_RESTRICT t) {
  const double a = geometry.slant_a;
  const double b = geometry.slant_b;
  const double m =
      geometry.shift_m + (static_cast<double>(y) - static_cast<double>(geometry.ny / 2)) * geometry.cell_rad;
  const double centre = static_cast<double>(geometry.nx / 2);
  const double squares = 1 + a * a + b * b;
  const int n = static_cast<int>(geometry.nx);
  for (int x = 0; x < n; ++x) {  // SlantNMinus1, which explains it
    const double l = geometry.shift_l - (x - centre) * geometry.cell_rad;
    const double p = 1 - (a * l + b * m);
    const double r2 = l * l + m * m;
    const double discriminant = p * p - squares * r2;
    t[x] = -r2 / (p + std::sqrt(discriminant > 0 ? discriminant : 0)) - middle;
  }
}

// g for the pixels; blocks keep it in the first-level cache.
constexpr std::size_t kBlock = 512;
template <typename T>
void Factors(const SeriesFactor& factor, const double* HWY_RESTRICT t, std::size_t n, T* HWY_RESTRICT g) {
  const T inverse = static_cast<T>(factor.inverse_half_range);
  T square[kBlock];
  for (std::size_t x = 0; x < n; ++x) {
    const T tau = static_cast<T>(t[x]) * inverse;
    square[x] = tau * tau;
  }
  const std::size_t order = factor.coefficients.size();
  const T last = static_cast<T>(factor.coefficients[order - 1]);
  for (std::size_t x = 0; x < n; ++x) g[x] = last;
  for (std::size_t i = order - 1; i-- > 0;) {
    const T c = static_cast<T>(factor.coefficients[i]);
    for (std::size_t x = 0; x < n; ++x) g[x] = g[x] * square[x] + c;
  }
  if (factor.odd) {
    for (std::size_t x = 0; x < n; ++x) g[x] *= static_cast<T>(t[x]) * inverse;
  }
}

template <typename T>
void AddSeriesTermT(const SeriesFactor& factor, const double* t, std::size_t n, const T* row, T* sum) {
  T g[kBlock];
  for (std::size_t first = 0; first < n; first += kBlock) {
    const std::size_t count = n - first < kBlock ? n - first : kBlock;
    Factors(factor, t + first, count, g);
    const T* HWY_RESTRICT from = row + first;
    T* HWY_RESTRICT to = sum + first;
    for (std::size_t x = 0; x < count; ++x) to[x] += g[x] * from[x];
  }
}

template <typename T>
void SpreadSeriesTermT(const SeriesFactor& factor, const double* t, std::size_t n, const T* value, T* row) {
  T g[kBlock];
  for (std::size_t first = 0; first < n; first += kBlock) {
    const std::size_t count = n - first < kBlock ? n - first : kBlock;
    Factors(factor, t + first, count, g);
    const T* HWY_RESTRICT from = value + first;
    T* HWY_RESTRICT to = row + first;
    for (std::size_t x = 0; x < count; ++x) to[x] = g[x] * from[x];
  }
}

template <typename T>
void AddPlaneT(const SeriesFactor& factor, double w, const double* t, std::size_t n, const T* cosine_row,
               const T* sine_row, T* sum) {
  double g[kBlock];
  for (std::size_t first = 0; first < n; first += kBlock) {
    const std::size_t count = n - first < kBlock ? n - first : kBlock;
    Factors(factor, t + first, count, g);
    for (std::size_t x = 0; x < count; ++x) {
      double s = 0;
      double c = 0;
      SinCosTurn(w * t[first + x], s, c);
      sum[first + x] += static_cast<T>(
          g[x] * (c * static_cast<double>(cosine_row[first + x]) + s * static_cast<double>(sine_row[first + x])));
    }
  }
}

template <typename T>
void SpreadPlaneT(const SeriesFactor& factor, double w, const double* t, std::size_t n, const T* value, T* cosine_row,
                  T* sine_row) {
  double g[kBlock];
  for (std::size_t first = 0; first < n; first += kBlock) {
    const std::size_t count = n - first < kBlock ? n - first : kBlock;
    Factors(factor, t + first, count, g);
    for (std::size_t x = 0; x < count; ++x) {
      double s = 0;
      double c = 0;
      SinCosTurn(w * t[first + x], s, c);
      const double v = g[x] * static_cast<double>(value[first + x]);
      cosine_row[first + x] = static_cast<T>(c * v);
      sine_row[first + x] = static_cast<T>(s * v);
    }
  }
}

template <typename T>
void ScaleRowT(double scale, const double* HWY_RESTRICT correction, std::size_t n, const T* HWY_RESTRICT row,
               float* HWY_RESTRICT out) {
  for (std::size_t x = 0; x < n; ++x) {
    out[x] = static_cast<float>(static_cast<T>(scale * correction[x]) * row[x]);
  }
}

template <typename T>
void UnscaleRowT(double scale, const double* HWY_RESTRICT correction, std::size_t n, const float* HWY_RESTRICT row,
                 T* HWY_RESTRICT out) {
  for (std::size_t x = 0; x < n; ++x) out[x] = static_cast<T>(scale * correction[x]) * static_cast<T>(row[x]);
}

#define CONTIMG_FOR_TYPE(T, SUFFIX)                                                                               \
  void AddSeriesTerm##SUFFIX(const SeriesFactor& f, const double* t, std::size_t n, const T* row, T* sum) {       \
    AddSeriesTermT(f, t, n, row, sum);                                                                            \
  }                                                                                                               \
  void SpreadSeriesTerm##SUFFIX(const SeriesFactor& f, const double* t, std::size_t n, const T* value, T* row) {  \
    SpreadSeriesTermT(f, t, n, value, row);                                                                       \
  }                                                                                                               \
  void AddPlane##SUFFIX(const SeriesFactor& f, double w, const double* t, std::size_t n, const T* c, const T* s,  \
                        T* sum) {                                                                                 \
    AddPlaneT(f, w, t, n, c, s, sum);                                                                             \
  }                                                                                                               \
  void SpreadPlane##SUFFIX(const SeriesFactor& f, double w, const double* t, std::size_t n, const T* value, T* c, \
                           T* s) {                                                                                \
    SpreadPlaneT(f, w, t, n, value, c, s);                                                                        \
  }                                                                                                               \
  void ScaleRow##SUFFIX(double scale, const double* correction, std::size_t n, const T* row, float* out) {        \
    ScaleRowT(scale, correction, n, row, out);                                                                    \
  }                                                                                                               \
  void UnscaleRow##SUFFIX(double scale, const double* correction, std::size_t n, const float* row, T* out) {      \
    UnscaleRowT(scale, correction, n, row, out);                                                                  \
  }
CONTIMG_FOR_TYPE(float, Float)
CONTIMG_FOR_TYPE(double, Double)
#undef CONTIMG_FOR_TYPE

}  // namespace contimg::image::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace contimg::image {

HWY_EXPORT(NMinus1RowTarget);
void NMinus1Row(const ImageGeometry& geometry, std::size_t y, double middle, double* t) {
  HWY_DYNAMIC_DISPATCH(NMinus1RowTarget)(geometry, y, middle, t);
}

#define CONTIMG_EXPORT_TYPE(T, SUFFIX)                                                                             \
  HWY_EXPORT(AddSeriesTerm##SUFFIX);                                                                               \
  HWY_EXPORT(SpreadSeriesTerm##SUFFIX);                                                                            \
  HWY_EXPORT(AddPlane##SUFFIX);                                                                                    \
  HWY_EXPORT(SpreadPlane##SUFFIX);                                                                                 \
  HWY_EXPORT(ScaleRow##SUFFIX);                                                                                    \
  HWY_EXPORT(UnscaleRow##SUFFIX);                                                                                  \
  template <>                                                                                                      \
  void AddSeriesTerm(const SeriesFactor& f, const double* t, std::size_t n, const T* row, T* sum) {                \
    HWY_DYNAMIC_DISPATCH(AddSeriesTerm##SUFFIX)(f, t, n, row, sum);                                                \
  }                                                                                                                \
  template <>                                                                                                      \
  void SpreadSeriesTerm(const SeriesFactor& f, const double* t, std::size_t n, const T* value, T* row) {           \
    HWY_DYNAMIC_DISPATCH(SpreadSeriesTerm##SUFFIX)(f, t, n, value, row);                                           \
  }                                                                                                                \
  template <>                                                                                                      \
  void AddPlane(const SeriesFactor& f, double w, const double* t, std::size_t n, const T* c, const T* s, T* sum) { \
    HWY_DYNAMIC_DISPATCH(AddPlane##SUFFIX)(f, w, t, n, c, s, sum);                                                 \
  }                                                                                                                \
  template <>                                                                                                      \
  void SpreadPlane(const SeriesFactor& f, double w, const double* t, std::size_t n, const T* value, T* c, T* s) {  \
    HWY_DYNAMIC_DISPATCH(SpreadPlane##SUFFIX)(f, w, t, n, value, c, s);                                            \
  }                                                                                                                \
  template <>                                                                                                      \
  void ScaleRow(double scale, const double* correction, std::size_t n, const T* row, float* out) {                 \
    HWY_DYNAMIC_DISPATCH(ScaleRow##SUFFIX)(scale, correction, n, row, out);                                        \
  }                                                                                                                \
  template <>                                                                                                      \
  void UnscaleRow(double scale, const double* correction, std::size_t n, const float* row, T* out) {               \
    HWY_DYNAMIC_DISPATCH(UnscaleRow##SUFFIX)(scale, correction, n, row, out);                                      \
  }
CONTIMG_EXPORT_TYPE(float, Float)
CONTIMG_EXPORT_TYPE(double, Double)
#undef CONTIMG_EXPORT_TYPE

}  // namespace contimg::image
#endif
