// Calibration tables on disk: CASA's format (K, B and G Jones), written and read with casacore. C++17-clean.
//
// docs/formats/calibration-tables.md describes the columns. Tables of CASA itself are read too: spectral windows in any
// order and with channels running down, missing subtables, solutions of single windows at slightly different times.
#pragma once

#include <filesystem>

#include "calibrate/solutions.h"

namespace contimg::calibrate {

// Writes `solutions` as a table at `path`, which must not exist (Error{kUsage}). The table is made as a hidden sibling
// and takes its name when it is whole. Throws Error{kIo}. Not thread-safe against other uses of casacore.
void WriteCalibrationTable(const SolutionSet& solutions, const std::filesystem::path& path);

// Reads a table. Windows come out ascending in frequency with ascending channels. Values that are not finite, are zero
// (B, G) or lack a row are flagged. Rows of different windows whose times differ by less than half their interval (or
// 60 s where CASA wrote no interval) form one interval. Throws Error{kBadInput} naming path and finding for anything
// that is no calibration table, is truncated or contradicts itself, Error{kIo} when it does not exist.
SolutionSet ReadCalibrationTable(const std::filesystem::path& path);

}  // namespace contimg::calibrate
