// Weights that cannot be: a count of 1e30 in a few rows would leave an image of these rows alone. One rule for whoever
// reads visibilities, UVH5 and Measurement Sets alike.
#pragma once

#include <cstddef>

#include "ingest/visibility_block.h"

namespace contimg::ingest {

// A weight above this many times the median weight is a fault of its writer: mixed arrays differ by hundreds.
inline constexpr float kLargestWeight = 1e4F;

// kLargestWeight times the median of the weights that count: unflagged, positive and finite ones of cross-correlations,
// of some 200 000 samples. Infinity when nothing weighs.
float WeightLimit(const VisibilityBlock& block);

struct DroppedWeights {
  std::size_t samples = 0;    // of cross-correlations, that weighed more than the limit
  std::size_t unflagged = 0;  // of them, those that were not flagged before
  float largest = 0;          // of the weights that are left
};
// Samples of the first `n_times` integrations that weigh more than `limit`: now flagged with weight 0.
DroppedWeights DropWeightsAbove(float limit, std::size_t n_times, VisibilityBlock& block, int threads);

}  // namespace contimg::ingest
