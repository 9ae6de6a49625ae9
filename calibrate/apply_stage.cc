#include "calibrate/apply_stage.h"

#include <fmt/format.h>

#include <memory>
#include <utility>

#include "calibrate/casacore/calibration_table.h"
#include "config/error.h"
#include "convert/measurement_set_lock.h"

namespace contimg::calibrate {
namespace {

constexpr const char* kStage = "apply";

}  // namespace

TileGains GainsOn(const VisibilityBlock& block, std::vector<LoadedTable>& tables, const CalibrateSettings& settings,
                  bool combined_windows, const RunContext& context) {
  TileGains out;
  std::vector<ApplyTable> checked;
  for (LoadedTable& table : tables) {
    SolutionSet& set = table.solutions;
    set.one_window_for_all = combined_windows && MeansAllWindows(set, block.windows.size());
    const Interpolation interpolation = InterpolationOf(set.kind, settings);
    checked.push_back({&set, interpolation, table.path.string()});
    out.applied.push_back({set.kind, interpolation, table.path.string()});
  }
  ApplyChecks checks;
  checks.max_declination_offset_deg = settings.max_declination_offset_deg;
  CheckTables(block, checked, checks);
  for (const LoadedTable& table : tables) {
    const std::string uncovered = DescribeUncovered(block, table.solutions);
    if (!uncovered.empty()) context.reporter->Warn(kStage, table.path.string() + " " + uncovered);
  }
  out.gains = EvaluateGains(block, checked);
  return out;
}

EarlierApply TakeBackEarlierApply(VisibilityBlock& block, const std::filesystem::path& path,
                                  const convert::MeasurementSetInfo& info, const RunContext& context) {
  EarlierApply earlier;
  if (!info.has_corrected) return earlier;
  earlier.undone = earlier.next.scale_weights = WeightsCarryGains(info.history);
  if (earlier.undone) {
    const auto corrected = convert::ReadMeasurementSet(path, {"CORRECTED_DATA", -1, {}}, context);
    UndoApply(block, *corrected, context.threads);
  }
  return earlier;
}

ApplyStageReport ApplyToMeasurementSet(const std::filesystem::path& path,
                                       const std::vector<std::filesystem::path>& tables, bool combined_windows,
                                       bool replace, const CalibrateSettings& settings, const RunContext& context) {
  const convert::MeasurementSetLock lock(path, context);
  const convert::MeasurementSetInfo info = convert::DescribeMeasurementSet(path);
  if (info.has_corrected && !replace) {
    throw Error(ErrorKind::kUsage, kStage, path.string(),
                "has CORRECTED_DATA already; --replace makes it anew from DATA");
  }
  std::vector<LoadedTable> read;
  for (const std::filesystem::path& table : tables) read.push_back({table, ReadCalibrationTable(table)});
  const std::unique_ptr<VisibilityBlock> block = convert::ReadMeasurementSet(path, {"DATA", -1, {}}, context);
  const TileGains gains = GainsOn(*block, read, settings, combined_windows, context);
  context.CheckCancelled(kStage);
  const EarlierApply earlier = TakeBackEarlierApply(*block, path, info, context);
  ApplyStageReport report;
  report.weights_scaled = earlier.next.scale_weights;
  report.samples = ApplyGains(*block, gains.gains, earlier.next, context.threads);
  context.CheckCancelled(kStage);

  convert::MeasurementSetChanges changes;
  changes.flags = true;
  changes.corrected = block->vis.data();
  if (report.weights_scaled) changes.weight = block->weight.data();
  changes.replace = replace;
  changes.application = "contimg apply";
  changes.history = ApplyHistory(gains.applied, earlier.next);
  changes.history.push_back(
      fmt::format("{} samples flagged for want of a solution", report.samples.flagged_by_calibration));
  convert::UpdateMeasurementSet(path, {"DATA", -1, {}}, *block, changes, context);
  return report;
}

}  // namespace contimg::calibrate
