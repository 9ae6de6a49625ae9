// Whether a strip is whole: its windows of sidereal time on a time axis, and those that have no mosaic, as a part of
// the list of mosaics.
#pragma once

#include <optional>

#include "ops/records/pipeline_view.h"
#include "ops/web/html.h"

namespace contimg::ops {

// Of the day up to the newest tile, or of what is asked for, three days at most. Nothing where there is nothing.
void DrawMosaicWindows(PipelineView& view, std::optional<double> strip_deg, std::optional<double> from_mjd,
                       std::optional<double> before_mjd, Html& html);

}  // namespace contimg::ops
