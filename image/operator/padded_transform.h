// Real two-dimensional Fourier transforms between a half-plane uv grid and an image that fills part of the padded
// field: only occupied columns and kept rows are transformed.
//
// Several terms are transformed at once. Sums run over the Hermitian completion of the half plane: columns u > 0 count
// twice (with their mirror), u = 0 once. Plans are FFTW's estimates, which depend on the size alone, so results do not
// depend on timing or threads.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "config/buffer.h"

namespace contimg::image {

struct TransformShape {
  std::size_t nx = 0;  // image
  std::size_t ny = 0;
  std::size_t padded_nx = 0;  // even
  std::size_t padded_ny = 0;  // even
  std::size_t n_columns = 0;  // u = 0 … n_columns − 1 are occupied; at most padded_nx/2 + 1
  std::size_t n_terms = 0;
};

// The smallest even number ≥ n that has no prime factor above 5.
std::size_t GoodFftSize(std::size_t n);

template <typename T>
class PaddedTransform {
 public:
  explicit PaddedTransform(const TransformShape& shape);
  ~PaddedTransform();
  const TransformShape& shape() const { return shape_; }
  // Bytes of the intermediate array, and of the scratch of one thread.
  static std::size_t MemoryBytes(const TransformShape& shape);
  static std::size_t ScratchBytes(const TransformShape& shape);

  // fill(u, columns): adds the grid column u to `columns`, [term][padded_ny] complex (pairs of T), zero on entry; row v
  // of the grid is at index v mod padded_ny. emit(y, rows): takes row y of all terms, [term][nx]: Σ_uv column(u, v)
  // exp(+2πi(u X/padded_nx + v Y/padded_ny)) with X = x − nx/2, Y = y − ny/2. Both are called from `threads` threads,
  // once for each u and y.
  // The first n_terms of the shape's terms are used.
  void ToImage(std::size_t n_terms, const std::function<void(std::size_t u, T* columns)>& fill,
               const std::function<void(std::size_t y, const T* rows)>& emit, int threads);

  // The adjoint (up to the factor 2 of the columns u > 0). fill(y, rows): writes [term][nx] numbers. emit(u, columns):
  // takes [term][padded_ny] complex numbers Σ_xy row(x, y) exp(−2πi(u X/padded_nx + v Y/padded_ny)).
  void FromImage(std::size_t n_terms, const std::function<void(std::size_t y, T* rows)>& fill,
                 const std::function<void(std::size_t u, const T* columns)>& emit, int threads);

 private:
  struct Plans;
  static constexpr std::size_t kColumnBlock = 8;

  T* Half(std::size_t term, std::size_t y) { return half_.data() + 2 * (term * shape_.ny + y) * stride_; }

  TransformShape shape_;
  std::size_t stride_ = 0;  // complex numbers per row of half_
  Buffer<T> half_;          // [term][y][u] complex: transformed along one axis
  std::unique_ptr<Plans> plans_;
};

extern template class PaddedTransform<float>;
extern template class PaddedTransform<double>;

}  // namespace contimg::image
