// The stage "refine" of a job: what the gains have drifted by since their tables were solved (calibrate/refine.h).
#pragma once

#include <nlohmann/json.hpp>

#include "calibrate/refine.h"
#include "config/run_context.h"
#include "ops/job/job.h"
#include "ops/worker/stages.h"

namespace contimg::ops {

// After "apply", on the corrected data. What was done or why nothing was is in `figures`; the phases, too, so that it
// can be taken back. A tile whose own gains were solved, or of which no sky is known, stays as it is.
void RunRefine(const Job& job, const RunContext& context, JobState& state, nlohmann::json& figures);

// What a report says of a refinement: figures, `why_not` or `phases_deg` (to a hundredth, of each antenna's receptors).
nlohmann::json RefinementFigures(const calibrate::Refinement& refinement, const VisibilityBlock& block);

}  // namespace contimg::ops
