// The solve stage: delays, bandpass and gains of one tile against a model.
//
// Order: K over the whole band → short phase solutions (kept only while B is solved, so that phases drifting during the
// tile do not wash it out) → B per channel with K applied → G with K and B applied.
#pragma once

#include <string>
#include <vector>

#include "calibrate/apply.h"
#include "calibrate/solutions.h"
#include "calibrate/statistics.h"
#include "config/run_context.h"
#include "ingest/uv_limit.h"
#include "ingest/visibility_block.h"

namespace contimg::calibrate {

struct SolveParams {
  bool delay = true, bandpass = true, gain = true;  // what to solve
  // Tables to hold fixed, of kinds that are not solved here (an hourly G on the day's K and BP).
  std::vector<const SolutionSet*> fixed;

  std::vector<std::string> reference_antennas;  // names in order of preference; then the best one
  double min_snr = 5;
  int min_baselines_per_antenna = 4;
  double min_uv_lambda = 0, max_uv_lambda = 0;  // 0: no limit; minimum below 0: ChooseUvLimit decides
  double robust_k = 0;                          // > 0: one more pass with Cauchy weights at k σ

  double pre_phase_s = 60;         // interval of the phase solutions before B; 0: none
  int fill_gap_channels = 3;       // B: gaps up to this many channels are interpolated and marked
  bool normalise_bandpass = true;  // root mean square 1 over the unflagged band per antenna and receptor

  double gain_interval_s = -1;  // < 0: the whole tile; 0: each integration; else about this long
  int gain_integrations = 0;    // > 0: so many integrations instead
  bool gain_phase_only = false;
  bool combine_windows = true;  // one G over all spectral windows (repeated in each); else one per window

  // A model that leaves more than this of the signal unexplained (KindReport::model_error, B and G) is no model of the
  // data; 0: no limit.
  double max_model_error = 0.5;

  std::string field_name, source_ms;  // provenance
};

struct KindReport {
  SolutionKind kind = SolutionKind::kGain;
  double seconds = 0;
  double reduced_chi_square = 0;  // 0 for K
  double residual_fraction = 0;   // rms of the residuals in excess of the noise, relative to the signal's rms
  // What the model lacks, relative to the signal: the excess of the baselines' averages where it is no chance, or the
  // residual fraction where chi-square is far above 1, whichever is larger.
  double model_error = 0;
  int median_iterations = 0;
  std::size_t cells = 0, unconverged_cells = 0;  // unconverged ones are flagged
  std::vector<float> cell_error, cell_chance;    // of GainSolution
  std::size_t unclosed_channels = 0;             // BP: flagged at the ends of windows (band_edges.h)
};

struct SolveResult {
  std::vector<SolutionSet> solutions;  // K, BP, G as asked for, referred to one antenna
  std::vector<KindReport> reports;     // one each
  std::size_t antennas_with_data = 0;
  UvLimit uv;  // as it was applied
};

// `model`: Stokes I [time][baseline][channel] in Jy. Throws Error{kBadInput} when the data are not phased, corrected
// already, the model is zero or of another shape; Error{kUsage} when the uv limits leave no baseline; Error{kNumeric}
// when a kind has no usable solution at all (all data flagged, no signal) or the model does not describe the data:
// nothing is ever replaced by a default.
SolveResult SolveCalibration(const VisibilityBlock& block, ArrayView<const Visibility, 3> model,
                             const SolveParams& params, const RunContext& context);

// Interpolates gaps of up to `max_channels` flagged channels between usable ones (amplitude and phase, the short way
// round) and marks them kInterpolated. Gaps at the ends of the band stay flagged.
void FillBandpassGaps(SolutionSet& bandpass, int max_channels);

// Divides every antenna-receptor by its root mean square amplitude over the solved channels of all intervals and stores
// that amplitude in `normalisation` (0 where nothing is solved).
void NormaliseBandpass(SolutionSet& bandpass);

}  // namespace contimg::calibrate
