// `contimg refine`: phases of a calibrated Measurement Set once more, on the sky known in it.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "calibrate/refine.h"
#include "config/error.h"
#include "convert/measurement_set_lock.h"
#include "convert/measurement_set_reader.h"
#include "ops/cli/calibration_task.h"
#include "ops/worker/refine_tile.h"

namespace contimg::ops {
namespace {

struct RefineArgs {
  std::string ms;
  ModelOptions model;
  bool dry_run = false, json = false;
  SettingOptions settings;
};

void RefineSet(const RefineArgs& args) {
  args.model.Check();
  const CalibrationTask task(args.settings);
  const Settings& settings = task.settings.values;
  const convert::MeasurementSetLock lock(args.ms, task.context);
  if (!convert::DescribeMeasurementSet(args.ms).has_corrected) {
    throw Error(ErrorKind::kUsage, "refine", args.ms,
                "has no CORRECTED_DATA to refine: `contimg apply` makes it of DATA and tables");
  }
  const convert::MeasurementSetSelection corrected{"CORRECTED_DATA", -1, {}};
  const auto block = convert::ReadMeasurementSet(args.ms, corrected, task.context);
  const calibrate::ModelSources sources = args.model.Find(settings, calibrate::ViewOf(*block));
  const calibrate::Refinement done = calibrate::RefineTile(*block, sources, settings, task.context);
  if (done.applied && !args.dry_run) {
    convert::MeasurementSetChanges changes;
    changes.corrected = block->vis.data();
    changes.replace = true;
    changes.application = "contimg refine";
    changes.history = {calibrate::RefinementHistory(done)};
    convert::UpdateMeasurementSet(args.ms, corrected, *block, changes, task.context);
  }
  if (args.json) {
    nlohmann::json report = RefinementFigures(done, *block);
    report["ms"] = args.ms;
    report["written"] = done.applied && !args.dry_run;
    fmt::print("{}\n", report.dump(2));
  } else if (!done.applied) {
    fmt::print("{}: stays as it is: {}\n", args.ms, done.why_not);
  } else {
    fmt::print("{}: {}{}\n", args.ms, calibrate::RefinementHistory(done), args.dry_run ? " (not written)" : "");
  }
}

}  // namespace

void AddRefineCommand(CLI::App& app) {
  auto args = std::make_shared<RefineArgs>();
  CLI::App* command =
      app.add_subcommand("refine", "phases of CORRECTED_DATA once more, on the sky known in it, where that helps");
  command->add_option("ms", args->ms, "the Measurement Set, calibrated by `contimg apply`")
      ->type_name("X.ms")
      ->required();
  args->model.Add(command);
  command->add_flag("--dry-run", args->dry_run, "report what would be done and change nothing");
  args->settings.Add(command, "--threads", "calibrate.threads", "threads (default: all processors)");
  command->add_flag("--json", args->json, "print the report as JSON");
  command->callback([args] { RefineSet(*args); });
}

}  // namespace contimg::ops
