// Antenna delays: a fringe search by FFT for the first guess, then weighted least squares over all baselines.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "calibrate/statistics.h"

namespace contimg::calibrate {

struct DelaySolveParams {
  double min_snr = 6;  // of the fringe; the highest noise peak of a search over 1000 delays has about 4
  int min_baselines_per_antenna = 4;
};

// [antenna][receptor]; delays are free by a constant per receptor until they are referred to an antenna.
struct DelaySolution {
  std::vector<double> delay_ns;
  std::vector<float> error_ns, snr;
  std::vector<std::uint8_t> flag;  // 1 = flagged (delay NaN)
};

// `statistics`: one interval, one cell a channel; `frequency_hz` of the channels, ascending. One delay per antenna and
// receptor over the whole band. The search covers ±1/(2 × channel spacing).
DelaySolution SolveDelays(const Statistics& statistics, const std::vector<Baseline>& baselines, std::size_t n_antennas,
                          const std::vector<double>& frequency_hz, const DelaySolveParams& params, int threads);

}  // namespace contimg::calibrate
