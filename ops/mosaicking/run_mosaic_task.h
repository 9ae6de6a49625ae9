// The work of a task of the kind "mosaic" (ops/mosaics/mosaic_task.h), in a process of its own.
#pragma once

#include <nlohmann/json.hpp>

#include "config/run_context.h"

namespace contimg::ops {

// `work`: of DescribeMosaicTask. Makes the mosaic and puts it on record; where it has become the deepest reference of
// its strip there, sources of our own go to their places in it (mosaic.refine_places). Killed at any time, the next
// attempt does what is left. Fills `figures`. Throws what MakeMosaic does.
void RunMosaicTask(const nlohmann::json& work, const RunContext& context, nlohmann::json& figures);

}  // namespace contimg::ops
