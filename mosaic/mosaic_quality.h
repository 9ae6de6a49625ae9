// How good a mosaic is: figures, gates and a grade.
#pragma once

#include <vector>

#include "config/run_context.h"
#include "config/source_list.h"
#include "mosaic/coadd/open_mosaic.h"
#include "mosaic/mosaic_report.h"

namespace contimg::mosaic {

// Median of the pixels that are not blank, by a sample of half a million.
double MedianOf(ArrayView<const float, 2> image);

// Fills report.quality from the maps, the report's header and tiles, and what a list of sources (may be empty) says.
void AssessMosaic(const MosaicMaps& maps, const std::vector<ListedSource>& catalogue, MosaicReport& report,
                  const RunContext& context);

}  // namespace contimg::mosaic
