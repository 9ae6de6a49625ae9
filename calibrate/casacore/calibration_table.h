// Calibration tables on disk: CASA's format, written (K, B and G Jones) and read (also T Jones) with casacore.
// C++17-clean.
//
// docs/formats/calibration-tables.md describes the columns, and what is read, assumed and refused of other programs.
#pragma once

#include <filesystem>

#include "calibrate/solutions.h"

namespace contimg::calibrate {

// Writes `solutions` as a table at `path`, which must not exist (Error{kUsage}). The table is made as a hidden sibling
// and takes its name when it is whole. Throws Error{kIo}. Not thread-safe against other uses of casacore.
void WriteCalibrationTable(const SolutionSet& solutions, const std::filesystem::path& path);

// Reads a table. Windows come out ascending in frequency with ascending channels. Values that are not finite, are zero
// (B, G, T) or lack a row are flagged. Different times of a window are different solutions, whatever INTERVAL says
// (CASA writes 0); the k-th solutions of all windows lie in one interval and keep their own times. Throws
// Error{kBadInput} naming path, finding and cure for anything that is no calibration table, is of a kind that is not
// understood, is damaged or contradicts itself (two rows of one antenna, window and time); Error{kIo} when it does not
// exist.
SolutionSet ReadCalibrationTable(const std::filesystem::path& path);

}  // namespace contimg::calibrate
