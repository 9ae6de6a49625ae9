#include "ops/worker/stages.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "calibrate/flag_tile.h"
#include "config/os.h"
#include "config/parallel.h"
#include "config/product_paths.h"
#include "config/time.h"
#include "config/unfinished.h"
#include "config/units.h"
#include "convert/convert_stage.h"
#include "convert/measurement_set_reader.h"
#include "convert/staging.h"
#include "image/image_stage.h"
#include "ops/base/checksum.h"
#include "ops/base/version.h"
#include "ops/job/sky_figures.h"
#include "ops/worker/calibration_stages.h"
#include "ops/worker/measure_tile.h"
#include "ops/worker/refine_tile.h"
#include "ops/worker/solved_names.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kFlagged = "flagged: ";  // beginning of a HISTORY line that later jobs look for

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
  if (Exists(job.measurement_set, OsOr(context.os)) && !job.replace_existing) {
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
             {"absurd_weights", report.read.absurd_weights},
             {"flagged_in_file", report.read.flagged_in_file},
             {"samples", report.read.samples},
             {"ra_rad", report.centre.ra_rad},
             {"dec_rad", report.centre.dec_rad},
             {"start_mjd_s", report.start_mjd_s},
             {"end_mjd_s", report.end_mjd_s},
             {"read_s", report.read_s}};
  state.report.warnings.insert(state.report.warnings.end(), report.warnings.begin(), report.warnings.end());
  state.block = std::move(tile.block);
  Observe(*state.block, state);
  for (const fs::path& input : job.inputs) {
    state.report.products.push_back({ProductKind::kUvh5, input, ProductBytes(input), "", {}});
  }
  // A message about staging must not appear twice.
  tile.report.warnings.clear();
  state.product = std::make_unique<TileProduct>(job, true, std::move(tile.report), context);
  state.product->KeepData(*state.block);
}

}  // namespace

void NeedTile(const Job& job, const RunContext& context, JobState& state) {
  if (state.block) return;
  HoldSet(job, context, state);
  const convert::MeasurementSetInfo info = convert::DescribeMeasurementSet(job.measurement_set);
  state.same_calibration = info.has_corrected && !Has(job, "flag") && !Has(job, "solve") && !job.tables.empty() &&
                           AnyBeginsWith(info.history, CalibrationSignature(job, job.tables));
  // Without the stage apply what is imaged is the best there is.
  const bool wants_corrected = state.same_calibration || (info.has_corrected && job.stages.front() == "image");
  state.block =
      convert::ReadMeasurementSet(job.measurement_set, {wants_corrected ? "CORRECTED_DATA" : "DATA", -1, {}}, context);
  state.block->group_id = job.group;
  if (Has(job, "apply") && !state.same_calibration) {
    state.earlier_apply = calibrate::TakeBackEarlierApply(*state.block, job.measurement_set, info, context);
  }
  for (const std::string& line : info.history) {
    const bool flagging = line.rfind(kFlagged, 0) == 0 || !calibrate::NamesWithoutSky({line}).empty();
    if (flagging) state.earlier_history.push_back(line);
  }
  Observe(*state.block, state);
}

namespace {

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
  request.orientation = convert::EarthOrientationTable::LoadIfSet(request.telescope.earth_orientation_file);
  for (const fs::path& folder : {job.image_prefix.parent_path(), job.qa_prefix.parent_path()}) {
    SweepUnfinished(folder, OsOr(context.os));  // of attempts that were killed
  }
  if (Has(job, "measure")) request.keep = &state.images.emplace();
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
  if (const auto& found = report.quality.catalogue; found && !found->matches.empty()) {
    figures["flux_ratio"] = found->flux_ratio_median;
    figures["offset_arcsec"] = Angle::Radians(found->offset_median_rad).arcsec();
  }
}

}  // namespace

const std::vector<Stage>& Stages() {
  static const std::vector<Stage> stages = {{"convert", true, RunConvert}, {"flag", true, RunFlag},
                                            {"solve", false, RunSolve},    {"apply", true, RunApply},
                                            {"refine", true, RunRefine},   {"image", false, RunImageStage},
                                            {"measure", false, RunMeasure}};
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

namespace {

// A name is a convenience: without it, the set is in its place all the same.
void NameWhatWasSolved(const Job& job, const RunContext& context, JobState& state) {
  const auto& solves = state.report.calibration;
  const bool accepted =
      std::any_of(solves.begin(), solves.end(), [](const JobCalibration& each) { return each.accepted; });
  if (!job.solve || !state.block || !accepted) return;
  const double dec_deg = Angle::Radians(state.block->phase_centre.dec_rad).deg();
  try {
    NameSolvedSet({job.measurement_set, job.solve->prefix, job.solve->model, dec_deg}, OsOr(context.os));
  } catch (const Error& error) {
    state.report.warnings.emplace_back(error.what());
    context.reporter->Warn("solve", error.what());
  }
}

}  // namespace

void FinishWriting(const Job& job, const RunContext& context, JobState& state, json& figures) {
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
    if (!Exists(job.measurement_set)) return;
    figures["taken"] = true;
    product.bytes = ProductBytes(job.measurement_set);
    product.checksum = ProductChecksum(job.measurement_set);
  }
  // Before what was made from it.
  auto& products = state.report.products;
  const auto at =
      std::find_if(products.begin(), products.end(), [](const JobProduct& p) { return p.kind != ProductKind::kUvh5; });
  products.insert(at, std::move(product));
  NameWhatWasSolved(job, context, state);
}

}  // namespace contimg::ops
