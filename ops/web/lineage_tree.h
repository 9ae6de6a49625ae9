// What products were made from, as a tree: equal things side by side, their sources below.
#pragma once

#include <vector>

#include "ops/records/pipeline_view.h"
#include "ops/web/html.h"

namespace contimg::ops {

// The tree below the final ones among `products` (those that no other of them was made from).
Html DrawLineage(PipelineView& view, const std::vector<state::ProductRow>& products);

}  // namespace contimg::ops
