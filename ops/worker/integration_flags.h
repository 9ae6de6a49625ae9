// What is wrong with single integrations of a tile.
#pragma once

#include <vector>

#include "config/quality_flags.h"
#include "config/settings.h"
#include "ingest/visibility_block.h"

namespace contimg::ops {

// A word for each integration of the data as they were imaged: interference where more than `image.gate_flagged` (0:
// never) of the samples between living receptors is flagged, as it is for a whole tile. Reads all flags once.
std::vector<QualityFlags> FlagsOfIntegrations(const VisibilityBlock& block, const Settings& settings, int threads);

}  // namespace contimg::ops
