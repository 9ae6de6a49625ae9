// A calibration table as it is on the disk, measured for its registration.
#pragma once

#include <filesystem>

#include "calibrate/quality_gate.h"
#include "calibrate/solutions.h"
#include "ops/job/table_facts.h"

namespace contimg::ops {

// `solutions`: the table at `path` as it was read; `quality`: as measured on them (calibrate::MeasureQuality). Throws
// Error{kBadInput} for tables that the pipeline does not take (T Jones, one window that stands for all).
TableFacts FactsOf(const std::filesystem::path& path, const calibrate::SolutionSet& solutions,
                   const calibrate::SolutionQuality& quality);

}  // namespace contimg::ops
