#include "ops/runner/stages.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "config/os.h"
#include "convert/convert_stage.h"
#include "convert/measurement_set_reader.h"
#include "ops/version.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;

convert::ConvertOptions MakeConvertOptions(const Job& job) {
  convert::ConvertOptions options;
  options.output = job.measurement_set;
  options.staging_root = job.staging_root;
  options.fallback_root = job.fallback_root;
  options.expected_subbands = job.expected_subbands;
  options.durable = job.settings.convert.durable;
  options.earth_orientation_file = job.settings.telescope.earth_orientation_file;
  options.verify = job.settings.convert.verify;
  options.program = std::string("contimg ") + kVersion;
  options.settings = "hash " + SettingsHash(job.settings);
  return options;
}

// A Measurement Set under the job's own name, left by an attempt that was killed between its publication and its
// report. Publication is one rename, so it is whole; that it is this group's is checked.
void CheckExisting(const Job& job, const convert::MeasurementSetInfo& info) {
  if (info.windows.size() != job.inputs.size() || info.n_rows == 0) {
    throw Error(
        ErrorKind::kUsage, "convert", job.measurement_set.string(),
        fmt::format("exists already and is not of this group: expected {} spectral windows, found {} in {} rows",
                    job.inputs.size(), info.windows.size(), info.n_rows));
  }
}

std::uint64_t TreeBytes(const fs::path& path) {
  std::uint64_t bytes = 0;
  for (const auto& entry : fs::recursive_directory_iterator(path)) {
    if (entry.is_regular_file()) bytes += entry.file_size();
  }
  return bytes;
}

void RunConvert(const Job& job, const RunContext& context, JobState& state, nlohmann::json& figures) {
  Os& os = OsOr(context.os);
  const bool exists = fs::exists(job.measurement_set);
  if (exists && job.take_existing && !job.replace_existing) {
    CheckExisting(job, convert::DescribeMeasurementSet(job.measurement_set));
    if (job.stages.size() > 1) state.block = convert::ReadMeasurementSet(job.measurement_set, {}, context);
    figures["taken"] = true;
    state.report.products.push_back(
        {"science_ms", job.measurement_set, TreeBytes(job.measurement_set), "", job.inputs});
    return;
  }

  convert::ConvertOptions options = MakeConvertOptions(job);
  if (exists && job.replace_existing) {  // made beside it, then swapped
    options.output = UnfinishedSibling(job.measurement_set);
    os.RemoveAll(options.output);
  }
  convert::ConvertResult result = convert::ConvertGroup(job.inputs, options, context);
  if (options.output != job.measurement_set) {
    os.Exchange(options.output, job.measurement_set);
    os.SyncDirectory(job.measurement_set.parent_path());
    os.RemoveAll(options.output);
  }

  const convert::ConvertReport& report = result.report;
  figures = {{"rows", report.n_rows},
             {"input_bytes", report.input_bytes},
             {"output_bytes", report.output_bytes},
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
             {"phase_s", report.phase_s},
             {"write_s", report.write_s},
             {"publish_s", report.publish_s},
             {"verify_s", report.verify_s},
             {"staged_in", report.staged_in}};
  state.report.warnings.insert(state.report.warnings.end(), report.warnings.begin(), report.warnings.end());
  state.report.products.push_back({"science_ms", job.measurement_set, report.output_bytes, "", job.inputs});
  state.block = std::move(result.block);
}

}  // namespace

const std::vector<Stage>& Stages() {
  static const std::vector<Stage> stages = {{"convert", RunConvert}};
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

}  // namespace contimg::ops
