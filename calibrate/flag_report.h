// What was flagged and why.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>
#include <vector>

#include "ingest/visibility_block.h"

namespace contimg::calibrate {

// In the order in which they are tried; a sample counts for the first that holds.
enum class FlagReason {
  kInput,            // flagged before
  kNonFinite,        // NaN or infinite
  kZero,             // both parts exactly 0: the correlator wrote nothing
  kAutocorrelation,  // an antenna with itself: all flagged, being no use to calibration and imaging here
  kBadBand,          // in a band of flag.bad_bands_mhz
  kDeadAntenna,      // of an antenna or a receptor of which hardly anything is left
  kInterference,     // found by the engine
  kExtension,        // beside interference
  kResidual,         // clipped after calibration
};
inline constexpr std::size_t kFlagReasons = 9;
// "input", "non_finite" and so on: the spelling in JSON.
std::string_view Name(FlagReason reason);

// The receptors (0 or 1) of antenna 1 and antenna 2 that a polarisation correlates: XX and RR 0, 0; XY and RL 0, 1….
std::array<std::size_t, 2> Receptors(Polarisation polarisation);

// A number of samples and how many of them are flagged.
struct FlagCount {
  std::size_t samples = 0, flagged = 0;
  // 0 when there are no samples.
  double fraction() const { return samples == 0 ? 0 : static_cast<double>(flagged) / static_cast<double>(samples); }
};

// Autocorrelations count in `by_reason` and `baselines` alone.
struct FlagReport {
  std::array<std::size_t, kFlagReasons> by_reason{};  // samples; they add up to all flagged ones
  FlagCount total;                                    // cross-correlations
  // Between living receptors: what calibration and imaging lose to flags, dead hardware apart.
  FlagCount living;
  std::vector<FlagCount> antennas;                  // by position in the antenna table
  std::vector<std::array<FlagCount, 2>> receptors;  // the same; no samples: the antenna has no data
  std::vector<FlagCount> baselines;                 // by position on the baseline axis
  std::vector<FlagCount> channels;
  std::vector<std::size_t> dead_antennas;  // antennas with data of which no receptor lives, ascending
  std::size_t receptors_with_data = 0, dead_receptors = 0;
};

// Flags per [baseline][pol] and [channel], of the block as it is.
struct FlagTally {
  std::vector<std::size_t> by_plane;    // [baseline][pol]
  std::vector<std::size_t> by_channel;  // cross-correlations, all polarisations
  std::size_t total = 0;                // autocorrelations included
};
FlagTally TallyFlags(const VisibilityBlock& block, int threads);

// Receptors of which more than `limit` of the samples with other living receptors are flagged, worst first until none
// is left: one dead receptor must not condemn its partners. [antenna][receptor], 1 = dead; receptors without data are
// 0.
std::vector<std::array<char, 2>> DeadReceptors(const VisibilityBlock& block, const FlagTally& tally, double limit);

// Everything but `by_reason`.
FlagReport MakeFlagReport(const VisibilityBlock& block, double dead_limit, int threads);

}  // namespace contimg::calibrate
