// `contimg solve`: calibration tables of a Measurement Set.
#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "calibrate/casacore/calibration_table.h"
#include "calibrate/solve_stage.h"
#include "config/error.h"
#include "convert/measurement_set_reader.h"
#include "ops/base/version.h"
#include "ops/cli/calibration_task.h"
#include "ops/cli/program_options.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;

struct SolveArgs {
  std::string ms, out, kinds = "K,BP,G", reference, solint = "auto", anchor;
  std::vector<std::string> tables, previous;
  ModelOptions model;
  std::optional<double> min_uv;
  bool per_window = false, combine = false, json = false;
  SettingOptions settings;
};

// auto (nothing), inf, int, a number of seconds (60, 60s) or of integrations (5int).
std::optional<calibrate::GainInterval> ParseInterval(const std::string& text) {
  if (text == "auto") return std::nullopt;
  calibrate::GainInterval interval;
  if (text == "inf") return interval;
  if (text == "int") {
    interval.seconds = 0;
    return interval;
  }
  double value = 0;
  const char* const last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, value);
  const std::string_view unit(end, static_cast<std::size_t>(last - end));
  const bool integrations = unit == "int";
  if (error != std::errc() || !(value > 0) || !(unit.empty() || unit == "s" || integrations) ||
      (integrations && value != std::floor(value)) || value > 1e9) {
    throw Error(ErrorKind::kUsage, "solve", "--solint",
                fmt::format("must be auto, inf, int, seconds (60s) or integrations (5int), found '{}'", text));
  }
  if (integrations) {
    interval.integrations = static_cast<int>(value);
  } else {
    interval.seconds = value;
  }
  return interval;
}

calibrate::LoadedTable Load(const std::string& path) { return {path, calibrate::ReadCalibrationTable(path)}; }

// All but the model and the tables, which cost time to read.
calibrate::SolveRequest RequestOf(const SolveArgs& args, const CalibrateSettings& settings) {
  calibrate::SolveRequest request;
  for (const std::string& word : SplitWords(args.kinds)) {
    const auto kind = calibrate::ParseSolutionKind(word);
    if (!kind) throw Error(ErrorKind::kUsage, "solve", "--kinds", fmt::format("'{}' is none of K, BP, G", word));
    request.kinds.push_back(*kind);
  }
  request.reference_antennas = SplitWords(args.reference.empty() ? settings.reference_antennas : args.reference);
  request.min_uv_lambda = args.min_uv;
  if (args.per_window || args.combine) request.combine_windows = args.combine;
  request.interval = ParseInterval(args.solint);
  request.prefix = args.out;
  request.source_ms = fs::path(args.ms).filename().string();
  request.made_by = std::string("contimg ") + kVersion;
  return request;
}

nlohmann::json TableJson(const calibrate::SolvedTable& table) {
  nlohmann::json antennas = nlohmann::json::array();
  for (const calibrate::AntennaFlags& flags : table.flags) {
    antennas.push_back({{"name", flags.antenna}, {"flagged", flags.by_receptor}});
  }
  nlohmann::json out{{"kind", ToString(table.kind)},
                     {"path", table.path.string()},
                     {"seconds", table.solve.seconds},
                     {"reduced_chi_square", table.solve.reduced_chi_square},
                     {"residual_fraction", table.solve.residual_fraction},
                     {"model_error", table.solve.model_error},
                     {"median_iterations", table.solve.median_iterations},
                     {"unconverged_cells", table.solve.unconverged_cells},
                     {"unclosed_channels", table.solve.unclosed_channels},
                     {"intervals", table.intervals},
                     {"median_snr", table.quality.median_snr},
                     {"phase_scatter_deg", table.quality.phase_scatter_deg},
                     {"median_amplitude", table.quality.median_amplitude},
                     {"amplitude_ratio", table.quality.amplitude_ratio},
                     {"effective_flags", table.quality.flags.effective_fraction},
                     {"dead_receptors", table.quality.flags.dead_receptors},
                     {"reference_antenna", table.reference_antenna},
                     {"antennas", antennas},
                     {"accepted", table.verdict.accepted},
                     {"failures", table.verdict.failures}};
  if (table.scale_change > 0) out["scale_change"] = table.scale_change;
  return out;
}

void PrintReport(const std::string& ms, const calibrate::SolveStageReport& report) {
  fmt::print("{}: {} with {} antennas, {} sources, {:.3f} Jy apparent\n", ms, report.model, report.antennas_with_data,
             report.model_sources, report.model_jy);
  for (const calibrate::SolvedTable& t : report.tables) {
    fmt::print(
        "  {}: median SNR {:.1f}, {:.2f} % of living receptors flagged, chi-square {:.3f}, reference {}, {:.2f} s\n",
        t.path.string(), t.quality.median_snr, 100 * t.quality.flags.effective_fraction, t.solve.reduced_chi_square,
        t.reference_antenna, t.solve.seconds);
    if (t.scale_change > 0) fmt::print("    mean amplitude {:.4f} of the anchor's\n", t.scale_change);
    for (const std::string& failure : t.verdict.failures) fmt::print("    would not pass the gate: {}\n", failure);
  }
}

void Solve(const SolveArgs& args) {
  args.model.Check();
  const CalibrationTask task(args.settings);
  const Settings& settings = task.settings.values;
  calibrate::SolveRequest request = RequestOf(args, settings.calibrate);
  calibrate::CheckNoTables(request);
  for (const std::string& path : args.tables) request.fixed.push_back(Load(path));
  for (const std::string& path : args.previous) request.previous.push_back(Load(path));
  if (!args.anchor.empty()) request.anchor = Load(args.anchor);
  const auto block = convert::ReadMeasurementSet(args.ms, {"DATA", -1, {}}, task.context);
  request.model = args.model.Find(settings, calibrate::ViewOf(*block));
  const calibrate::SolveStageReport report = calibrate::SolveTile(*block, request, settings, task.context);
  if (!args.json) {
    PrintReport(args.ms, report);
    return;
  }
  nlohmann::json out{
      {"ms", args.ms},
      {"model", {{"name", report.model}, {"sources", report.model_sources}, {"apparent_flux_jy", report.model_jy}}},
      {"baselines", {{"used", report.uv.kept}, {"all", report.uv.all}}},
      {"min_uv_lambda", report.uv.min_lambda},
      {"tables", nlohmann::json::array()}};
  for (const calibrate::SolvedTable& table : report.tables) out["tables"].push_back(TableJson(table));
  fmt::print("{}\n", out.dump(2));
}

}  // namespace

void AddSolveCommand(CLI::App& app) {
  auto args = std::make_shared<SolveArgs>();
  CLI::App* command = app.add_subcommand("solve", "calibration tables (delay, bandpass, gain) of a Measurement Set");
  command->add_option("ms", args->ms, "the Measurement Set; DATA is used")->type_name("X.ms")->required();
  command->add_option("--out,-o", args->out, "makes PREFIX.kcal, PREFIX.bpcal and PREFIX.gpcal")
      ->type_name("PREFIX")
      ->required();
  command->add_option("--kinds", args->kinds, "which of K, BP, G")->type_name("K,BP,G")->capture_default_str();
  args->model.Add(command);
  command->add_option("--tables", args->tables, "tables to hold fixed")->type_name("TABLE");
  command->add_option("--anchor", args->anchor, "a G table whose mean amplitude the new G keeps")->type_name("TABLE");
  command->add_option("--previous", args->previous, "earlier tables that the new ones are compared with, by kind")
      ->type_name("TABLE");
  command->add_option("--refant", args->reference, "reference antennas in order of preference, comma-separated");
  args->settings.Add(command, "--minsnr", "calibrate.min_snr", "flag solutions below this signal-to-noise ratio");
  command
      ->add_option(
          "--minuv", args->min_uv,
          "shortest projected baseline, wavelengths (0: no limit; default on a field: calibrate.field_min_uv_lambda)")
      ->check(Between(0, 1e9));
  args->settings.Add(command, "--maxuv", "calibrate.max_uv_lambda",
                     "longest projected baseline, wavelengths (0: no limit)");
  args->settings.Add(command, "--robust", "calibrate.robust_k",
                     "Cauchy weights at this many standard deviations (0: off)");
  command
      ->add_option(
          "--solint", args->solint,
          "interval of G: inf, int, seconds (60s) or integrations (5int); auto: 60 s on a calibrator, inf on a field")
      ->capture_default_str();
  args->settings.Add(command, "--calmode", "calibrate.gain_mode", "G solves phases (p) or amplitudes and phases (ap)");
  auto* per_window =
      command->add_flag("--per-spw", args->per_window, "one G per spectral window (default on a calibrator)");
  command->add_flag("--combine-spw", args->combine, "one G over all spectral windows (default on a field)")
      ->excludes(per_window);
  args->settings.Add(command, "--threads", "calibrate.threads", "threads (default: all processors)");
  command->add_flag("--json", args->json, "print the report as JSON");
  command->callback([args] { Solve(*args); });
}

}  // namespace contimg::ops
