// The stages "solve" and "apply" of a job (calibrate/solve_stage.h, calibrate/apply_stage.h): tables from and to the
// job's and the report's terms.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "config/run_context.h"
#include "ops/job/job.h"
#include "ops/worker/stages.h"

namespace contimg::ops {

// A tile without a usable solution has not failed: it is served by older tables, or waits.
void RunSolve(const Job& job, const RunContext& context, JobState& state, nlohmann::json& figures);
void RunApply(const Job& job, const RunContext& context, JobState& state, nlohmann::json& figures);

// The line that HISTORY gets about a calibration: the tables' contents and how they are applied. The same line stands
// for the same CORRECTED_DATA.
std::string CalibrationSignature(const Job& job, const std::vector<JobTable>& tables);

}  // namespace contimg::ops
