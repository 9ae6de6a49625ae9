// `contimg predict`: model visibilities of a Measurement Set.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "calibrate/predict.h"
#include "calibrate/statistics.h"
#include "convert/measurement_set_lock.h"
#include "convert/measurement_set_reader.h"
#include "ops/cli/calibration_task.h"

namespace contimg::ops {
namespace {

struct PredictArgs {
  std::string ms;
  ModelOptions model;
  bool replace = false, json = false;
  SettingOptions settings;
};

void PredictInto(const PredictArgs& args) {
  args.model.Check();
  const CalibrationTask task(args.settings);
  const Settings& settings = task.settings.values;
  const convert::MeasurementSetLock lock(args.ms, task.context);
  const auto block = convert::ReadMeasurementSet(args.ms, {"DATA", -1, {}}, task.context);
  const auto orientation = convert::EarthOrientationTable::LoadIfSet(settings.telescope.earth_orientation_file);
  const calibrate::PredictOptions options = calibrate::PredictOptionsOf(settings, *block, orientation);
  if (!options.beam.warning.empty()) task.reporter->Warn("predict", options.beam.warning);
  const calibrate::CalibrationModel model =
      calibrate::MakeModel(args.model.Find(settings, calibrate::ViewOf(*block)), *block, options, settings.calibrate);
  for (const std::string& warning : model.warnings) task.reporter->Warn("predict", warning);
  const calibrate::Prediction prediction = calibrate::Predict(*block, model.sources, options, task.context.threads);

  const std::size_t n_pols = block->n_pols();
  Buffer<Visibility> column(block->vis.size());
  for (std::size_t pol : calibrate::ParallelHands(*block)) {
    for (std::size_t i = 0; i < prediction.model.size(); ++i) column[i * n_pols + pol] = prediction.model[i];
  }
  convert::MeasurementSetChanges changes;
  changes.model = column.data();
  changes.replace = args.replace;
  changes.application = "contimg predict";
  changes.history = {fmt::format("MODEL_DATA from {}: {} sources, beam {}", model.name, model.sources.size(),
                                 options.beam.description)};
  convert::UpdateMeasurementSet(args.ms, {"DATA", -1, {}}, *block, changes, task.context);
  if (args.json) {
    const nlohmann::json report{
        {"name", model.name}, {"sources", model.sources.size()}, {"apparent_flux_jy", prediction.ApparentJy()}};
    fmt::print("{}\n", report.dump(2));
  } else {
    fmt::print("{}: MODEL_DATA from {}, {} sources, {:.3f} Jy apparent\n", args.ms, model.name, model.sources.size(),
               prediction.ApparentJy());
  }
}

}  // namespace

void AddPredictCommand(CLI::App& app) {
  auto args = std::make_shared<PredictArgs>();
  CLI::App* command = app.add_subcommand("predict", "model visibilities of point sources into MODEL_DATA");
  command->add_option("ms", args->ms, "the Measurement Set")->type_name("X.ms")->required();
  args->model.Add(command);
  command->add_flag("--replace", args->replace, "overwrite an existing MODEL_DATA");
  args->settings.Add(command, "--threads", "calibrate.threads", "threads (default: all processors)");
  command->add_flag("--json", args->json, "print the report as JSON");
  command->callback([args] { PredictInto(*args); });
}

}  // namespace contimg::ops
