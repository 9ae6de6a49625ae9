// The stage "solve": calibration tables of the tile in memory, each judged before it may serve.
#pragma once

#include <vector>

#include "calibrate/solutions.h"
#include "config/run_context.h"
#include "ingest/visibility_block.h"
#include "ops/job/job.h"

namespace contimg::ops {

struct SolvedTables {
  std::vector<JobCalibration> reports;  // one each, in the order of `paths`
  std::vector<JobTable> tables;
  bool accepted = false;  // all of them
  double predict_s = 0, solve_s = 0, write_s = 0;
};

// Solves what job.solve asks for on the block's raw data and writes the tables (an older table of the name is
// replaced). Throws Error: kBadInput for a model that does not fit the data or a table that cannot be used, kNumeric
// when the data hold nothing to solve.
SolvedTables SolveTile(const Job& job, const VisibilityBlock& block, const RunContext& context);

// Reads a table the job names, after comparing its checksum. Throws Error{kBadInput}.
calibrate::SolutionSet ReadJobTable(const JobTable& table);

}  // namespace contimg::ops
