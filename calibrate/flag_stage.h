// Flags a Measurement Set on disk.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "calibrate/flag_report.h"
#include "config/run_context.h"
#include "config/settings.h"
#include "convert/measurement_set_reader.h"

namespace contimg::calibrate {

struct FlagStageOptions {
  convert::MeasurementSetSelection selection;  // an empty column means DATA, or CORRECTED_DATA for residuals
  bool residuals = false;                      // clip residuals (calibrate/flag_residual.h) instead of FlagTile
  bool dry_run = false;                        // report, but leave the Measurement Set alone
};

struct FlagStageReport {
  FlagReport flags;
  std::vector<std::string> antennas;  // names, in the order of flags.antennas
  std::string column;                 // that was looked at
  double read_s = 0, flag_s = 0, write_s = 0;
};

// Adds flags to the Measurement Set at `path` (none is taken away) and a line to its HISTORY. Residuals are against
// MODEL_DATA when there is one, else against the local median. Throws what reading, FlagTile and writing throw.
FlagStageReport FlagMeasurementSet(const std::filesystem::path& path, const FlagStageOptions& options,
                                   const FlagSettings& settings, const RunContext& context);

}  // namespace contimg::calibrate
