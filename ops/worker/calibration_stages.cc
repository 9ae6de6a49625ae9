#include "ops/worker/calibration_stages.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <utility>

#include "calibrate/apply_stage.h"
#include "calibrate/casacore/calibration_table.h"
#include "calibrate/solve_stage.h"
#include "config/checksum.h"
#include "config/os.h"
#include "ops/base/checksum.h"
#include "ops/base/table_checksum.h"
#include "ops/base/version.h"
#include "ops/worker/measure_table.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using calibrate::SolutionKind;
using nlohmann::json;

SolutionKind KindOf(const std::string& word) {
  if (const auto kind = calibrate::ParseSolutionKind(word)) return *kind;
  throw Error(ErrorKind::kBadInput, "solve", word, "is none of the kinds K, BP and G");
}

// A table that went away or changed since it was chosen is no fault of the group (kIo): the next attempt gets another.
calibrate::LoadedTable Load(const JobTable& table) {
  if (!Exists(table.path)) {
    throw Error(ErrorKind::kIo, "apply", table.path.string(), "this calibration table is not there any more");
  }
  if (!table.checksum.empty() && !HasTableChecksum(table.path, table.checksum)) {
    throw Error(ErrorKind::kIo, "apply", table.path.string(),
                fmt::format("was changed since it was registered: expected checksum {} and found {}", table.checksum,
                            TableChecksum(table.path)));
  }
  return {table.path, calibrate::ReadCalibrationTable(table.path)};
}

// ---- solve ----

calibrate::SolveRequest RequestOf(const Job& job, const VisibilityBlock& block, const RunContext& context) {
  const JobSolve& wanted = *job.solve;
  calibrate::SolveRequest request;
  for (const std::string& kind : wanted.kinds) request.kinds.push_back(KindOf(kind));
  request.model =
      calibrate::FindModelSources(wanted.model, job.sky_model, calibrate::ViewOf(block), job.settings.calibrate);
  for (const JobTable& table : wanted.apply) request.fixed.push_back(Load(table));
  if (wanted.anchor) request.anchor = Load(*wanted.anchor);
  for (const JobTable& table : wanted.previous) {
    try {
      request.previous.push_back(Load(table));
    } catch (const Error& error) {  // nothing to compare with is no reason to have no calibration
      context.reporter->Warn("solve", error.what());
    }
  }
  request.reference_antennas = wanted.reference_antennas;
  request.prefix = wanted.prefix;
  request.replace = true;  // the job's own names; what is there is of an earlier attempt
  request.source_ms = job.measurement_set.filename().string();
  request.made_by = std::string("contimg ") + kVersion;
  return request;
}

JobCalibration CalibrationOf(const calibrate::SolvedTable& table, const calibrate::SolveStageReport& report,
                             const std::string& interval) {
  JobCalibration out;
  out.kind = ToString(table.kind);
  out.path = table.path;
  out.interval = interval;
  out.model = report.model;
  out.reference_antenna = table.reference_antenna;
  out.accepted = table.verdict.accepted;
  out.failures = table.verdict.failures;
  out.reduced_chi_square = table.solve.reduced_chi_square;
  out.residual_fraction = table.solve.residual_fraction;
  out.antennas_with_data = report.antennas_with_data;
  out.scale_change = table.scale_change;
  out.figures = {{"seconds", table.solve.seconds},
                 {"median_snr", table.quality.median_snr},
                 {"phase_scatter_deg", table.quality.phase_scatter_deg},
                 {"median_amplitude", table.quality.median_amplitude},
                 {"amplitude_ratio", table.quality.amplitude_ratio},
                 {"effective_flags", table.quality.flags.effective_fraction},
                 {"dead_receptors", table.quality.flags.dead_receptors},
                 {"outlier_antennas", table.quality.outlier_antennas},
                 {"unconverged_cells", table.solve.unconverged_cells},
                 {"unclosed_channels", table.solve.unclosed_channels},
                 {"model_sources", report.model_sources},
                 {"model_jy", report.model_jy}};
  return out;
}

// What will serve is what is on the disk.
TableFacts ReadBack(const calibrate::SolvedTable& made) {
  const calibrate::SolutionSet back = calibrate::ReadCalibrationTable(made.path);
  const auto same = [](const calibrate::AntennaFlags& a, const calibrate::AntennaFlags& b) {
    return a.antenna == b.antenna && a.by_window == b.by_window && a.by_receptor == b.by_receptor;
  };
  const auto flags = calibrate::FlagsByAntenna(back);
  if (back.kind != made.kind || std::abs(calibrate::MiddleOf(back) - made.mid_mjd_s) > 1e-3 ||
      !std::equal(flags.begin(), flags.end(), made.flags.begin(), made.flags.end(), same)) {
    throw Error(ErrorKind::kIo, "solve", made.path.string(), "was not read back from the disk as it was written");
  }
  return FactsOf(made.path, back, made.quality);
}

void Report(const calibrate::SolveStageReport& solved, const Job& job, const RunContext& context, JobState& state) {
  std::vector<fs::path> parents = {job.measurement_set};
  for (const JobTable& table : job.solve->apply) parents.push_back(table.path);
  std::vector<JobTable> made;
  for (const calibrate::SolvedTable& table : solved.tables) {
    TableFacts facts = ReadBack(table);
    made.push_back({0, facts.kind, table.path, facts.checksum});
    state.report.products.push_back(
        {ProductKind::kCalTable, table.path, ProductBytes(table.path), made.back().checksum, parents});
    state.report.calibration.push_back(CalibrationOf(table, solved, job.solve->interval));
    state.report.calibration.back().table = std::move(facts);
    for (const std::string& failure : table.verdict.failures) {
      context.reporter->Warn("solve", fmt::format("{} of {} is refused: {}", made.back().kind, solved.model, failure));
    }
  }
  if (solved.accepted) {
    state.tables = job.solve->apply;
    state.tables.insert(state.tables.end(), made.begin(), made.end());
  }
}

// ---- apply ----

// What is said in HISTORY and in images about tables applied.
std::vector<std::string> HistoryOf(const Job& job, const JobState& state) {
  std::vector<calibrate::AppliedTable> applied;
  for (const JobTable& table : state.tables) {
    const SolutionKind kind = KindOf(table.kind);
    applied.push_back({kind, calibrate::InterpolationOf(kind, job.settings.calibrate), table.path.string()});
  }
  std::vector<std::string> lines = calibrate::ApplyHistory(applied, state.earlier_apply.next);
  lines.push_back(CalibrationSignature(job, state.tables));
  return lines;
}

// No table at hand: the group waits.
void Wait(const Job& job, const RunContext& context, JobState& state) {
  state.waiting = true;
  state.report.next_state = "awaiting_calibration";
  if (!state.earlier_apply.undone || !state.changed) return;
  // The flags in memory are not those that belong to the CORRECTED_DATA that stay.
  state.changed = false;
  state.report.warnings.push_back("no tables to apply: " + job.measurement_set.filename().string() +
                                  " stays as it was calibrated before, with its flags");
  context.reporter->Warn("apply", state.report.warnings.back());
}

}  // namespace

std::string CalibrationSignature(const Job& job, const std::vector<JobTable>& tables) {
  std::vector<std::string> lines;
  for (const JobTable& table : tables) {
    const bool linear =
        calibrate::InterpolationOf(KindOf(table.kind), job.settings.calibrate) == calibrate::Interpolation::kLinear;
    lines.push_back(fmt::format("{} {} {}", table.kind, linear ? "linear" : "nearest",
                                table.checksum.empty() ? table.path.string() : table.checksum));
  }
  if (std::find(job.stages.begin(), job.stages.end(), "refine") != job.stages.end()) lines.emplace_back("refined");
  std::sort(lines.begin(), lines.end());
  Xxh64 hash;
  for (const std::string& line : lines) hash.Add(line.data(), line.size() + 1);
  return "calibrated by " + hash.Hex();
}

void RunSolve(const Job& job, const RunContext& context, JobState& state, json& figures) {
  NeedTile(job, context, state);
  if (!job.solve) throw Error(ErrorKind::kBadInput, "solve", job.group, "the job does not say what to solve");
  try {
    const calibrate::SolveStageReport solved =
        calibrate::SolveTile(*state.block, RequestOf(job, *state.block, context), job.settings, context);
    figures = {{"predict_s", solved.predict_s}, {"solve_s", solved.solve_s}, {"write_s", solved.write_s}};
    figures["accepted"] = solved.accepted;
    Report(solved, job, context, state);
  } catch (const Error& error) {
    // Of the data, the model or the settings: earlier tables may still serve the group.
    const ErrorKind why = error.kind();
    if (why != ErrorKind::kNumeric && why != ErrorKind::kBadInput && why != ErrorKind::kUsage) throw;
    context.reporter->Warn("solve", error.what());
    state.report.warnings.emplace_back(error.what());
    figures["accepted"] = false;
    for (const std::string& kind : job.solve->kinds) {
      JobCalibration report;
      report.kind = kind;
      report.interval = job.solve->interval;
      report.model = job.solve->model;
      report.failures = {error.what()};
      state.report.calibration.push_back(report);
    }
  }
}

void RunApply(const Job& job, const RunContext& context, JobState& state, json& figures) {
  if (state.tables.empty()) state.tables = job.tables;
  if (state.tables.empty()) {
    Wait(job, context, state);
    figures["waiting"] = true;
    return;
  }
  NeedTile(job, context, state);
  figures["tables"] = json::array();
  for (const JobTable& table : state.tables) {
    state.report.applied.push_back(table.path);
    figures["tables"].push_back(table.path.string());
  }
  std::vector<std::string> history = HistoryOf(job, state);
  std::vector<std::string>& said = state.same_calibration ? state.earlier_history : state.history;
  said.insert(said.end(), history.begin(), history.end());
  if (state.same_calibration) {
    figures["taken"] = true;
    return;
  }
  std::vector<calibrate::LoadedTable> tables;
  for (const JobTable& table : state.tables) tables.push_back(Load(table));
  const calibrate::TileGains gains = calibrate::GainsOn(*state.block, tables, job.settings.calibrate, false, context);
  context.CheckCancelled("apply");
  context.reporter->Progress("apply", 0.3);
  if (state.product) state.product->DataIsKept();
  const calibrate::ApplyReport report =
      calibrate::ApplyGains(*state.block, gains.gains, state.earlier_apply.next, context.threads);
  state.changed = true;
  figures["samples"] = report.samples;
  figures["flagged_before"] = report.flagged_before;
  figures["flagged_by_calibration"] = report.flagged_by_calibration;
}

}  // namespace contimg::ops
