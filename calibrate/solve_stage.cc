#include "calibrate/solve_stage.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "calibrate/publish_tables.h"
#include "config/error.h"
#include "config/os.h"
#include "config/stopwatch.h"

namespace contimg::calibrate {
namespace {

namespace fs = std::filesystem;

constexpr const char* kStage = "solve";
constexpr double kCalibratorGainS = 60;

fs::path TablePath(const SolveRequest& request, SolutionKind kind) {
  return fmt::format("{}.{}", request.prefix.string(), Extension(kind));
}

std::string ReferenceOf(const SolutionSet& set) {
  return set.reference_antenna < 0 ? "" : set.antennas[static_cast<std::size_t>(set.reference_antenna)].name;
}

SolveParams ParamsOf(const SolveRequest& request, bool of_field, const std::string& model,
                     const CalibrateSettings& settings) {
  const auto wanted = [&](SolutionKind kind) {
    return std::find(request.kinds.begin(), request.kinds.end(), kind) != request.kinds.end();
  };
  SolveParams p;
  p.delay = wanted(SolutionKind::kDelay);
  p.bandpass = wanted(SolutionKind::kBandpass);
  p.gain = wanted(SolutionKind::kGain);
  for (const LoadedTable& table : request.fixed) p.fixed.push_back(&table.solutions);
  p.reference_antennas = request.reference_antennas;
  p.min_snr = settings.min_snr;
  p.min_baselines_per_antenna = static_cast<int>(settings.min_baselines);
  p.min_uv_lambda = request.min_uv_lambda.value_or(of_field ? settings.field_min_uv_lambda : 0);
  p.max_uv_lambda = settings.max_uv_lambda;
  p.robust_k = settings.robust_k;
  p.pre_phase_s = settings.pre_phase_s;
  p.fill_gap_channels = static_cast<int>(settings.fill_gap_channels);
  const GainInterval interval = request.interval.value_or(GainInterval{of_field ? -1 : kCalibratorGainS, 0});
  p.gain_interval_s = interval.seconds;
  p.gain_integrations = interval.integrations;
  p.gain_phase_only = settings.gain_mode == "p";
  p.combine_windows = request.combine_windows.value_or(of_field);
  p.field_name = model;
  p.source_ms = request.source_ms;
  return p;
}

std::vector<std::string> HistoryOf(const SolveRequest& request, const SolveStageReport& report, double min_snr,
                                   double chi_square, const std::string& beam) {
  std::string kinds;
  for (const SolutionKind kind : request.kinds) kinds += (kinds.empty() ? "" : ",") + std::string(ToString(kind));
  std::vector<std::string> lines = {
      fmt::format("{} solved {} of {}", request.made_by, kinds, request.source_ms),
      fmt::format("model {}: {} sources, {:.4f} Jy apparent, beam {}", report.model, report.model_sources,
                  report.model_jy, beam),
      fmt::format("minimum SNR {}, {}, residual chi-square {:.4f}", min_snr, RangeText(report.uv), chi_square)};
  for (const LoadedTable& table : request.fixed) lines.push_back("held fixed: " + table.path.string());
  return lines;
}

// Tables of two reference antennas do not act together: where the one of the tables held fixed is gone, the phases
// cannot be referred to it.
void CheckReference(const SolutionSet& set, const std::vector<LoadedTable>& fixed, QualityVerdict& verdict) {
  const std::string mine = ReferenceOf(set);
  for (const LoadedTable& held : fixed) {
    const std::string theirs = ReferenceOf(held.solutions);
    if (mine.empty() || theirs.empty() || mine == theirs) continue;
    verdict.accepted = false;
    verdict.failures.push_back(
        fmt::format("refers to antenna {}, the {} it rests on to {}", mine, ToString(held.solutions.kind), theirs));
  }
}

SolvedTable Judge(const SolutionSet& set, const KindReport& solve, std::size_t antennas_with_data,
                  const SolveRequest& request) {
  SolvedTable table;
  table.kind = set.kind;
  table.solve = solve;
  const auto before = std::find_if(request.previous.begin(), request.previous.end(),
                                   [&](const LoadedTable& each) { return each.solutions.kind == set.kind; });
  table.quality = MeasureQuality(set, before != request.previous.end() ? &before->solutions : nullptr,
                                 solve.reduced_chi_square, solve.residual_fraction);
  table.verdict = JudgeQuality(set.kind, table.quality, antennas_with_data, {});
  CheckReference(set, request.fixed, table.verdict);
  table.reference_antenna = ReferenceOf(set);
  table.intervals = set.intervals.size();
  table.mid_mjd_s = MiddleOf(set);
  table.declination_rad = set.field_dec_rad;
  table.flags = FlagsByAntenna(set);
  return table;
}

}  // namespace

void CheckNoTables(const SolveRequest& request) {
  if (request.replace) return;
  for (const SolutionKind kind : request.kinds) {
    const fs::path path = TablePath(request, kind);
    if (Exists(path)) throw Error(ErrorKind::kUsage, kStage, path.string(), "exists already");
  }
}

SolveStageReport SolveTile(const VisibilityBlock& block, const SolveRequest& request, const Settings& settings,
                           const RunContext& context) {
  CheckNoTables(request);
  SolveStageReport report;
  Stopwatch watch;
  const auto orientation = convert::EarthOrientationTable::LoadIfSet(settings.telescope.earth_orientation_file);
  const PredictOptions options = PredictOptionsOf(settings, block, orientation);
  if (!options.beam.warning.empty()) context.reporter->Warn(kStage, options.beam.warning);
  const CalibrationModel model = MakeModel(request.model, block, options, settings.calibrate);
  for (const std::string& warning : model.warnings) context.reporter->Warn(kStage, warning);
  const Prediction prediction = Predict(block, model.sources, options, context.threads);
  report.model = model.name;
  report.model_sources = model.sources.size();
  report.model_jy = prediction.ApparentJy();
  report.predict_s = watch.Lap();
  context.CheckCancelled(kStage);
  context.reporter->Progress(kStage, 0.3);

  const SolveParams params = ParamsOf(request, model.of_field, model.name, settings.calibrate);
  SolveResult result = SolveCalibration(block, prediction.view(), params, context);
  report.uv = result.uv;
  report.antennas_with_data = result.antennas_with_data;
  report.solve_s = watch.Lap();
  context.reporter->Progress(kStage, 0.9);

  for (std::size_t i = 0; i < result.solutions.size(); ++i) {
    SolutionSet& set = result.solutions[i];
    set.history =
        HistoryOf(request, report, params.min_snr, result.reports[i].reduced_chi_square, options.beam.description);
    double scale_change = 0;
    if (set.kind == SolutionKind::kGain && request.anchor) {
      scale_change = AnchorAmplitude(set, request.anchor->solutions, settings.calibrate.gain_scale_limit);
      set.history.push_back(
          fmt::format("mean amplitude {:.4f} of that in {}", scale_change, request.anchor->path.filename().string()));
    }
    SolvedTable& table = report.tables.emplace_back(Judge(set, result.reports[i], result.antennas_with_data, request));
    table.path = TablePath(request, set.kind);
    table.scale_change = scale_change;
  }
  Os& os = OsOr(context.os);
  if (request.prefix.has_parent_path()) os.CreateDirectories(request.prefix.parent_path());
  std::vector<fs::path> paths;
  for (const SolvedTable& table : report.tables) paths.push_back(table.path);
  PublishTables(result.solutions, paths, request.replace, os);
  report.accepted = !report.tables.empty() && std::all_of(report.tables.begin(), report.tables.end(),
                                                          [](const auto& table) { return table.verdict.accepted; });
  report.write_s = watch.Lap();
  return report;
}

}  // namespace contimg::calibrate
