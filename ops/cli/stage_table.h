// How long each stage took, tile by tile, as a table for a terminal.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace contimg::ops {

struct StageSeconds {
  std::string group;                      // "2026-01-25T22:00:00"
  std::map<std::string, double> seconds;  // by the names of stages
};

// A line of names and one for each tile, by its time of day: every stage that any of them ran, in the order of the work
// (ops/base/job_stages.h), "-" where a tile did not. Not wider than 80 characters for the stages that there are.
std::string StageTable(const std::vector<StageSeconds>& tiles);

}  // namespace contimg::ops
