// The work of a task of the kind "mosaic" (ops/mosaics/mosaic_task.h), in a process of its own.
#pragma once

#include <nlohmann/json.hpp>

#include "config/run_context.h"

namespace contimg::ops {

// `work`: of DescribeMosaicTask. Makes the mosaic and puts it on record; fills `figures`. Throws what MakeMosaic does.
void RunMosaicTask(const nlohmann::json& work, const RunContext& context, nlohmann::json& figures);

}  // namespace contimg::ops
