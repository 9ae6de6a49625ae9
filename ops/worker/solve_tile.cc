#include "ops/worker/solve_tile.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <string_view>

#include "calibrate/casacore/calibration_table.h"
#include "calibrate/catalogue.h"
#include "calibrate/predict.h"
#include "calibrate/quality_gate.h"
#include "calibrate/solve.h"
#include "config/os.h"
#include "config/units.h"
#include "ops/base/version.h"
#include "ops/calibration/sky_models.h"
#include "ops/records/registration.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using calibrate::SolutionKind;
using calibrate::SolutionSet;

constexpr const char* kStage = "solve";
constexpr std::string_view kCalibrator = "calibrator:";

double Lap(std::chrono::steady_clock::time_point& since) {
  const auto now = std::chrono::steady_clock::now();
  const double seconds = std::chrono::duration<double>(now - since).count();
  since = now;
  return seconds;
}

const char* Suffix(SolutionKind kind) {
  return kind == SolutionKind::kDelay ? ".kcal" : kind == SolutionKind::kBandpass ? ".bpcal" : ".gpcal";
}

// A flux standard, or the source of that name in the job's sky model.
calibrate::SkySource Calibrator(const std::string& name, const Job& job, const VisibilityBlock& block) {
  if (calibrate::FindFluxStandard(name) != nullptr || job.sky_model.empty()) {
    return FindCalibrator(name, nullptr, block, job.settings.calibrate);
  }
  for (const auto& row : calibrate::ReadCatalogue(job.sky_model, calibrate::CatalogueFormat::kCsv).sources) {
    if (row.name != name) continue;
    calibrate::SkySource source;
    source.name = row.name;
    source.ra_rad = Angle::Degrees(row.ra_deg).rad();
    source.dec_rad = Angle::Degrees(row.dec_deg).rad();
    source.flux_jy = row.flux_jy;
    source.spectral_index = row.spectral_index.value_or(job.settings.calibrate.spectral_index);
    return source;
  }
  throw Error(ErrorKind::kBadInput, kStage, name, "is neither a flux standard nor in " + job.sky_model.string());
}

calibrate::SolveParams ParamsOf(const Job& job, bool field_model) {
  const CalibrateSettings& settings = job.settings.calibrate;
  calibrate::SolveParams p;
  p.delay = p.bandpass = p.gain = false;
  for (const std::string& kind : job.solve->kinds) {
    if (kind == "K") {
      p.delay = true;
    } else if (kind == "BP") {
      p.bandpass = true;
    } else if (kind == "G") {
      p.gain = true;
    } else {
      throw Error(ErrorKind::kBadInput, kStage, kind, "is none of the kinds K, BP and G");
    }
  }
  p.reference_antennas = job.solve->reference_antennas;
  p.min_snr = settings.min_snr;
  p.min_baselines_per_antenna = static_cast<int>(settings.min_baselines);
  // A single calibrator dominates on every baseline; in a field the short ones see emission that no catalogue holds.
  p.min_uv_lambda = field_model ? settings.field_min_uv_lambda : 0;
  p.robust_k = settings.robust_k;
  p.pre_phase_s = settings.pre_phase_s;
  p.fill_gap_channels = static_cast<int>(settings.fill_gap_channels);
  // A calibrator has signal to spare: each window by the minute. A field needs all of its signal at once.
  p.combine_windows = field_model;
  p.gain_interval_s = field_model ? -1 : 60;
  return p;
}

}  // namespace

// A table that went away or changed since it was chosen is no fault of the group (kIo): the next attempt gets another.
SolutionSet ReadJobTable(const JobTable& table) {
  if (!Exists(table.path)) {
    throw Error(ErrorKind::kIo, "apply", table.path.string(), "this calibration table is not there any more");
  }
  if (!table.checksum.empty()) {
    const std::string found = TableChecksum(table.path);
    if (found != table.checksum) {
      throw Error(
          ErrorKind::kIo, "apply", table.path.string(),
          fmt::format("was changed since it was registered: expected checksum {} and found {}", table.checksum, found));
    }
  }
  return calibrate::ReadCalibrationTable(table.path);
}

SolvedTables SolveTile(const Job& job, const VisibilityBlock& block, const RunContext& context) {
  if (!job.solve) throw Error(ErrorKind::kBadInput, kStage, job.group, "the job does not say what to solve");
  const JobSolve& wanted = *job.solve;
  const CalibrateSettings& settings = job.settings.calibrate;
  const auto orientation = job.settings.telescope.earth_orientation_file.empty()
                               ? convert::EarthOrientationTable()
                               : convert::EarthOrientationTable::Load(job.settings.telescope.earth_orientation_file);
  const calibrate::PredictOptions options = PredictOptionsOf(job.settings, block, orientation);
  if (!options.beam.warning.empty()) context.reporter->Warn(kStage, options.beam.warning);
  SolvedTables out;
  auto lap = std::chrono::steady_clock::now();

  const bool field_model = wanted.model.rfind(kCalibrator, 0) != 0;
  std::vector<calibrate::SkySource> sources;
  std::string model_name = wanted.model;
  if (field_model) {
    if (job.sky_model.empty()) throw Error(ErrorKind::kBadInput, kStage, job.group, "the job has no sky model");
    sources = FieldModel(CatalogueSources(job.sky_model, nullptr, block, settings), block, options, settings);
  } else {
    model_name = wanted.model.substr(kCalibrator.size());
    const calibrate::SkySource calibrator = Calibrator(model_name, job, block);
    CheckCalibrator(calibrator, block, options);
    sources = {calibrator};
    if (!job.sky_model.empty()) {
      sources = CalibratorField(calibrator, CatalogueSources(job.sky_model, nullptr, block, settings), block, options,
                                settings);
    }
    if (sources.front().extended) {
      context.reporter->Warn(kStage, fmt::format("{} is extended; a point model is poor for it", model_name));
    }
  }
  calibrate::CheckModel(sources);
  const calibrate::Prediction prediction = calibrate::Predict(block, sources, options, context.threads);
  double total_jy = 0;
  for (const auto& source : prediction.sources) total_jy += source.mean_flux_jy;
  out.predict_s = Lap(lap);
  context.CheckCancelled(kStage);
  context.reporter->Progress(kStage, 0.3);

  std::vector<SolutionSet> fixed;
  for (const JobTable& table : wanted.apply) fixed.push_back(ReadJobTable(table));
  calibrate::SolveParams params = ParamsOf(job, field_model);
  for (const SolutionSet& set : fixed) params.fixed.push_back(&set);
  params.source_ms = job.measurement_set.filename().string();
  params.field_name = model_name;
  calibrate::SolveResult result = calibrate::SolveCalibration(block, prediction.view(), params, context);
  out.solve_s = Lap(lap);
  context.reporter->Progress(kStage, 0.9);

  OsOr(context.os).CreateDirectories(wanted.prefix.parent_path());
  out.accepted = !result.solutions.empty();
  for (std::size_t i = 0; i < result.solutions.size(); ++i) {
    SolutionSet& set = result.solutions[i];
    const calibrate::KindReport& figures = result.reports[i];
    JobCalibration report;
    report.kind = ToString(set.kind);
    report.path = wanted.prefix.string() + Suffix(set.kind);
    report.interval = wanted.interval;
    report.model = model_name;
    if (set.reference_antenna >= 0) {
      report.reference_antenna = set.antennas[static_cast<std::size_t>(set.reference_antenna)].name;
    }
    set.history = {fmt::format("contimg {} solved {} of {}", kVersion, fmt::join(wanted.kinds, ","), params.source_ms),
                   fmt::format("model {}: {} sources, {:.4f} Jy apparent, beam {}", model_name, sources.size(),
                               total_jy, options.beam.description),
                   fmt::format("minimum SNR {}, uv from {} wavelengths, residual chi-square {:.4f}", params.min_snr,
                               result.uv.min_lambda, figures.reduced_chi_square)};
    for (const JobTable& table : wanted.apply) set.history.push_back("held fixed: " + table.path.string());
    if (set.kind == SolutionKind::kGain && wanted.anchor) {
      report.scale_change = calibrate::AnchorAmplitude(set, ReadJobTable(*wanted.anchor), settings.gain_scale_limit);
      set.history.push_back(fmt::format("mean amplitude {:.4f} of that in {}", report.scale_change,
                                        wanted.anchor->path.filename().string()));
    }
    std::optional<SolutionSet> previous;
    for (const JobTable& table : wanted.previous) {
      if (table.kind != report.kind) continue;
      try {
        previous = ReadJobTable(table);
      } catch (const Error& error) {  // nothing to compare with is no reason to have no calibration
        context.reporter->Warn(kStage, error.what());
      }
    }
    const auto quality = calibrate::MeasureQuality(set, previous ? &*previous : nullptr, figures.reduced_chi_square,
                                                   figures.residual_fraction);
    auto verdict = calibrate::JudgeQuality(set.kind, quality, result.antennas_with_data, {});
    for (const SolutionSet& held : fixed) {
      if (held.reference_antenna < 0 || set.reference_antenna < 0) continue;
      const std::string& theirs = held.antennas[static_cast<std::size_t>(held.reference_antenna)].name;
      if (theirs == report.reference_antenna) continue;
      // Its antenna is gone: the phases cannot be referred to it, and tables of two references do not act together.
      verdict.accepted = false;
      verdict.failures.push_back(fmt::format("refers to antenna {}, the {} it rests on to {}", report.reference_antenna,
                                             ToString(held.kind), theirs));
    }
    report.accepted = verdict.accepted;
    report.failures = verdict.failures;
    report.reduced_chi_square = figures.reduced_chi_square;
    report.residual_fraction = figures.residual_fraction;
    report.antennas_with_data = result.antennas_with_data;
    report.figures = {{"seconds", figures.seconds},
                      {"median_snr", quality.median_snr},
                      {"phase_scatter_deg", quality.phase_scatter_deg},
                      {"median_amplitude", quality.median_amplitude},
                      {"amplitude_ratio", quality.amplitude_ratio},
                      {"effective_flags", quality.flags.effective_fraction},
                      {"dead_receptors", quality.flags.dead_receptors},
                      {"outlier_antennas", quality.outlier_antennas},
                      {"unconverged_cells", figures.unconverged_cells},
                      {"model_sources", sources.size()},
                      {"model_jy", total_jy}};
    OsOr(context.os).RemoveAll(report.path);
    calibrate::WriteCalibrationTable(set, report.path);
    out.tables.push_back({0, report.kind, report.path, TableChecksum(report.path)});
    for (const std::string& failure : verdict.failures) {
      context.reporter->Warn(kStage, fmt::format("{} of {} is refused: {}", report.kind, model_name, failure));
    }
    out.accepted = out.accepted && verdict.accepted;
    out.reports.push_back(std::move(report));
  }
  out.write_s = Lap(lap);
  return out;
}

}  // namespace contimg::ops
