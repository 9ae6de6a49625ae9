// Weights that cannot be: a count of 1e30 in a few rows would leave an image of these rows alone. One rule for all
// readers of visibilities.
#pragma once

#include <cstddef>

#include "ingest/visibility_block.h"

namespace contimg::ingest {

// Weights above this are no weights: 1000 times the median of the positive ones (of about 100 000 samples; real weights
// of one tile differ by bandwidths, integrations and system temperatures, tens at most). Infinite when none is
// positive.
float LargestCredibleWeight(const VisibilityBlock& block);

struct DroppedWeights {
  std::size_t samples = 0;    // that weighed more than the limit
  std::size_t unflagged = 0;  // of them, those that were not flagged before
  float largest = 0;          // of the weights that are left
};
// Samples of the first `n_times` integrations that weigh more than `limit`: now flagged with weight 0.
DroppedWeights DropWeightsAbove(float limit, std::size_t n_times, VisibilityBlock& block, int threads);

}  // namespace contimg::ingest
