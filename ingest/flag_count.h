// How much of a tile is flagged and which receptors are dead: one definition for flagging, calibration, images and
// their reports (docs/glossary.md). C++17-clean.
//
// Counted are the samples of cross-correlations that exist: rows that the input does not have (VisibilityBlock::absent)
// are no samples, flagged or not, and autocorrelations count apart, being no use to calibration and imaging here.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "ingest/visibility_block.h"

namespace contimg {

// The receptors (0 or 1) of antenna 1 and antenna 2 that a polarisation correlates: XX and RR 0, 0; XY and RL 0, 1….
std::array<std::size_t, 2> Receptors(Polarisation polarisation);

// A number of samples and how many of them are flagged.
struct FlagCount {
  std::size_t samples = 0, flagged = 0;
  // 0 when there are no samples.
  double fraction() const { return samples == 0 ? 0 : static_cast<double>(flagged) / static_cast<double>(samples); }
};

// Samples for which the axes have room and of which the input has no row; autocorrelations included.
std::size_t AbsentSamples(const VisibilityBlock& block);

// Samples and flags per [baseline][pol] and [channel], of the block as it is.
struct FlagTally {
  std::vector<std::size_t> by_plane;             // flagged, [baseline][pol]
  std::vector<std::size_t> by_channel;           // flagged, cross-correlations, all polarisations
  std::vector<std::size_t> samples_by_baseline;  // of one polarisation
  std::vector<std::size_t> samples_by_channel;   // cross-correlations, all polarisations
  std::size_t total = 0;                         // flagged, autocorrelations included
};
FlagTally TallyFlags(const VisibilityBlock& block, int threads);

// Receptors of which more than `limit` of the samples with other living receptors are flagged, worst first until none
// is left: one dead receptor must not condemn its partners. [antenna][receptor], 1 = dead; receptors without data are
// 0.
std::vector<std::array<char, 2>> DeadReceptors(const VisibilityBlock& block, const FlagTally& tally, double limit);

// Autocorrelations count in `baselines` alone.
struct FlagCensus {
  FlagCount total;  // cross-correlations, all polarisations
  // Between living receptors: what calibration and imaging lose to flags, dead hardware apart.
  FlagCount living;
  std::vector<FlagCount> antennas;                  // by position in the antenna table
  std::vector<std::array<FlagCount, 2>> receptors;  // the same; no samples: the antenna has no data
  std::vector<FlagCount> baselines;                 // by position on the baseline axis
  std::vector<FlagCount> channels;
  std::vector<std::size_t> dead_antennas;  // antennas with data of which no receptor lives, ascending
  std::size_t receptors_with_data = 0, dead_receptors = 0;
  std::size_t absent = 0;  // samples of cross-correlations that the tile's axes have room for and the input has not
};

// `dead_limit`: FlagSettings::dead_antenna_fraction.
FlagCensus CountFlags(const VisibilityBlock& block, double dead_limit, int threads);

}  // namespace contimg
