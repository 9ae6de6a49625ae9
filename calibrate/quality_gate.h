// Decides whether a fresh solution may serve data.
#pragma once

#include <string>
#include <vector>

#include "calibrate/solutions.h"

namespace contimg::calibrate {

// Figures of one solution set, kept with it whatever the verdict.
struct SolutionQuality {
  FlagSummary flags;
  double median_snr = 0;
  // Robust scatter of usable phases around the mean of their antenna and receptor, of the bandpass also of their
  // window: delays count from each window's own reference frequency, so that B steps from window to window and means
  // nothing.
  double phase_scatter_deg = 0;
  double median_amplitude = 0;
  double amplitude_ratio = 0;     // median over antennas of this to the previous accepted set; 0: none to compare with
  double reduced_chi_square = 0;  // of the solve; 0: not known
  double residual_fraction = 0;   // of the solve: residuals beyond the noise relative to the signal
  int outlier_antennas = 0;       // mean amplitude beyond 5 times (or below a fifth of) the array's median
};

// `previous`: the last accepted set of the same kind, or null.
// The last two figures come from the solve's KindReport.
SolutionQuality MeasureQuality(const SolutionSet& solutions, const SolutionSet* previous, double reduced_chi_square,
                               double residual_fraction = 0);

struct QualityLimits {
  double min_median_snr = 10;
  double max_effective_flags = 0.3;   // of living receptors
  double max_dead_fraction = 0.5;     // of receptors that have data
  double max_phase_scatter_deg = 90;  // BP and G
  double max_amplitude_change = 0.5;  // |ratio − 1| against the previous accepted set
  // Both must be exceeded: on bright calibrators errors of a per cent are many times the noise and harmless.
  double max_reduced_chi_square = 5;
  double max_residual_fraction = 0.2;
  int min_antennas = 4;
};

struct QualityVerdict {
  bool accepted = false;
  std::vector<std::string> failures;  // one sentence each; empty when accepted
};

// `antennas_with_data`: how many antennas took part in the observation.
QualityVerdict JudgeQuality(SolutionKind kind, const SolutionQuality& quality, std::size_t antennas_with_data,
                            const QualityLimits& limits);

// Takes the array-mean amplitude of an hourly G back to that of `anchor` (the 24-hour G): the flux scale is the
// 24-hour solve's. The change found (this / anchor) is returned; when it is within `max_change` (|ratio − 1|) it is
// kept, beyond it the amplitudes are scaled to the nearer limit. No antennas in common: 0, nothing changed.
double AnchorAmplitude(SolutionSet& gain, const SolutionSet& anchor, double max_change);

}  // namespace contimg::calibrate
