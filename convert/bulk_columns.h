// Fills the bulk columns of a Measurement Set straight into their tile files.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "config/run_context.h"
#include "convert/measurement_set_writer.h"
#include "ingest/visibility_block.h"

namespace contimg::convert {

using TimeWritten = std::function<void(std::size_t time)>;

enum class BulkPart {
  kData,  // DATA alone
  kRest,  // everything else
};

// Writes a part of the bulk columns of every row: DATA from block.vis; or FLAG, WEIGHT_SPECTRUM, UVW, WEIGHT, SIGMA,
// ANTENNA1, ANTENNA2 and FLAG_ROW, and CORRECTED_DATA when `corrected` (same shape as block.vis) is not null. WEIGHT is
// the mean of WEIGHT_SPECTRUM over the unflagged channels (0 when there is none), SIGMA its −½ power (0 for weight 0).
// Their files have their sizes. Large columns go past the page cache (OsFile::BypassCache). Uses context.threads; the
// result does not depend on their number. `written` (may be null) is called once for each time, when all its rows are
// in the files.
//
// `summed`: by one thread alone, which returns the XXH64 of each file that it has filled; else nothing is returned.
std::map<std::filesystem::path, std::string> WriteBulkColumns(const VisibilityBlock& block, const Visibility* corrected,
                                                              const MeasurementSetLayout& layout, BulkPart part,
                                                              bool summed, const TimeWritten& written,
                                                              const RunContext& context);

}  // namespace contimg::convert
