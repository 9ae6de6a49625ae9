// Samples of a Measurement Set that look like data and are none.
#pragma once

#include <string>

#include "config/run_context.h"
#include "ingest/visibility_block.h"
#include "ingest/visibility_parts.h"

namespace contimg::convert {

// Flags samples of CORRECTED_DATA (kCorrected) that are exactly 0: no calibration makes them, rows that never were
// calibrated hold them. Sets weights of cross-correlations above the limit of ingest/absurd_weights.h to
// 0; `vis` are the block's visibilities. Warns about both, with their number, in the name of the set at `path`.
void DropUnusable(VisibilityBlock& block, const VisibilityParts& vis, const std::string& path,
                  const RunContext& context);

}  // namespace contimg::convert
