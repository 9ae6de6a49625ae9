// The stage "measure" of a job: the images that the stage before made, still in memory, give the fluxes of the known
// sources (mosaic/photometry/forced.h) and a catalogue of what is found (mosaic/find/find_sources.h).
#pragma once

#include <nlohmann/json.hpp>

#include "config/run_context.h"
#include "ops/job/job.h"
#include "ops/worker/stages.h"

namespace contimg::ops {

// Makes PREFIX.photometry.fits and PREFIX.sources.fits and adds the figures to PREFIX.metrics.json. An image that
// nothing can be measured in is no failure of the tile: a warning, and neither table.
void RunMeasure(const Job& job, const RunContext& context, JobState& state, nlohmann::json& figures);

}  // namespace contimg::ops
