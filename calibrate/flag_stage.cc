#include "calibrate/flag_stage.h"

#include <fmt/format.h>

#include <memory>
#include <optional>
#include <utility>

#include "calibrate/flag_residual.h"
#include "calibrate/flag_tile.h"
#include "config/buffer.h"
#include "config/stopwatch.h"
#include "convert/measurement_set_lock.h"

namespace contimg::calibrate {
namespace {

// Stokes I of MODEL_DATA, [time][baseline][channel]: the mean of the parallel hands.
Buffer<Visibility> ReadModel(const std::filesystem::path& path, convert::MeasurementSetSelection selection,
                             const RunContext& context) {
  selection.column = "MODEL_DATA";
  const auto block = convert::ReadMeasurementSet(path, selection, context);
  std::vector<std::size_t> hands;
  for (std::size_t p = 0; p < block->n_pols(); ++p) {
    const auto receptors = Receptors(block->polarisations[p]);
    if (receptors[0] == receptors[1]) hands.push_back(p);
  }
  const std::size_t np = block->n_pols();
  Buffer<Visibility> model(block->vis.size() / np);
  for (std::size_t i = 0; i < model.size(); ++i) {
    for (std::size_t p : hands) model[i] += block->vis[i * np + p] / static_cast<float>(hands.size());
  }
  return model;
}

FlagReport FlagResiduals(VisibilityBlock& block, const Buffer<Visibility>& model, const FlagSettings& settings,
                         int threads) {
  const std::size_t before = TallyFlags(block, threads).total;
  ArrayView<const Visibility, 3> view;
  if (!model.empty()) view = {model.data(), {block.n_times(), block.n_baselines(), block.n_channels()}};
  const std::size_t fresh = ClipResiduals(block, view, settings, threads);
  FlagReport report{CountFlags(block, settings.dead_antenna_fraction, threads), {}, {}};
  report.by_reason[static_cast<std::size_t>(FlagReason::kInput)] = before;
  report.by_reason[static_cast<std::size_t>(FlagReason::kResidual)] = fresh;
  return report;
}

}  // namespace

FlagStageReport FlagMeasurementSet(const std::filesystem::path& path, const FlagStageOptions& options,
                                   const FlagSettings& settings, const RunContext& context) {
  FlagStageReport report;
  Stopwatch watch;
  convert::MeasurementSetSelection selection = options.selection;
  if (selection.column.empty()) selection.column = options.residuals ? "CORRECTED_DATA" : "DATA";
  std::optional<convert::MeasurementSetLock> lock;
  if (!options.dry_run) lock.emplace(path, context);
  Buffer<Visibility> model;
  if (options.residuals && convert::DescribeMeasurementSet(path).has_model) model = ReadModel(path, selection, context);
  const std::unique_ptr<VisibilityBlock> block = convert::ReadMeasurementSet(path, selection, context);
  report.read_s = watch.Lap();
  context.CheckCancelled("flag");

  report.flags = options.residuals ? FlagResiduals(*block, model, settings, context.threads)
                                   : FlagTile(*block, settings, context.threads);
  report.antennas = block->antennas.names;
  report.column = selection.column;
  report.flag_s = watch.Lap();
  context.CheckCancelled("flag");
  if (options.dry_run) return report;

  convert::MeasurementSetChanges changes;
  changes.flags = true;
  changes.application = "contimg flag";
  changes.history.push_back(fmt::format(
      "{} of {}: {:.3f} % of the cross-correlations flagged, {:.3f} % between living receptors ({} of {} dead)",
      options.residuals ? "Residual clip" : settings.engine, report.column, 100 * report.flags.total.fraction(),
      100 * report.flags.living.fraction(), report.flags.dead_receptors, report.flags.receptors_with_data));
  const std::string lost = LostSkyHistory(report.flags.sky.names);
  if (!lost.empty()) changes.history.push_back(lost);
  convert::UpdateMeasurementSet(path, selection, *block, changes, context);
  report.write_s = watch.Lap();
  return report;
}

}  // namespace contimg::calibrate
