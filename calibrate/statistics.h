// Sufficient statistics of the antenna-gain problem: the data enter a solver only through them.
//
// For V = g_p M conj(g_q) + noise the weighted squares summed over times and channels of one cell depend on the data
// through A = Σ w V conj(M), N = Σ w |M|² and P = Σ w |V|² alone, so one pass over the visibilities is enough however
// often the solver iterates, also when the model changes from sample to sample. Gains that are known already (`prior`)
// count as part of the model, which keeps every noise weight right.
#pragma once

#include <complex>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "calibrate/solutions.h"
#include "config/array_view.h"
#include "config/buffer.h"
#include "ingest/visibility_block.h"

namespace contimg::calibrate {

// Gains on the grid of a block: [time class][antenna][receptor][channel]. A gain of 0 means: no usable solution.
struct GainCube {
  std::vector<std::size_t> class_of_time;  // per integration of the block
  std::size_t n_classes = 0, n_antennas = 0, n_receptors = 0, n_channels = 0;
  Buffer<std::complex<float>> value;
  const std::complex<float>* At(std::size_t time_class, std::size_t antenna, std::size_t receptor) const {
    return value.data() + ((time_class * n_antennas + antenna) * n_receptors + receptor) * n_channels;
  }
  std::complex<float>* At(std::size_t time_class, std::size_t antenna, std::size_t receptor) {
    return value.data() + ((time_class * n_antennas + antenna) * n_receptors + receptor) * n_channels;
  }
};

// What a solver looks at. Views only; `model` is Stokes I in Jy per [time][baseline][channel], the same for both
// parallel hands.
struct SolveInput {
  const VisibilityBlock* block = nullptr;
  ArrayView<const Visibility, 3> model;
  const GainCube* prior = nullptr;  // null: all ones
};

// Positions on the polarisation axis of the parallel hands (XX, YY or RR, LL or I); one or two.
std::vector<std::size_t> ParallelHands(const VisibilityBlock& block);

// Complex noise variance E|n|² of a visibility of weight 1, per [baseline][receptor], from second differences
// (V₋₁ − 2V₀ + V₊₁)/√6 of unflagged neighbours along frequency inside a spectral window, or along time when that gives
// the smaller array median (few, wide channels): sky and instrument are smooth on that scale, noise is not.
// 0 where there is too little to say (autocorrelations, fewer than 8 differences) or the data are constant.
std::vector<double> EstimateNoise(const VisibilityBlock& block, int threads);

struct StatisticsParams {
  // Times [first, last) of each interval; channels [cells[i], cells[i+1]) of each cell.
  std::vector<std::pair<std::size_t, std::size_t>> intervals;
  std::vector<std::size_t> cells;
  double min_uv_lambda = 0;
  double max_uv_lambda = 0;  // 0: no limit
  // Cauchy weights 1/(1 + |r|² w/(k² σ²)) on the residual r = V − M (M with prior): k; 0 = off.
  double robust_k = 0;
};

struct Statistics {
  std::size_t n_intervals = 0, n_baselines = 0, n_receptors = 0, n_cells = 0;
  // [interval][baseline][receptor][cell]; weights are inverse noise variances, so N is in 1 and |A|²/N ~ SNR².
  Buffer<float> a_re, a_im, n, p, count;
  std::size_t Index(std::size_t interval, std::size_t baseline, std::size_t receptor) const {
    return ((interval * n_baselines + baseline) * n_receptors + receptor) * n_cells;
  }
};

// `noise`: from EstimateNoise. Baselines without a noise estimate, autocorrelations, flagged and non-finite samples and
// samples whose prior is missing contribute nothing.
Statistics AccumulateStatistics(const SolveInput& input, const std::vector<double>& noise,
                                const StatisticsParams& params, int threads);

}  // namespace contimg::calibrate
