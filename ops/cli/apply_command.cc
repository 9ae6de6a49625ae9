// `contimg apply`: calibration tables on a Measurement Set.
#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "calibrate/apply_stage.h"
#include "config/error.h"
#include "ops/cli/calibration_task.h"

namespace contimg::ops {
namespace {

struct ApplyArgs {
  std::string ms, interpolation;
  std::vector<std::string> tables;
  bool replace = false, combined_windows = false, json = false;
  SettingOptions settings;
};

// "linear" is G's; "K=linear,BP=nearest,G=linear" names kinds.
void SetInterpolation(const std::string& text, CalibrateSettings& settings) {
  for (const std::string& word : SplitWords(text)) {
    const std::size_t mark = word.find('=');
    const std::string kind = mark == std::string::npos ? "G" : word.substr(0, mark);
    const std::string mode = mark == std::string::npos ? word : word.substr(mark + 1);
    std::string* const setting = kind == "K"    ? &settings.delay_interpolation
                                 : kind == "BP" ? &settings.bandpass_interpolation
                                 : kind == "G"  ? &settings.gain_interpolation
                                                : nullptr;
    if (setting == nullptr || (mode != "nearest" && mode != "linear")) {
      throw Error(ErrorKind::kUsage, "apply", "--interp",
                  fmt::format("must be nearest or linear, or KIND=MODE with the kinds K, BP, G, found '{}'", word));
    }
    *setting = mode;
  }
}

void Apply(const ApplyArgs& args) {
  CalibrationTask task(args.settings);
  CalibrateSettings& settings = task.settings.values.calibrate;
  SetInterpolation(args.interpolation, settings);
  const std::vector<std::filesystem::path> tables(args.tables.begin(), args.tables.end());
  const calibrate::ApplyStageReport report =
      calibrate::ApplyToMeasurementSet(args.ms, tables, args.combined_windows, args.replace, settings, task.context);
  const calibrate::ApplyReport& samples = report.samples;
  if (args.json) {
    const nlohmann::json out{{"ms", args.ms},
                             {"samples", samples.samples},
                             {"flagged_before", samples.flagged_before},
                             {"flagged_by_calibration", samples.flagged_by_calibration},
                             {"weights_scaled", report.weights_scaled}};
    fmt::print("{}\n", out.dump(2));
  } else {
    fmt::print("{}: CORRECTED_DATA from {} tables; {:.3f} % flagged before, {:.3f} % more without a solution\n",
               args.ms, tables.size(),
               100.0 * static_cast<double>(samples.flagged_before) / static_cast<double>(samples.samples),
               100.0 * static_cast<double>(samples.flagged_by_calibration) / static_cast<double>(samples.samples));
  }
}

}  // namespace

void AddApplyCommand(CLI::App& app) {
  auto args = std::make_shared<ApplyArgs>();
  CLI::App* command = app.add_subcommand("apply", "CORRECTED_DATA from DATA and calibration tables");
  command->add_option("ms", args->ms, "the Measurement Set")->type_name("X.ms")->required();
  command->add_option("--tables", args->tables, "calibration tables, any order")->type_name("TABLE")->required();
  command
      ->add_option("--interp", args->interpolation,
                   "in time: nearest or linear for G, or by kind, K=nearest,BP=linear,G=linear (default: the "
                   "settings calibrate.*_interpolation)")
      ->type_name("MODE|KIND=MODE,…");
  command->add_flag("--combined-spw", args->combined_windows,
                    "K, G and T tables of CASA with solutions in one spectral window hold for all windows (solved with "
                    "combine='spw')");
  command->add_flag("--replace", args->replace, "make an existing CORRECTED_DATA anew");
  args->settings.Add(command, "--threads", "calibrate.threads", "threads (default: all processors)");
  command->add_flag("--json", args->json, "print the report as JSON");
  command->callback([args] { Apply(*args); });
}

}  // namespace contimg::ops
