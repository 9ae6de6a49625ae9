// The kernel that puts the rows of a file where they belong in the tile. Used within ingest only.
#pragma once

#include <complex>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "ingest/uvh5_samples.h"
#include "ingest/visibility_block.h"

namespace contimg::ingest {

// How the samples of one subband go into the block.
struct Placement {
  // Per row of an integration of the file.
  std::vector<std::size_t> baseline;    // position on the block's baseline axis
  std::vector<std::uint8_t> conjugate;  // antenna1 > antenna2 in the file
  std::size_t window = 0;               // the subband's position among the block's windows
  std::size_t first_channel = 0;        // position of the subband on the block's channel axis
  std::size_t n_channels = 0;
  bool descending = false;  // the file's frequencies fall
  // Per polarisation of the block: its position in the file, for rows as they are and for rows to be conjugated (whose
  // XY and YX change places).
  std::vector<std::size_t> file_pol;
  std::vector<std::size_t> file_pol_conjugate;
};

Placement MakePlacement(const SubbandHeader& header, std::size_t window, std::size_t first_channel);

struct PlaceCounts {
  ReadReport report;              // its max_nsamples and clamped stay 0
  float largest_weight = 0;       // of all integrations but the last
  float largest_weight_last = 0;  // of the last integration
};

// Copies `count` rows, [row][channel][pol] in the file's order, the first of them row `first` of the file, into the
// block. Conjugates rows whose antennas are in the other order; turns non-finite visibilities into flagged zeros and
// samples without data (nsamples not above 0, or not finite) into flagged ones of weight 0; flags visibilities of
// exactly 0, which are what HDF5 gives for storage that was never written (noise never adds up to 0 in both parts).
// The visitor gets each row before it is in its place.
PlaceCounts PlaceRows(const Placement& placement, const RowSamples& rows, std::size_t first, std::size_t count,
                      const TileVisitor& visitor, VisibilityBlock& block);

}  // namespace contimg::ingest
