// The apply stage: calibration tables on a tile, whoever asks.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "calibrate/apply.h"
#include "config/run_context.h"
#include "config/settings.h"
#include "convert/measurement_set_reader.h"
#include "ingest/visibility_block.h"

namespace contimg::calibrate {

// A table that was read, and where from.
struct LoadedTable {
  std::filesystem::path path;
  SolutionSet solutions;
};

// What ApplyGains needs of tables that fit a tile.
struct TileGains {
  GainCube gains;
  std::vector<AppliedTable> applied;  // for ApplyHistory
};

// Checks the tables against the block (CheckTables, with calibrate.max_declination_offset_deg) and puts them on its
// grid, interpolated as calibrate.*_interpolation says. What they leave uncovered is reported as a warning.
// `combined_windows`: tables of one window may hold for all (MeansAllWindows); they are marked so.
TileGains GainsOn(const VisibilityBlock& block, std::vector<LoadedTable>& tables, const CalibrateSettings& settings,
                  bool combined_windows, const RunContext& context);

// Whose weights are scaled. `block` was read from DATA of the Measurement Set at `path`, which `info` describes: when
// an apply of ours scaled its weights, that is taken back (UndoApply) and the next one scales them again; weights
// beside CORRECTED_DATA of another program may hold its gains, nobody knows, and stay as they are.
struct EarlierApply {
  bool undone = false;
  ApplyParams next;
};
EarlierApply TakeBackEarlierApply(VisibilityBlock& block, const std::filesystem::path& path,
                                  const convert::MeasurementSetInfo& info, const RunContext& context);

struct ApplyStageReport {
  ApplyReport samples;
  bool weights_scaled = true;
};

// The whole stage on a Measurement Set on disk: CORRECTED_DATA, flags and weights from DATA, and lines in HISTORY.
// `replace`: an existing CORRECTED_DATA is made anew, else it is an error (kUsage). Throws Error; the set is then as it
// was.
ApplyStageReport ApplyToMeasurementSet(const std::filesystem::path& path,
                                       const std::vector<std::filesystem::path>& tables, bool combined_windows,
                                       bool replace, const CalibrateSettings& settings, const RunContext& context);

}  // namespace contimg::calibrate
