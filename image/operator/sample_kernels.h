// The inner loops over the channels of one baseline and integration: Stokes I and its weight, density cells, frequency
// compression and its Gram matrix. SIMD with run-time dispatch.
#pragma once

#include <complex>
#include <cstddef>
#include <cstdint>

#include "image/operator/frequency_nodes.h"

namespace contimg::image {

// Where Stokes I is among the polarisations of a row: I = (first + second)/2, or the first alone when they are equal.
struct HandSelection {
  std::size_t n_pols = 0;
  std::size_t first = 0;
  std::size_t second = 0;
  bool accept_single = false;  // WeightSettings::accept_single_hand
};

// One row of the block: [channel][pol], `n` channels.
struct RowSamples {
  const std::complex<float>* vis = nullptr;
  const std::uint8_t* flag = nullptr;
  const float* weight = nullptr;
  std::size_t n = 0;
};

// Stokes I (Jy) and its natural weight for each channel; both zero where there is no usable sample. With `re` and `im`
// null the visibilities are not read and the weights are those of finite ones. Returns true when an unflagged sample
// with a weight was left out because it is not finite.
bool FormStokesI(const RowSamples& row, const HandSelection& hands, float* re, float* im, float* weight);

// The cell of each channel in a density grid [u][v] of `nv` columns: u = ⌊ν u_per_hz⌋, v = ⌊ν v_per_hz⌋ − v0.
struct DensityRow {
  double u_per_hz = 0;  // ≥ 0
  double v_per_hz = 0;
  long u0 = 0;
  long v0 = 0;
  std::size_t nv = 0;
};
void DensityCells(const DensityRow& row, const double* frequency_hz, std::size_t n, std::int32_t* cell);

// weight[k] *= factor[cell[k]] (no density weights: `factor` null) · exp(−taper ν_k²), and zero outside channels
// [begin, end).
struct WeightFactors {
  const float* factor = nullptr;
  const std::int32_t* cell = nullptr;
  double taper = 0;
  std::size_t begin = 0;
  std::size_t end = 0;
};
void ApplyWeightFactors(const WeightFactors& factors, const double* frequency_hz, std::size_t n, float* weight);

// Sums over the channels of a row; `by_channel` += weight. Order of additions is fixed.
struct RowSums {
  double weight = 0;
  double weight_squared = 0;
  double weight_squared_over_natural = 0;
  std::size_t used = 0;
};
RowSums SumRow(const float* natural, const float* weight, std::size_t n, double* by_channel);

// node_j = Σ_k L_j(ν_k) x_k for x = (re, im) and for the weights themselves. Each output holds set.size() + kMaxTaps
// numbers and is overwritten. `re` and `im` are already multiplied by the weight.
struct CompressedRow {
  float* re = nullptr;
  float* im = nullptr;
  float* weight = nullptr;
};
void CompressRow(const FrequencyNodes& set, const float* re, const float* im, const float* weight,
                 const CompressedRow& nodes);

// The Gram matrix of a row, G_ij = Σ_k w_k L_i(ν_k) L_j(ν_k): banded and symmetric, stored as [node][taps] with entry d
// of node i = G_i,i+d. `scratch` holds (set.size() + kMaxTaps) · 2 kMaxTaps numbers.
void GramRow(const FrequencyNodes& set, const float* weight, float* scratch, float* gram);

// (re, im) −= G (model_re, model_im). The model arrays hold kMaxTaps zeros beyond their end; the outputs can be written
// and `gram` can be read so far beyond theirs.
void SubtractGram(const FrequencyNodes& set, const float* gram, const float* model_re, const float* model_im, float* re,
                  float* im);

// x_k = Σ_j L_j(ν_k) node_j: all channels from the nodes. The nodes are readable (and finite) kMaxTaps numbers beyond
// their end.
void ExpandRow(const FrequencyNodes& set, const float* node_re, const float* node_im, float* re, float* im);

}  // namespace contimg::image
