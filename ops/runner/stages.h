// The stages a worker can run, by name. A job lists the names it wants, in order; each stage takes the tile from the
// one before and hands it on. To add one: write a function of this shape and add it to the table in stages.cc.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "config/run_context.h"
#include "ingest/visibility_block.h"
#include "ops/runner/job.h"

namespace contimg::ops {

// What the stages of one job share.
struct JobState {
  std::unique_ptr<VisibilityBlock> block;  // null before the first stage
  JobReport report;                        // products, warnings and next_state are added to
};

struct Stage {
  std::string_view name;
  // Fills `figures` with what is worth keeping. Throws Error.
  void (*run)(const Job& job, const RunContext& context, JobState& state, nlohmann::json& figures);
};

// All of them.
const std::vector<Stage>& Stages();
// Throws Error{kBadInput} for an unknown name.
const Stage& FindStage(std::string_view name);

}  // namespace contimg::ops
