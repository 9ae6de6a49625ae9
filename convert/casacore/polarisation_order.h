// The correlations of a Measurement Set in the order of a block, and what they are for a row whose antennas stand the
// other way round. C++17.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "ingest/visibility_block.h"

namespace contimg::convert::internal {

struct PolarisationOrder {
  std::vector<Polarisation> polarisations;  // in the block's order
  // Position in the set of each: of rows as they are, and of rows that are swapped, whose first receptor is the block's
  // second: their XY is the block's YX. The latter holds only those whose mirror image the set has.
  std::vector<std::size_t> position, swapped_position;
  bool mirror_is_whole = true;  // with every cross hand there is the other one
};

// `stokes`: CASA's numbers, as CORR_TYPE of POLARIZATION has them. Throws Error{kBadInput} with `path` for none, for
// one twice, and for one that a block cannot hold.
PolarisationOrder OrderPolarisations(const std::vector<int>& stokes, const std::string& path);

// The block's polarisation of a CASA Stokes number; throws Error{kBadInput} for another one.
Polarisation PolarisationOfStokes(int stokes, const std::string& path);

}  // namespace contimg::convert::internal
