// Antenna gains from sufficient statistics by the alternating-direction iteration (StefCal: Salvini & Wijnholds 2014,
// A&A 571, A97), independently for each interval, cell and receptor.
#pragma once

#include <complex>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "calibrate/statistics.h"

namespace contimg::calibrate {

struct GainSolveParams {
  bool phase_only = false;  // amplitudes held at 1
  int max_iterations = 200;
  double tolerance = 1e-5;  // ‖g − g_old‖/‖g‖
  // Below it an antenna is flagged. Noise alone fits with an SNR of about 2√2 on every antenna when all of them are
  // free (the largest eigenvalue of a random Hermitian matrix), so values below 4 cannot tell signal from none.
  double min_snr = 5;
  int min_baselines_per_antenna = 4;
};

// Values in [interval][antenna][cell][receptor]; phases are free by a constant per (interval, cell, receptor) until
// they are referred to an antenna. Flagged values are NaN.
struct GainSolution {
  std::size_t n_intervals = 0, n_antennas = 0, n_cells = 0, n_receptors = 0;
  std::vector<std::complex<double>> gain;
  // Standard error of one real component and |gain|/error, with the noise measured in the data or, where they are
  // larger, the residuals of the cell, of its samples or of the baselines' averages.
  std::vector<float> error, snr;
  std::vector<std::uint8_t> flag;        // 1 = flagged
  std::vector<std::int16_t> iterations;  // [interval][cell][receptor]; 0: nothing to solve, negative: did not converge
  double chi_square = 0;                 // of the solved baselines…
  double degrees_of_freedom = 0;         // …complex samples minus complex gains
  double signal_square = 0;              // what the fit explains, in the same units
  // χ² and degrees of freedom of the baselines' averages over each cell: blind to noise, they show a wrong model.
  double mean_chi_square = 0, mean_degrees_of_freedom = 0;
  // [interval][cell][receptor], relative to the signal, in amplitude, 0 where nothing is solved: the excess of these
  // averages over their noise, and what of it may be chance (5 standard deviations of noise).
  std::vector<float> cell_error, cell_chance;
  std::size_t Index(std::size_t t, std::size_t a, std::size_t c, std::size_t r) const {
    return ((t * n_antennas + a) * n_cells + c) * n_receptors + r;
  }
};

// `baselines` are those of the statistics; antennas are 0 … n_antennas − 1.
GainSolution SolveGains(const Statistics& statistics, const std::vector<Baseline>& baselines, std::size_t n_antennas,
                        const GainSolveParams& params, int threads);

}  // namespace contimg::calibrate
