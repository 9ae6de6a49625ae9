// The groups that need a hand, by what is wrong with them: one cause is said once, with all that it struck.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "ops/records/pipeline_view.h"
#include "ops/web/html.h"

namespace contimg::ops {

// Groups of one state that failed alike.
struct SharedCause {
  std::vector<state::GroupRow> groups;  // in the order in which they were given
};
// Alike are messages that differ in nothing but numbers and the names of groups and files.
std::vector<SharedCause> ByCause(const std::vector<state::GroupRow>& groups);

void DrawNeedsAHand(PipelineView& view, const nlohmann::ordered_json& status, Html& html);

}  // namespace contimg::ops
