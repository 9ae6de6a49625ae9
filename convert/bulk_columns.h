// Fills the bulk columns of a Measurement Set straight into their tile files.
#pragma once

#include "config/run_context.h"
#include "convert/measurement_set_writer.h"
#include "ingest/visibility_block.h"

namespace contimg::convert {

// Writes DATA, FLAG, WEIGHT_SPECTRUM, UVW, WEIGHT, SIGMA, ANTENNA1, ANTENNA2 and FLAG_ROW of every row, and
// CORRECTED_DATA when `corrected` (same shape as block.vis) is not null. WEIGHT is the mean of WEIGHT_SPECTRUM over the
// unflagged channels (0 when there is none), SIGMA its −½ power (0 for weight 0). Uses context.threads; the result does
// not depend on their number.
void WriteBulkColumns(const VisibilityBlock& block, const Visibility* corrected, const MeasurementSetLayout& layout,
                      const RunContext& context);

}  // namespace contimg::convert
