#include "ops/worker/stages.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "calibrate/apply.h"
#include "calibrate/casacore/calibration_table.h"
#include "calibrate/flag_tile.h"
#include "config/os.h"
#include "config/unfinished.h"
#include "config/parallel.h"
#include "config/product_paths.h"
#include "config/time.h"
#include "config/units.h"
#include "convert/convert_stage.h"
#include "convert/measurement_set_reader.h"
#include "convert/staging.h"
#include "image/image_stage.h"
#include "ops/base/checksum.h"
#include "ops/base/version.h"
#include "ops/job/sky_figures.h"
#include "ops/worker/solve_tile.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kFlagged = "flagged: ";          // beginnings of HISTORY lines that later jobs look for
constexpr const char* kCalibrated = "calibrated by ";  // and the signature

bool Has(const Job& job, std::string_view stage) {
  return std::find(job.stages.begin(), job.stages.end(), stage) != job.stages.end();
}

void Observe(const VisibilityBlock& block, JobState& state) {
  JobObservation o;
  o.start_mjd = (block.time_mjd_s.front() - block.integration_s.front() / 2) / kSecondsPerDay;
  o.end_mjd = (block.time_mjd_s.back() + block.integration_s.back() / 2) / kSecondsPerDay;
  o.ra_deg = WrapPositive(Angle::Radians(block.phase_centre.ra_rad)).deg();
  o.dec_deg = Angle::Radians(block.phase_centre.dec_rad).deg();
  state.report.observation = o;
}

calibrate::SolutionKind KindOf(const JobTable& table) {
  return table.kind == "K"    ? calibrate::SolutionKind::kDelay
         : table.kind == "BP" ? calibrate::SolutionKind::kBandpass
                              : calibrate::SolutionKind::kGain;
}

// Identifies a calibration: the tables' contents and how they are applied.
std::string Signature(const Job& job, const std::vector<JobTable>& tables) {
  std::vector<std::string> lines;
  for (const JobTable& table : tables) {
    const bool linear =
        calibrate::InterpolationOf(KindOf(table), job.settings.calibrate) == calibrate::Interpolation::kLinear;
    lines.push_back(fmt::format("{} {} {}", table.kind, linear ? "linear" : "nearest",
                                table.checksum.empty() ? table.path.string() : table.checksum));
  }
  std::sort(lines.begin(), lines.end());
  Xxh64 hash;
  for (const std::string& line : lines) hash.Add(line.data(), line.size() + 1);
  return fmt::format("{:016x}", hash.Digest());
}

// What is said in HISTORY and in images about tables applied.
std::vector<std::string> ApplyHistory(const Job& job, const JobState& state) {
  std::vector<calibrate::AppliedTable> applied;
  for (const JobTable& table : state.tables) {
    const calibrate::SolutionKind kind = KindOf(table);
    applied.push_back({kind, calibrate::InterpolationOf(kind, job.settings.calibrate), table.path.string()});
  }
  calibrate::ApplyParams params;
  params.scale_weights = state.scale_weights;
  std::vector<std::string> lines = calibrate::ApplyHistory(applied, params);
  lines.push_back(kCalibrated + Signature(job, state.tables));
  return lines;
}

bool AnyBeginsWith(const std::vector<std::string>& lines, const std::string& beginning) {
  return std::any_of(lines.begin(), lines.end(), [&](const auto& line) { return line.rfind(beginning, 0) == 0; });
}

// ---- convert ----

// A Measurement Set under the job's own name. Publication is one rename, so it is whole; that it is this group's is
// checked.
void CheckExisting(const Job& job, const convert::MeasurementSetInfo& info) {
  if (info.windows.size() != job.inputs.size() || info.n_rows == 0) {
    throw Error(
        ErrorKind::kUsage, "convert", job.measurement_set.string(),
        fmt::format("exists already and is not of this group: expected {} spectral windows, found {} in {} rows",
                    job.inputs.size(), info.windows.size(), info.n_rows));
  }
}

// Whether a set found under the name is all that the job was to make of the data and no image hangs on it.
bool IsAllThatIsWanted(const Job& job, const convert::MeasurementSetInfo& info) {
  const bool calibrates = job.solve || !job.tables.empty();
  if (calibrates || info.has_corrected || (Has(job, "image") && !Has(job, "apply"))) return false;
  return !Has(job, "flag") || AnyBeginsWith(info.history, kFlagged);
}

// No other program changes the set between its reading and its writing.
void HoldSet(const Job& job, const RunContext& context, JobState& state) {
  const bool changes = std::any_of(job.stages.begin(), job.stages.end(),
                                   [](const std::string& name) { return FindStage(name).changes_data; });
  if (changes && !state.lock) state.lock.emplace(job.measurement_set, context);
}

void RunConvert(const Job& job, const RunContext& context, JobState& state, json& figures) {
  HoldSet(job, context, state);
  if (fs::exists(job.measurement_set) && !job.replace_existing) {
    if (!job.take_existing) {
      throw Error(ErrorKind::kUsage, "convert", job.measurement_set.string(),
                  "exists already; choose another name or remove it");
    }
    const convert::MeasurementSetInfo info = convert::DescribeMeasurementSet(job.measurement_set);
    CheckExisting(job, info);
    if (IsAllThatIsWanted(job, info)) {
      state.taken = true;
      figures["taken"] = true;
      JobObservation o;
      o.start_mjd = info.start_mjd_s / kSecondsPerDay;
      o.end_mjd = info.end_mjd_s / kSecondsPerDay;
      if (!info.fields.empty()) {
        o.ra_deg = WrapPositive(Angle::Radians(info.fields.front().centre.ra_rad)).deg();
        o.dec_deg = Angle::Radians(info.fields.front().centre.dec_rad).deg();
      }
      state.report.observation = o;
      return;
    }
  }
  convert::LoadedTile tile = convert::LoadTile(job.inputs, ConvertOptionsOf(job), context);
  const convert::ConvertReport& report = tile.report;
  figures = {{"input_bytes", report.input_bytes},
             {"subbands", report.subbands},
             {"missing_subbands", report.missing_subbands},
             {"non_finite", report.read.non_finite},
             {"no_samples", report.read.no_samples},
             {"flagged_in_file", report.read.flagged_in_file},
             {"samples", report.read.samples},
             {"ra_rad", report.centre.ra_rad},
             {"dec_rad", report.centre.dec_rad},
             {"start_mjd_s", report.start_mjd_s},
             {"end_mjd_s", report.end_mjd_s},
             {"read_s", report.read_s},
             {"phase_s", report.phase_s}};
  state.report.warnings.insert(state.report.warnings.end(), report.warnings.begin(), report.warnings.end());
  state.block = std::move(tile.block);
  Observe(*state.block, state);
  for (const fs::path& input : job.inputs) {
    state.report.products.push_back({ProductKind::kUvh5, input, ProductBytes(input), "", {}});
  }
  // A message about staging must not appear twice.
  tile.report.warnings.clear();
  state.product = std::make_unique<TileProduct>(job, true, std::move(tile.report), context);
}

// For jobs without the stage convert: the tile as the Measurement Set holds it.
void NeedTile(const Job& job, const RunContext& context, JobState& state) {
  if (state.block) return;
  HoldSet(job, context, state);
  const convert::MeasurementSetInfo info = convert::DescribeMeasurementSet(job.measurement_set);
  state.same_calibration = info.has_corrected && !Has(job, "flag") && !Has(job, "solve") && !job.tables.empty() &&
                           AnyBeginsWith(info.history, kCalibrated + Signature(job, job.tables));
  // Without the stage apply what is imaged is the best there is.
  const bool wants_corrected =
      state.same_calibration || (info.has_corrected && job.stages == std::vector<std::string>{"image"});
  state.block =
      convert::ReadMeasurementSet(job.measurement_set, {wants_corrected ? "CORRECTED_DATA" : "DATA", -1, {}}, context);
  state.block->group_id = job.group;
  if (info.has_corrected && Has(job, "apply") && !state.same_calibration) {
    // Weights and flags on the disk are those of an earlier apply. Whether other programs scale weights, nobody knows.
    state.scale_weights = calibrate::WeightsCarryGains(info.history);
    if (state.scale_weights) {
      const auto earlier = convert::ReadMeasurementSet(job.measurement_set, {"CORRECTED_DATA", -1, {}}, context);
      calibrate::UndoApply(*state.block, *earlier, context.threads);
      state.earlier_apply_undone = true;
    }
  }
  for (const std::string& line : info.history) {
    const bool flagging = line.rfind(kFlagged, 0) == 0 || !calibrate::NamesWithoutSky({line}).empty();
    if (flagging) state.earlier_history.push_back(line);
  }
  Observe(*state.block, state);
}

// ---- flag ----

void RunFlag(const Job& job, const RunContext& context, JobState& state, json& figures) {
  NeedTile(job, context, state);
  const calibrate::FlagReport report = calibrate::FlagTile(*state.block, job.settings.flag, context.threads);
  for (std::size_t i = 0; i < calibrate::kFlagReasons; ++i) {
    figures["by_reason"][std::string(calibrate::Name(static_cast<calibrate::FlagReason>(i)))] = report.by_reason[i];
  }
  json dead = json::array();
  for (const std::size_t antenna : report.dead_antennas) dead.push_back(state.block->antennas.names[antenna]);
  figures["flagged_fraction"] = report.total.fraction();
  figures["flagged_fraction_living"] = report.living.fraction();
  figures["dead_antennas"] = dead;
  figures["dead_receptors"] = report.dead_receptors;
  figures["receptors"] = report.receptors_with_data;
  figures["engine"] = job.settings.flag.enabled ? job.settings.flag.engine : "none";
  state.history.push_back(
      fmt::format("{}{}, {:.3f} % of the cross-correlations, {:.3f} % between living receptors ({} of {} dead)",
                  kFlagged, figures["engine"].get<std::string>(), 100 * report.total.fraction(),
                  100 * report.living.fraction(), report.dead_receptors, report.receptors_with_data));
  figures["sky"] = SkyFigures(report.sky);
  const std::string lost = calibrate::LostSkyHistory(report.sky.names);
  if (!lost.empty()) {
    state.history.push_back(lost);
    state.report.warnings.push_back(lost + ": flagged");
    context.reporter->Warn("flag", state.report.warnings.back());
  }
  state.changed = true;
}

// ---- solve ----

void RunSolve(const Job& job, const RunContext& context, JobState& state, json& figures) {
  NeedTile(job, context, state);
  if (!job.solve) throw Error(ErrorKind::kBadInput, "solve", job.group, "the job does not say what to solve");
  try {
    SolvedTables solved = SolveTile(job, *state.block, context);
    figures = {{"predict_s", solved.predict_s}, {"solve_s", solved.solve_s}, {"write_s", solved.write_s}};
    figures["accepted"] = solved.accepted;
    std::vector<fs::path> parents = {job.measurement_set};
    for (const JobTable& table : job.solve->apply) parents.push_back(table.path);
    for (const JobTable& table : solved.tables) {
      state.report.products.push_back({ProductKind::kCalTable, table.path, ProductBytes(table.path), table.checksum, parents});
    }
    state.report.calibration = std::move(solved.reports);
    if (solved.accepted) {
      state.tables = job.solve->apply;
      state.tables.insert(state.tables.end(), solved.tables.begin(), solved.tables.end());
    }
  } catch (const Error& error) {
    // A tile without a usable solution is served by older tables, or waits; it has not failed.
    if (error.kind() != ErrorKind::kNumeric && error.kind() != ErrorKind::kBadInput) throw;
    context.reporter->Warn("solve", error.what());
    state.report.warnings.push_back(error.what());
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

// ---- apply ----

void RunApply(const Job& job, const RunContext& context, JobState& state, json& figures) {
  if (state.tables.empty()) state.tables = job.tables;
  if (state.tables.empty()) {
    state.waiting = true;
    if (state.earlier_apply_undone && state.changed) {
      // The flags in memory are not those that belong to the CORRECTED_DATA that stay.
      state.changed = false;
      state.report.warnings.push_back("no tables to apply: " + job.measurement_set.filename().string() +
                                      " stays as it was calibrated before, with its flags");
      context.reporter->Warn("apply", state.report.warnings.back());
    }
    state.report.next_state = "awaiting_calibration";
    figures["waiting"] = true;
    return;
  }
  NeedTile(job, context, state);
  for (const JobTable& table : state.tables) state.report.applied.push_back(table.path);
  figures["tables"] = json::array();
  for (const JobTable& table : state.tables) figures["tables"].push_back(table.path.string());
  if (state.same_calibration) {
    for (std::string& line : ApplyHistory(job, state)) state.earlier_history.push_back(std::move(line));
    figures["taken"] = true;
    return;
  }
  std::vector<calibrate::SolutionSet> sets;
  for (const JobTable& table : state.tables) sets.push_back(ReadJobTable(table));
  std::vector<calibrate::ApplyTable> tables;
  for (std::size_t i = 0; i < sets.size(); ++i) {
    tables.push_back(
        {&sets[i], calibrate::InterpolationOf(sets[i].kind, job.settings.calibrate), state.tables[i].path.string()});
  }
  for (std::string& line : ApplyHistory(job, state)) state.history.push_back(std::move(line));
  calibrate::ApplyChecks checks;
  checks.max_declination_offset_deg = job.settings.calibrate.max_declination_offset_deg;
  calibrate::CheckTables(*state.block, tables, checks);
  const calibrate::GainCube gains = calibrate::EvaluateGains(*state.block, tables);
  context.CheckCancelled("apply");
  context.reporter->Progress("apply", 0.3);

  if (!state.product) {
    state.product = std::make_unique<TileProduct>(job, false, convert::ConvertReport{}, context);
  }
  state.product->KeepData(*state.block, true, state.history);
  context.reporter->Progress("apply", 0.7);
  calibrate::ApplyParams params;
  params.scale_weights = state.scale_weights;
  const calibrate::ApplyReport report = calibrate::ApplyGains(*state.block, gains, params, context.threads);
  state.changed = true;
  figures["samples"] = report.samples;
  figures["flagged_before"] = report.flagged_before;
  figures["flagged_by_calibration"] = report.flagged_by_calibration;
}

// ---- image ----

void RunImageStage(const Job& job, const RunContext& context, JobState& state, json& figures) {
  if (!job.settings.image.enabled) {
    figures["enabled"] = false;
    return;
  }
  NeedTile(job, context, state);
  image::ImageRequest request;
  request.dead_antenna_fraction = job.settings.flag.dead_antenna_fraction;
  request.prefix = job.image_prefix;
  request.qa_prefix = job.qa_prefix;
  request.settings = job.settings.image;
  request.telescope = job.settings.telescope;
  if (request.settings.catalogue_file.empty()) request.settings.catalogue_file = job.sky_model.string();
  request.overwrite = true;  // the job's own names; what is there is of an earlier attempt or an earlier life
  request.durable = job.settings.convert.durable;
  request.software = std::string("contimg ") + kVersion;
  request.settings_hash = SettingsHash(job.settings);
  request.history = {"from " + job.measurement_set.filename().string()};
  for (const auto* lines : {&state.earlier_history, &state.history}) {
    request.history.insert(request.history.end(), lines->begin(), lines->end());
  }
  request.antennas_without_sky = calibrate::NamesWithoutSky(request.history);
  for (const fs::path& table : state.report.applied) {
    const auto name = ParseProductName(table);
    request.calibration.push_back({table.filename().string(), name ? name->timestamp : ""});
  }
  if (!request.telescope.earth_orientation_file.empty()) {
    request.orientation = convert::EarthOrientationTable::Load(request.telescope.earth_orientation_file);
  }
  for (const fs::path& folder : {job.image_prefix.parent_path(), job.qa_prefix.parent_path()}) {
    if (fs::is_directory(folder)) SweepUnfinished(folder, OsOr(context.os));  // of attempts that were killed
  }
  const image::ImageReport report = image::RunImage(*state.block, request, context);

  std::vector<fs::path> parents = {job.measurement_set};
  parents.insert(parents.end(), state.report.applied.begin(), state.report.applied.end());
  std::vector<JobProduct> products(report.products.size());
  ParallelFor(context.threads, products.size(), [&](std::size_t i) {
    const auto& [kind, path] = report.products[i];
    products[i] = {kind, path, ProductBytes(path), ProductChecksum(path), parents};
  });
  fs::path restored;
  for (const JobProduct& product : products) {
    if (product.kind == ProductKind::kImage) restored = product.path;
  }
  for (JobProduct& product : products) {
    if (!IsImage(product.kind) && !restored.empty()) product.parents = {restored};
    state.report.products.push_back(std::move(product));
  }
  state.report.quality = image::ToJson(report);
  const image::ImageTimings& t = report.timings;
  figures = {{"prepare_s", t.prepare_s},
             {"dirty_s", t.dirty_s},
             {"clean_s", t.clean_s},
             {"major_s", t.major_s},
             {"products_s", t.products_s},
             {"quality_s", t.quality_s},
             {"rms_jy", report.quality.rms_jy},
             {"rms_over_thermal", report.quality.rms_over_thermal},
             {"peak_jy", report.quality.peak_jy},
             {"dynamic_range", report.quality.dynamic_range},
             {"grade", report.quality.grade},
             {"components", report.clean.iterations},
             {"model_flux_jy", report.model_flux_jy}};
}

}  // namespace

const std::vector<Stage>& Stages() {
  static const std::vector<Stage> stages = {{"convert", true, RunConvert},
                                            {"flag", true, RunFlag},
                                            {"solve", false, RunSolve},
                                            {"apply", true, RunApply},
                                            {"image", false, RunImageStage}};
  return stages;
}

const Stage& FindStage(std::string_view name) {
  const auto& stages = Stages();
  const auto at = std::find_if(stages.begin(), stages.end(), [&](const Stage& s) { return s.name == name; });
  if (at == stages.end()) {
    throw Error(ErrorKind::kBadInput, "worker", std::string(name), "is no stage that this program knows");
  }
  return *at;
}

void StartWriting(const Job& job, const RunContext& context, JobState& state) {
  if (state.taken || !state.block) return;
  if (!state.product && state.changed) {
    state.product = std::make_unique<TileProduct>(job, false, convert::ConvertReport{}, context);
  }
  if (state.product) state.product->Start(*state.block, state.history);
}

void FinishWriting(const Job& job, JobState& state, json& figures) {
  JobProduct product{MeasurementSetKind(job.measurement_set), job.measurement_set, 0, "", job.inputs};
  if (state.product && state.product->started()) {
    state.product->Finish();
    const convert::ConvertReport& report = state.product->report();
    figures = {{"rows", report.n_rows},        {"output_bytes", state.product->bytes()},
               {"write_s", report.write_s},    {"publish_s", report.publish_s},
               {"verify_s", report.verify_s},  {"checksum_s", state.product->checksum_s()},
               {"staged_in", report.staged_in}};
    state.report.warnings.insert(state.report.warnings.end(), report.warnings.begin(), report.warnings.end());
    product.bytes = state.product->bytes();
    product.checksum = state.product->checksum();
  } else {
    if (!fs::exists(job.measurement_set)) return;
    figures["taken"] = true;
    product.bytes = ProductBytes(job.measurement_set);
    product.checksum = ProductChecksum(job.measurement_set);
  }
  // Before what was made from it.
  auto& products = state.report.products;
  const auto at = std::find_if(products.begin(), products.end(), [](const JobProduct& p) { return p.kind != ProductKind::kUvh5; });
  products.insert(at, std::move(product));
}

}  // namespace contimg::ops
