// The inner loops of gridding and degridding: many terms per cell, SIMD with run-time dispatch.
//
// A sample Z at the cell coordinates (U, V), U ≥ 0, with residual w stands for
//     Re[Z exp(2πi(U X/N_x + V Y/N_y)) exp(2πi w t)]
// at the pixel X = x − nx/2, Y = y − ny/2, t = n − 1 measured from its mid-range. The dependence on w is separated into
// terms c_k(w) g_k(t): a cell of the grid holds `terms` complex numbers side by side, and term k of a sample is c_k(w)
// Z.
#pragma once

#include <cstddef>
#include <vector>

#include "image/operator/gridding_kernel.h"

namespace contimg::image {

// The sample-side factors c_k(w) of one group of terms.
struct SampleTerms {
  enum class Kind {
    kSeries,  // c_k = i^k (w·inverse_scale)^k
    kPlanes,  // terms 2p and 2p + 1: c = φ(w·inverse_scale − first_plane − p) times 1 and i
  };
  Kind kind = Kind::kSeries;
  int n_terms = 1;
  double inverse_scale = 0;  // of w in wavelengths
  double first_plane = 0;
};

// Everything the rows of one pass have in common.
template <typename T>
struct GridPass {
  int support = 0;
  int lanes = 0;  // taps padded to a multiple of 8
  int degree = 0;
  std::vector<T> coefficients;  // [degree + 1][lanes], as GriddingKernel
  std::vector<double> coefficients_double;
  SampleTerms terms;
  int stride = 0;  // numbers per cell: 2 · n_terms rounded up to a power of two

  GridPass() = default;
  GridPass(const GriddingKernel& kernel, const SampleTerms& sample_terms);
};

// The nodes of one baseline and integration: everything is proportional to frequency.
struct RowNodes {
  const double* frequency_hz = nullptr;
  std::size_t n = 0;
  double u_per_hz = 0;     // cells
  double v_per_hz = 0;     // cells
  double w_per_hz = 0;     // wavelengths
  double turn_per_hz = 0;  // Z is multiplied by exp(2πi turn)
};

// A rectangle of the grid: [nu][nv][stride] numbers and at least kGridPadding more.
template <typename T>
struct GridBox {
  T* data = nullptr;
  long u0 = 0;
  long v0 = 0;
  std::size_t nu = 0;
  std::size_t nv = 0;
};
constexpr std::size_t kGridPadding = 256;

// Adds n samples to the box, which must hold all cells they touch. `re`, `im`: Z; `im` null means zero.
template <typename T>
void GridRow(const GridPass<T>& pass, const RowNodes& row, const float* re, const float* im, const GridBox<T>& box);

// The adjoint: Σ_k conj(c_k) times the kernel-weighted sum of term k over the cells, turned by exp(−2πi turn), is added
// to re, im.
template <typename T>
void DegridRow(const GridPass<T>& pass, const RowNodes& row, const GridBox<const T>& box, float* re, float* im);

}  // namespace contimg::image
