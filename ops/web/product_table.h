// Files on record as a table: those on the disk that are served can be downloaded.
#pragma once

#include <vector>

#include "ops/records/pipeline_view.h"
#include "ops/web/html.h"

namespace contimg::ops {

// Without subband files. Nothing where there are none.
void DrawProducts(PipelineView& view, const std::vector<state::ProductRow>& products, Html& html);

}  // namespace contimg::ops
