// `contimg predict`, `contimg solve` and `contimg apply`: calibration of one Measurement Set.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "calibrate/apply.h"
#include "calibrate/casacore/calibration_table.h"
#include "calibrate/predict.h"
#include "calibrate/quality_gate.h"
#include "calibrate/solve.h"
#include "config/os.h"
#include "config/units.h"
#include "convert/measurement_set_lock.h"
#include "convert/measurement_set_reader.h"
#include "ops/base/version.h"
#include "ops/calibration/sky_models.h"
#include "ops/cli/commands.h"
#include "ops/cli/program_options.h"
#include "ops/cli/setting_options.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using calibrate::SolutionKind;
using calibrate::SolutionSet;

std::vector<std::string> SplitWords(const std::string& text) {
  std::vector<std::string> words;
  std::istringstream in(text);
  for (std::string word; std::getline(in, word, ',');) {
    if (!word.empty()) words.push_back(word);
  }
  return words;
}

struct ModelArgs {
  std::string calibrator, catalogue;
};

void AddModelOptions(CLI::App* command, ModelArgs& args) {
  command
      ->add_option("--calibrator", args.calibrator,
                   "a point source at its place: a Perley-Butler 2017 standard or a name from an imported catalogue")
      ->type_name("NAME");
  command
      ->add_option("--catalog", args.catalogue,
                   "the sources around the phase centre: 'field' for the imported NVSS, the name of an imported "
                   "catalogue, or a CSV file; with --calibrator: besides it")
      ->type_name("field|NAME|FILE");
}

// The tile, its settings and the model that the options ask for.
struct Task {
  LoadedSettings settings;
  std::unique_ptr<Reporter> reporter;
  RunContext context;
  convert::EarthOrientationTable orientation;
  calibrate::PredictOptions predict;
  std::unique_ptr<VisibilityBlock> block;
  std::vector<calibrate::SkySource> sources;
  std::string model_name;

  explicit Task(const SettingOptions& options) : settings(CurrentSettings()), reporter(MakeConsoleReporter()) {
    options.Apply(settings.values);
    context.threads = ThreadsOr(settings.values.calibrate.threads);
    context.reporter = reporter.get();
    if (!settings.values.telescope.earth_orientation_file.empty()) {
      orientation = convert::EarthOrientationTable::Load(settings.values.telescope.earth_orientation_file);
    }
  }

  void Read(const std::string& path) {
    block = convert::ReadMeasurementSet(path, {"DATA", -1, {}}, context);
    predict = PredictOptionsOf(settings.values, *block, orientation);
    if (!predict.beam.warning.empty()) reporter->Warn("solve", predict.beam.warning);
  }

  void ChooseModel(const ModelArgs& args) {
    if (args.calibrator.empty() && args.catalogue.empty()) {
      throw Error(ErrorKind::kUsage, "solve", "",
                  "name the model: --calibrator NAME, --catalog field|NAME|FILE, or both: the calibrator and what "
                  "stands around it");
    }
    const CalibrateSettings& s = settings.values.calibrate;
    const auto store = OpenSourcesIfAny(settings.values);
    if (!args.calibrator.empty()) {
      sources = {FindCalibrator(args.calibrator, store.get(), *block, s)};
      CheckCalibrator(sources.front(), *block, predict);
      if (!args.catalogue.empty()) {
        sources = CalibratorField(sources.front(), CatalogueSources(args.catalogue, store.get(), *block, s), *block,
                                  predict, s);
      }
      model_name = sources.front().name;
      if (sources.front().extended) {
        reporter->Warn("solve", fmt::format("{} is extended; a point model is poor for it", model_name));
      }
      if (sources.front().variable) {
        reporter->Warn("solve", fmt::format("{} varies by per cents over years; so does the flux scale", model_name));
      }
    } else {
      sources = FieldModel(CatalogueSources(args.catalogue, store.get(), *block, s), *block, predict, s);
      model_name = args.catalogue;
    }
    calibrate::CheckModel(sources);
  }
};

nlohmann::json ModelJson(const Task& task, const calibrate::Prediction& prediction) {
  double total = 0;
  for (const auto& source : prediction.sources) total += source.mean_flux_jy;
  return {{"name", task.model_name}, {"sources", task.sources.size()}, {"apparent_flux_jy", total}};
}

// ---- predict ----

struct PredictArgs {
  std::string ms;
  ModelArgs model;
  bool replace = false, json = false;
  SettingOptions settings;
};

void PredictInto(const PredictArgs& args) {
  Task task(args.settings);
  const convert::MeasurementSetLock lock(args.ms, task.context);
  task.Read(args.ms);
  task.ChooseModel(args.model);
  const calibrate::Prediction prediction =
      calibrate::Predict(*task.block, task.sources, task.predict, task.context.threads);
  const std::size_t n_pols = task.block->n_pols();
  Buffer<Visibility> column(task.block->vis.size());
  for (std::size_t pol : calibrate::ParallelHands(*task.block)) {
    for (std::size_t i = 0; i < prediction.model.size(); ++i) column[i * n_pols + pol] = prediction.model[i];
  }
  convert::MeasurementSetChanges changes;
  changes.model = column.data();
  changes.replace = args.replace;
  changes.application = "contimg predict";
  changes.history = {fmt::format("MODEL_DATA from {}: {} sources, beam {}", task.model_name, task.sources.size(),
                                 task.predict.beam.description)};
  convert::UpdateMeasurementSet(args.ms, {"DATA", -1, {}}, *task.block, changes, task.context);
  const nlohmann::json report = ModelJson(task, prediction);
  if (args.json) {
    fmt::print("{}\n", report.dump(2));
  } else {
    fmt::print("{}: MODEL_DATA from {}, {} sources, {:.3f} Jy apparent\n", args.ms, task.model_name,
               task.sources.size(), report["apparent_flux_jy"].get<double>());
  }
}

// ---- solve ----

struct SolveArgs {
  std::string ms, out, kinds = "K,BP,G", reference, gain_mode = "ap", solint = "auto";
  std::vector<std::string> tables;
  ModelArgs model;
  double min_uv = -1, max_uv = 0;
  bool per_window = false, combine = false, json = false;
  SettingOptions settings;
};

const char* Suffix(SolutionKind kind) {
  switch (kind) {
    case SolutionKind::kDelay:
      return ".kcal";
    case SolutionKind::kBandpass:
      return ".bpcal";
    case SolutionKind::kGain:
      return ".gpcal";
  }
  return "";
}

// auto, inf, int, a number of seconds (60, 60s) or of integrations (5int).
void SetInterval(const std::string& text, bool field_model, calibrate::SolveParams& p) {
  if (text == "auto") {
    p.gain_interval_s = field_model ? -1 : 60;
  } else if (text == "inf") {
    p.gain_interval_s = -1;
  } else if (text == "int") {
    p.gain_interval_s = 0;
  } else {
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
      p.gain_integrations = static_cast<int>(value);
    } else {
      p.gain_interval_s = value;
    }
  }
}

calibrate::SolveParams ParamsOf(const SolveArgs& args, const CalibrateSettings& settings, bool field_model) {
  calibrate::SolveParams p;
  p.delay = p.bandpass = p.gain = false;
  for (const std::string& kind : SplitWords(args.kinds)) {
    if (kind == "K") {
      p.delay = true;
    } else if (kind == "BP") {
      p.bandpass = true;
    } else if (kind == "G") {
      p.gain = true;
    } else {
      throw Error(ErrorKind::kUsage, "solve", "--kinds", fmt::format("'{}' is none of K, BP, G", kind));
    }
  }
  p.reference_antennas = SplitWords(args.reference.empty() ? settings.reference_antennas : args.reference);
  p.min_snr = settings.min_snr;
  p.min_baselines_per_antenna = static_cast<int>(settings.min_baselines);
  // A single calibrator dominates on every baseline; in a field the short ones see emission that no catalogue holds.
  p.min_uv_lambda = args.min_uv >= 0 ? args.min_uv : field_model ? settings.field_min_uv_lambda : 0;
  p.max_uv_lambda = args.max_uv;
  p.robust_k = settings.robust_k;
  p.pre_phase_s = settings.pre_phase_s;
  p.fill_gap_channels = static_cast<int>(settings.fill_gap_channels);
  if (args.gain_mode != "p" && args.gain_mode != "ap") {
    throw Error(ErrorKind::kUsage, "solve", "--calmode", "must be p or ap");
  }
  p.gain_phase_only = args.gain_mode == "p";
  // A calibrator has signal to spare: each window by the minute. A field needs all of its signal at once.
  p.combine_windows = args.per_window ? false : args.combine ? true : field_model;
  SetInterval(args.solint, field_model, p);
  return p;
}

// Flagged fraction of every antenna's solutions, by receptor; antennas of the table without data are all flagged.
nlohmann::json AntennaFlags(const SolutionSet& set) {
  nlohmann::json list = nlohmann::json::array();
  for (std::size_t a = 0; a < set.antennas.size(); ++a) {
    nlohmann::json flagged = nlohmann::json::array();
    for (std::size_t r = 0; r < set.n_receptors; ++r) {
      std::size_t n = 0;
      for (std::size_t t = 0; t < set.intervals.size(); ++t) {
        for (std::size_t c = 0; c < set.n_cells(); ++c) n += set.usable(set.Index(t, a, c, r)) ? 0 : 1;
      }
      flagged.push_back(static_cast<double>(n) / static_cast<double>(set.intervals.size() * set.n_cells()));
    }
    list.push_back({{"name", set.antennas[a].name}, {"flagged", flagged}});
  }
  return list;
}

nlohmann::json KindJson(const calibrate::KindReport& report, const SolutionSet& set, std::size_t antennas_with_data) {
  const auto quality = calibrate::MeasureQuality(set, nullptr, report.reduced_chi_square, report.residual_fraction);
  const auto verdict = calibrate::JudgeQuality(set.kind, quality, antennas_with_data, {});
  return {{"kind", ToString(set.kind)},
          {"seconds", report.seconds},
          {"reduced_chi_square", report.reduced_chi_square},
          {"residual_fraction", report.residual_fraction},
          {"model_error", report.model_error},
          {"median_iterations", report.median_iterations},
          {"unconverged_cells", report.unconverged_cells},
          {"intervals", set.intervals.size()},
          {"median_snr", quality.median_snr},
          {"phase_scatter_deg", quality.phase_scatter_deg},
          {"median_amplitude", quality.median_amplitude},
          {"effective_flags", quality.flags.effective_fraction},
          {"dead_receptors", quality.flags.dead_receptors},
          {"reference_antenna", set.antennas[static_cast<std::size_t>(set.reference_antenna)].name},
          {"antennas", AntennaFlags(set)},
          {"accepted", verdict.accepted},
          {"failures", verdict.failures}};
}

void Solve(const SolveArgs& args) {
  Task task(args.settings);
  const calibrate::SolveParams wanted = ParamsOf(args, task.settings.values.calibrate, !args.model.catalogue.empty());
  for (const auto& [asked, kind] : {std::pair{wanted.delay, SolutionKind::kDelay},
                                    {wanted.bandpass, SolutionKind::kBandpass},
                                    {wanted.gain, SolutionKind::kGain}}) {
    if (asked && fs::exists(args.out + Suffix(kind))) {
      throw Error(ErrorKind::kUsage, "solve", args.out + Suffix(kind), "exists already");
    }
  }
  task.Read(args.ms);
  task.ChooseModel(args.model);
  std::vector<SolutionSet> fixed;
  for (const std::string& path : args.tables) fixed.push_back(calibrate::ReadCalibrationTable(path));
  calibrate::SolveParams params = wanted;
  for (const SolutionSet& set : fixed) params.fixed.push_back(&set);
  params.source_ms = fs::path(args.ms).filename().string();
  params.field_name = task.model_name;

  const calibrate::Prediction prediction =
      calibrate::Predict(*task.block, task.sources, task.predict, task.context.threads);
  calibrate::SolveResult result = calibrate::SolveCalibration(*task.block, prediction.view(), params, task.context);

  const nlohmann::json model = ModelJson(task, prediction);
  nlohmann::json report{{"ms", args.ms},
                        {"model", model},
                        {"baselines", {{"used", result.uv.kept}, {"all", result.uv.all}}},
                        {"min_uv_lambda", result.uv.min_lambda},
                        {"tables", nlohmann::json::array()}};
  std::vector<fs::path> written;
  try {
    for (std::size_t i = 0; i < result.solutions.size(); ++i) {
      SolutionSet& set = result.solutions[i];
      set.history = {
          fmt::format("contimg {} solve --kinds {} of {}", kVersion, args.kinds, params.source_ms),
          fmt::format("model {}: {} sources, {:.4f} Jy apparent, beam {}", task.model_name, task.sources.size(),
                      model["apparent_flux_jy"].get<double>(), task.predict.beam.description),
          fmt::format("minimum SNR {}, uv from {} to {} wavelengths, residual chi-square {:.4f}", params.min_snr,
                      result.uv.min_lambda, result.uv.max_lambda, result.reports[i].reduced_chi_square)};
      for (const std::string& table : args.tables) set.history.push_back("held fixed: " + table);
      const fs::path path = args.out + Suffix(set.kind);
      calibrate::WriteCalibrationTable(set, path);
      written.push_back(path);
      nlohmann::json each = KindJson(result.reports[i], set, result.antennas_with_data);
      each["path"] = path.string();
      report["tables"].push_back(each);
    }
  } catch (...) {
    for (const fs::path& path : written) RealOs().RemoveAll(path);
    throw;
  }
  if (args.json) {
    fmt::print("{}\n", report.dump(2));
    return;
  }
  fmt::print("{}: {} with {} antennas, {} sources, {:.3f} Jy apparent\n", args.ms, task.model_name,
             result.antennas_with_data, task.sources.size(), model["apparent_flux_jy"].get<double>());
  for (const nlohmann::json& t : report["tables"]) {
    fmt::print(
        "  {}: median SNR {:.1f}, {:.2f} % of living receptors flagged, chi-square {:.3f}, reference {}, {:.2f} s\n",
        t["path"].get<std::string>(), t["median_snr"].get<double>(), 100 * t["effective_flags"].get<double>(),
        t["reduced_chi_square"].get<double>(), t["reference_antenna"].get<std::string>(), t["seconds"].get<double>());
    for (const auto& failure : t["failures"])
      fmt::print("    would not pass the gate: {}\n", failure.get<std::string>());
  }
}

// ---- apply ----

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
  Task task(args.settings);
  CalibrateSettings& settings = task.settings.values.calibrate;
  SetInterpolation(args.interpolation, settings);
  const convert::MeasurementSetLock lock(args.ms, task.context);
  const convert::MeasurementSetInfo info = convert::DescribeMeasurementSet(args.ms);
  if (info.has_corrected && !args.replace) {
    throw Error(ErrorKind::kUsage, "apply", args.ms, "has CORRECTED_DATA already; --replace makes it anew from DATA");
  }
  std::vector<SolutionSet> sets;
  for (const std::string& path : args.tables) sets.push_back(calibrate::ReadCalibrationTable(path));
  task.Read(args.ms);
  for (SolutionSet& set : sets) {
    set.one_window_for_all = args.combined_windows && calibrate::MeansAllWindows(set, task.block->windows.size());
  }
  std::vector<calibrate::ApplyTable> tables;
  std::vector<calibrate::AppliedTable> applied;
  for (std::size_t i = 0; i < sets.size(); ++i) {
    const calibrate::Interpolation interpolation = calibrate::InterpolationOf(sets[i].kind, settings);
    tables.push_back({&sets[i], interpolation, args.tables[i]});
    applied.push_back({sets[i].kind, interpolation, args.tables[i]});
  }
  calibrate::ApplyChecks checks;
  checks.max_declination_offset_deg = settings.max_declination_offset_deg;
  calibrate::CheckTables(*task.block, tables, checks);
  for (const calibrate::ApplyTable& table : tables) {
    const std::string uncovered = calibrate::DescribeUncovered(*task.block, *table.solutions);
    if (!uncovered.empty()) task.reporter->Warn("apply", table.path + " " + uncovered);
  }
  calibrate::ApplyParams params;
  if (info.has_corrected) {
    // Weights and flags on the disk are those of an earlier apply. Whether other programs scale weights, nobody knows.
    params.scale_weights = calibrate::WeightsCarryGains(info.history);
    if (params.scale_weights) {
      const auto earlier = convert::ReadMeasurementSet(args.ms, {"CORRECTED_DATA", -1, {}}, task.context);
      calibrate::UndoApply(*task.block, *earlier, task.context.threads);
    }
  }
  const calibrate::ApplyReport report =
      calibrate::ApplyGains(*task.block, calibrate::EvaluateGains(*task.block, tables), params, task.context.threads);
  convert::MeasurementSetChanges changes;
  changes.flags = true;
  changes.corrected = task.block->vis.data();
  if (params.scale_weights) changes.weight = task.block->weight.data();
  changes.replace = args.replace;
  changes.application = "contimg apply";
  changes.history = calibrate::ApplyHistory(applied, params);
  changes.history.push_back(fmt::format("{} samples flagged for want of a solution", report.flagged_by_calibration));
  convert::UpdateMeasurementSet(args.ms, {"DATA", -1, {}}, *task.block, changes, task.context);
  if (args.json) {
    const nlohmann::json out{{"ms", args.ms},
                             {"samples", report.samples},
                             {"flagged_before", report.flagged_before},
                             {"flagged_by_calibration", report.flagged_by_calibration},
                             {"weights_scaled", params.scale_weights}};
    fmt::print("{}\n", out.dump(2));
  } else {
    fmt::print("{}: CORRECTED_DATA from {} tables; {:.3f} % flagged before, {:.3f} % more without a solution\n",
               args.ms, sets.size(),
               100.0 * static_cast<double>(report.flagged_before) / static_cast<double>(report.samples),
               100.0 * static_cast<double>(report.flagged_by_calibration) / static_cast<double>(report.samples));
  }
}

}  // namespace

void AddPredictCommand(CLI::App& app) {
  auto args = std::make_shared<PredictArgs>();
  CLI::App* command = app.add_subcommand("predict", "model visibilities of point sources into MODEL_DATA");
  command->add_option("ms", args->ms, "the Measurement Set")->type_name("X.ms")->required();
  AddModelOptions(command, args->model);
  command->add_flag("--replace", args->replace, "overwrite an existing MODEL_DATA");
  args->settings.Add(command, "--threads", "calibrate.threads", "threads (default: all processors)");
  command->add_flag("--json", args->json, "print the report as JSON");
  command->callback([args] { PredictInto(*args); });
}

void AddSolveCommand(CLI::App& app) {
  auto args = std::make_shared<SolveArgs>();
  CLI::App* command = app.add_subcommand("solve", "calibration tables (delay, bandpass, gain) of a Measurement Set");
  command->add_option("ms", args->ms, "the Measurement Set; DATA is used")->type_name("X.ms")->required();
  command->add_option("--out,-o", args->out, "makes PREFIX.kcal, PREFIX.bpcal and PREFIX.gpcal")
      ->type_name("PREFIX")
      ->required();
  command->add_option("--kinds", args->kinds, "which of K, BP, G")->type_name("K,BP,G")->capture_default_str();
  AddModelOptions(command, args->model);
  command->add_option("--tables", args->tables, "tables to hold fixed")->type_name("TABLE");
  command->add_option("--refant", args->reference, "reference antennas in order of preference, comma-separated");
  args->settings.Add(command, "--minsnr", "calibrate.min_snr", "flag solutions below this signal-to-noise ratio");
  command
      ->add_option(
          "--minuv", args->min_uv,
          "shortest projected baseline, wavelengths (0: no limit; default on a field: calibrate.field_min_uv_lambda)")
      ->check(Between(0, 1e9));
  command->add_option("--maxuv", args->max_uv, "longest projected baseline, wavelengths (0: no limit)")
      ->check(Between(0, 1e9));
  args->settings.Add(command, "--robust", "calibrate.robust_k",
                     "Cauchy weights at this many standard deviations (0: off)");
  command
      ->add_option(
          "--solint", args->solint,
          "interval of G: inf, int, seconds (60s) or integrations (5int); auto: 60 s on a calibrator, inf on a field")
      ->capture_default_str();
  command->add_option("--calmode", args->gain_mode, "G solves phases (p) or amplitudes and phases (ap)")
      ->capture_default_str();
  auto* per_window =
      command->add_flag("--per-spw", args->per_window, "one G per spectral window (default on a calibrator)");
  command->add_flag("--combine-spw", args->combine, "one G over all spectral windows (default on a field)")
      ->excludes(per_window);
  args->settings.Add(command, "--threads", "calibrate.threads", "threads (default: all processors)");
  command->add_flag("--json", args->json, "print the report as JSON");
  command->callback([args] { Solve(*args); });
}

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
