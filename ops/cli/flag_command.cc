// `contimg flag`: flags of bad data and interference in a Measurement Set.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>
#include <vector>

#include "calibrate/flag_aoflagger.h"
#include "calibrate/flag_stage.h"
#include "ops/cli/commands.h"
#include "ops/cli/program_options.h"
#include "ops/cli/setting_options.h"
#include "ops/job/sky_figures.h"

namespace contimg::ops {
namespace {

using calibrate::FlagReport;
using calibrate::FlagStageReport;

struct FlagArgs {
  std::string path;
  calibrate::FlagStageOptions stage;
  SettingOptions settings;
  bool print_strategy = false;
  bool json = false;
};

nlohmann::json Fractions(const std::vector<FlagCount>& counts) {
  nlohmann::json list = nlohmann::json::array();
  for (const FlagCount& count : counts) list.push_back(count.fraction());
  return list;
}

nlohmann::json ToJson(const FlagStageReport& r) {
  const FlagReport& f = r.flags;
  nlohmann::json reasons, antennas = nlohmann::json::array(), dead = nlohmann::json::array();
  for (std::size_t i = 0; i < calibrate::kFlagReasons; ++i) {
    reasons[std::string(Name(static_cast<calibrate::FlagReason>(i)))] = f.by_reason[i];
  }
  for (std::size_t a = 0; a < r.antennas.size(); ++a) {
    if (f.antennas[a].samples == 0) continue;
    antennas.push_back({{"name", r.antennas[a]},
                        {"fraction", f.antennas[a].fraction()},
                        {"receptors", {f.receptors[a][0].fraction(), f.receptors[a][1].fraction()}}});
  }
  for (std::size_t a : f.dead_antennas) dead.push_back(r.antennas[a]);
  return {{"column", r.column},
          {"fraction", f.total.fraction()},
          {"living_fraction", f.living.fraction()},
          {"flagged_samples", reasons},
          {"absent_samples", f.absent},
          {"dead_antennas", dead},
          {"dead_receptors", f.dead_receptors},
          {"receptors_with_data", f.receptors_with_data},
          {"sky", SkyFigures(f.sky)},
          {"antennas", antennas},
          {"baselines", Fractions(f.baselines)},
          {"channels", Fractions(f.channels)},
          {"seconds", {{"read", r.read_s}, {"flag", r.flag_s}, {"write", r.write_s}}}};
}

// Which antennas show no sky, or that there is no telling.
void PrintSky(const calibrate::LostSky& sky) {
  using calibrate::SkyVerdict;
  const auto lost = sky.Antennas();
  for (std::size_t i = 0; i < lost.size(); ++i) {
    const auto& both = sky.receptors[lost[i]];
    const auto& worst = both[both[0].verdict == SkyVerdict::kLost ? 0 : 1];
    fmt::print("  antenna {} shows no sky ({:.1f} ± {:.1f} % of the usual power): flagged\n", sky.names[i],
               100 * worst.power, 100 * worst.error);
  }
  const std::size_t unknown = sky.Count(SkyVerdict::kCannotTell);
  if (unknown > 0)
    fmt::print("  no telling whether they see the sky (too faint, or interference): {} receptors\n", unknown);
}

void PrintReport(const std::string& path, const FlagStageReport& r) {
  const FlagReport& f = r.flags;
  fmt::print("{}: {:.3f} % of the cross-correlations in {} flagged, {:.3f} % between living receptors\n", path,
             100 * f.total.fraction(), r.column, 100 * f.living.fraction());
  for (std::size_t i = 0; i < calibrate::kFlagReasons; ++i) {
    if (f.by_reason[i] == 0) continue;
    fmt::print("  {:<16} {:>12} samples\n", Name(static_cast<calibrate::FlagReason>(i)), f.by_reason[i]);
  }
  if (f.absent > 0)
    fmt::print("  {:<16} {:>12} samples, counted nowhere: the set has no such rows\n", "absent", f.absent);
  fmt::print("  receptors: {} with data, {} dead\n", f.receptors_with_data, f.dead_receptors);
  if (!f.dead_antennas.empty()) {
    std::string names;
    for (std::size_t a : f.dead_antennas) names += (names.empty() ? "" : ", ") + r.antennas[a];
    fmt::print("  dead antennas: {}\n", f.dead_antennas.size() == r.antennas.size() ? "all" : names);
  }
  PrintSky(f.sky);
  std::vector<std::size_t> order(f.antennas.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const std::size_t shown = std::min<std::size_t>(5, order.size());
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(shown), order.end(),
                    [&](std::size_t a, std::size_t b) { return f.antennas[a].fraction() > f.antennas[b].fraction(); });
  fmt::print("  most flagged antennas:");
  for (std::size_t i = 0; i < shown; ++i) {
    fmt::print(" {} {:.1f} %{}", r.antennas[order[i]], 100 * f.antennas[order[i]].fraction(),
               i + 1 < shown ? "," : "\n");
  }
  fmt::print("  {:.2f} s: read {:.2f}, flag {:.2f}, write {:.2f}\n", r.read_s + r.flag_s + r.write_s, r.read_s,
             r.flag_s, r.write_s);
}

void Flag(const FlagArgs& args) {
  LoadedSettings settings = CurrentSettings();
  args.settings.Apply(settings.values);
  if (args.print_strategy) {
    fmt::print("{}", calibrate::AoflaggerStrategy(settings.values.flag));
    return;
  }
  if (args.path.empty()) throw Error(ErrorKind::kUsage, "flag", "", "name the Measurement Set");
  const auto reporter = MakeConsoleReporter();
  RunContext context;
  context.threads = ThreadsOr(settings.values.flag.threads);
  context.reporter = reporter.get();
  const FlagStageReport report = calibrate::FlagMeasurementSet(args.path, args.stage, settings.values.flag, context);
  if (args.json) {
    fmt::print("{}\n", ToJson(report).dump(2));
  } else {
    PrintReport(args.path, report);
  }
}

}  // namespace

void AddFlagCommand(CLI::App& app) {
  auto args = std::make_shared<FlagArgs>();
  CLI::App* command = app.add_subcommand("flag", "flag bad data and interference in a Measurement Set");
  command->add_option("path", args->path, "the Measurement Set; flags are added, none is taken away")
      ->type_name("X.ms");
  command->add_flag("--residuals", args->stage.residuals,
                    "after calibration: clip residuals of CORRECTED_DATA against MODEL_DATA or the local median");
  command->add_option("--column", args->stage.selection.column, "look at this column instead")->type_name("COLUMN");
  command->add_option("--field", args->stage.selection.field, "row of FIELD (default: the only one with data)");
  command->add_option("--windows", args->stage.selection.windows, "rows of SPECTRAL_WINDOW (default: all)");
  command->add_flag("--dry-run", args->stage.dry_run, "report what would be flagged and change nothing");
  command->add_flag("--print-strategy", args->print_strategy, "print the Lua strategy of the engine aoflagger");
  args->settings.Add(command, "--threads", "flag.threads", "threads (default: all processors)");
  command->add_flag("--json", args->json, "print the report as JSON");
  command->callback([args] { Flag(*args); });
}

}  // namespace contimg::ops
