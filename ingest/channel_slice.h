// Part of a band as a block of its own.
#pragma once

#include <cstddef>

#include "ingest/visibility_block.h"

namespace contimg {

// The band of `block` between two channels (both included) as a block of its own: a copy.
// Throws Error{kUsage} when there are no such channels.
VisibilityBlock SliceChannels(const VisibilityBlock& block, std::size_t first, std::size_t last, int threads);
// Puts the visibilities of such a part back, from channel `first` of `block` on.
void InsertChannels(const VisibilityBlock& part, std::size_t first, VisibilityBlock& block, int threads);

}  // namespace contimg
