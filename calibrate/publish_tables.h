// Calibration tables that belong together get their names together.
#pragma once

#include <filesystem>
#include <vector>

#include "calibrate/solutions.h"
#include "config/os.h"

namespace contimg::calibrate {

// Writes each set to the path of the same index: all of them, or none. Older tables of these names (with `replace`;
// else they are Error{kUsage}) keep them until all new ones are on the disk, and have them again when one of those
// cannot take its place: a job that reads the older one, or a registry that names it, finds it whole at any time.
void PublishTables(const std::vector<SolutionSet>& sets, const std::vector<std::filesystem::path>& paths, bool replace,
                   Os& os);

}  // namespace contimg::calibrate
