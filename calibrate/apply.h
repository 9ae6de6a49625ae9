// Applies calibration tables to visibilities: V_corrected = V / (g_p conj(g_q)), weights times |g_p g_q|², samples
// without a usable solution flagged.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "calibrate/solutions.h"
#include "calibrate/statistics.h"
#include "config/settings.h"
#include "ingest/visibility_block.h"

namespace contimg::calibrate {

enum class Interpolation {
  kNearest,  // the interval nearest in time
  kLinear,   // amplitude and unwrapped phase linear between the two intervals around; nearest outside
};

// How tables of that kind are interpolated by the settings calibrate.*_interpolation.
Interpolation InterpolationOf(SolutionKind kind, const CalibrateSettings& settings);

struct ApplyTable {
  const SolutionSet* solutions = nullptr;
  Interpolation interpolation = Interpolation::kNearest;
  std::string path;  // for messages
};

struct ApplyChecks {
  // A table solved on another declination strip is refused (degrees; 0 = no check).
  double max_declination_offset_deg = 2.5;
  // Antennas are matched by name; their relative positions must agree to this (metres).
  double max_position_offset_m = 1.0;
  // G interpolated between or combined with tables of another reference antenna has a meaningless phase.
  bool same_reference = true;
};

// Throws Error{kBadInput} naming table and finding when the tables do not fit the block: antenna missing or moved,
// no frequency in common, another declination strip, no usable solution at all, different reference antennas of tables
// that act together, two tables of one kind, or one window's solutions that may be meant for all (MeansAllWindows).
void CheckTables(const VisibilityBlock& block, const std::vector<ApplyTable>& tables, const ApplyChecks& checks);

// Whether another program's K, G or T table has solutions in one spectral window alone while the data have several:
// they may hold for all (CASA's combine='spw', applied there with spwmap) or for that one.
bool MeansAllWindows(const SolutionSet& solutions, std::size_t data_windows);
// A clause that names the spectral windows of the block which the table does not cover; empty when it covers all.
std::string DescribeUncovered(const VisibilityBlock& block, const SolutionSet& solutions);

// The product of the tables' gains on the block's grid, 0 where any of them has no usable value. Antennas are matched
// by name, channels by frequency: K and G take the window that holds the frequency; B the channel there or, where the
// data have other channels, amplitude and phase linear between the two around it (the last one holds to its edge).
GainCube EvaluateGains(const VisibilityBlock& block, const std::vector<ApplyTable>& tables);

// Cross-correlations that exist (ingest/flag_count.h).
struct ApplyReport {
  std::size_t samples = 0;
  std::size_t flagged_before = 0;
  std::size_t flagged_by_calibration = 0;  // had data but no solution
};

struct ApplyParams {
  bool scale_weights = true;
};

// Corrects `vis` (in place), `flag` and `weight` of the block. All polarisation products: XY takes the X gain of the
// first and the Y gain of the second antenna. Autocorrelations are corrected like the rest. Samples without a solution
// are flagged and become 0; those that were flagged before keep value and weight.
ApplyReport ApplyGains(VisibilityBlock& block, const GainCube& gains, const ApplyParams& params, int threads);

// What HISTORY tells about a table applied.
struct AppliedTable {
  SolutionKind kind = SolutionKind::kGain;
  Interpolation interpolation = Interpolation::kNearest;
  std::string path;
};
// Lines for the HISTORY of what is corrected, in the order of `tables`.
std::vector<std::string> ApplyHistory(const std::vector<AppliedTable>& tables, const ApplyParams& params);
// Whether a HISTORY says that the weights beside DATA were scaled by the gains of an ApplyGains.
bool WeightsCarryGains(const std::vector<std::string>& history);

// Takes back what an earlier ApplyGains did to `weight` and `flag`, so that another one can start afresh: `raw` was
// read from DATA and `corrected` from the CORRECTED_DATA beside it. Weights lose |g_p g_q|² = |raw|²/|corrected|²;
// samples that are 0 in `corrected` alone had no solution and lose the flag for it. All other flags stay.
void UndoApply(VisibilityBlock& raw, const VisibilityBlock& corrected, int threads);

}  // namespace contimg::calibrate
