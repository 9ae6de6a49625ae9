// The inner loops over image pixels: n − 1, the w terms and the gridding correction. SIMD with run-time dispatch.
#pragma once

#include <cstddef>
#include <vector>

#include "image/plane/image_geometry.h"

namespace contimg::image {

// n − 1 of the pixels of row y, minus `middle`.
void NMinus1Row(const ImageGeometry& geometry, std::size_t y, double middle, double* t);

// g(τ) = τ^odd Σ_i coefficients[i] τ^2i with τ = t·inverse_half_range.
struct SeriesFactor {
  std::vector<double> coefficients;
  bool odd = false;
  double inverse_half_range = 0;
};
// sum[x] += g(t_x) row[x], and the adjoint row[x] = g(t_x) value[x].
template <typename T>
void AddSeriesTerm(const SeriesFactor& factor, const double* t, std::size_t n, const T* row, T* sum);
template <typename T>
void SpreadSeriesTerm(const SeriesFactor& factor, const double* t, std::size_t n, const T* value, T* row);

// g(τ) times cos 2πwt (first row) and sin 2πwt (second row).
template <typename T>
void AddPlane(const SeriesFactor& factor, double w, const double* t, std::size_t n, const T* cosine_row,
              const T* sine_row, T* sum);
template <typename T>
void SpreadPlane(const SeriesFactor& factor, double w, const double* t, std::size_t n, const T* value, T* cosine_row,
                 T* sine_row);

// out[x] = scale · correction[x] · row[x], and out[x] += the same.
template <typename T>
void ScaleRow(double scale, const double* correction, std::size_t n, const T* row, float* out);
template <typename T>
void UnscaleRow(double scale, const double* correction, std::size_t n, const float* row, T* out);

}  // namespace contimg::image
