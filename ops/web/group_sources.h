// The sources that were measured in a tile, as a part of its page.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ops/records/pipeline_view.h"
#include "ops/web/html.h"

namespace contimg::ops {

// A list, brightest first, and circles that lead to their pages over the tile's picture of the sky where `picture` and
// an image of `products` are on disk. Nothing where nothing was measured.
Html DrawGroupSources(PipelineView& view, const std::string& group, const std::vector<state::ProductRow>& products,
                      const std::optional<state::ProductRow>& picture);

}  // namespace contimg::ops
