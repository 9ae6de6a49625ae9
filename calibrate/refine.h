// A tile's own refinement: what its gains have drifted by since the tables that it was calibrated with were solved.
//
// Gains of a drift scan are solved once an hour and drift on: 5 degrees of phase take 0.8 % of every flux density and
// scatter the fluxes of bright sources. The sky known in the tile tells each antenna's phase once more, one number for
// the whole band and the whole tile (self-calibration: Pearson & Readhead 1984, ARA&A 22, 97). Amplitudes stay: the
// catalogue's flux densities are no better than the day's scale.
//
// It is decided before the data are looked at whether the sky is bright enough, and afterwards whether it was worth it:
// phases solved on every other spectral window must bring the rest of the band, which they have not seen, nearer to the
// model. What noise or nothing has moved does not pass.
#pragma once

#include <string>
#include <vector>

#include "calibrate/field_model.h"
#include "config/run_context.h"
#include "config/settings.h"
#include "ingest/visibility_block.h"

namespace contimg::calibrate {

struct Refinement {
  bool applied = false;
  std::string why_not;  // a clause; empty when it was applied
  std::size_t model_sources = 0;
  double model_jy = 0;       // apparent
  double predicted_snr = 0;  // median over antennas: of one phase, by model and noise alone
  std::size_t antennas = 0;  // with a phase in at least one receptor
  double phase_rms_deg = 0;  // of the phases, their noise taken off
  double gain = 0;           // χ² that phases of one half of the windows take from the other half…
  double gain_expected = 0;  // …and what they would if they were right to their noise
  std::vector<std::vector<double>> phase_deg;  // [antenna][receptor]; 0 where there is none
  double predict_s = 0, solve_s = 0;
};

// Refines a calibrated block in place: visibilities are turned, weights and flags stay. Antennas below
// calibrate.min_snr keep their phases. `sources`: those of a field (FindModelSources). The result does not depend on
// context.threads. Throws Error{kBadInput} for a block that cannot be predicted.
Refinement RefineTile(VisibilityBlock& block, const ModelSources& sources, const Settings& settings,
                      const RunContext& context);

// A line for HISTORY; empty when nothing was applied.
std::string RefinementHistory(const Refinement& refinement);

}  // namespace contimg::calibrate
