#include "ops/job/job.h"

#include <fmt/format.h>

#include <iterator>
#include <tuple>

#include "ops/base/json_fields.h"
#include "ops/job/job_id.h"

namespace nlohmann {

template <>
struct adl_serializer<contimg::ProductKind> {
  static void to_json(json& value, contimg::ProductKind kind) { value = contimg::ToString(kind); }
  static void from_json(const json& value, contimg::ProductKind& kind) {
    kind = contimg::ParseProductKind(value.get<std::string>());
  }
};

}  // namespace nlohmann

namespace contimg::ops {
namespace {

using nlohmann::json;
constexpr int kJobVersion = 2;

template <typename Function>
auto Guard(const std::string& subject, const Function& parse) {
  try {
    return parse();
  } catch (const json::exception& error) {
    throw Error(ErrorKind::kBadInput, "job", subject, error.what());
  }
}

void CheckVersion(const json& value, const std::string& subject) {
  const int version = value.at("version").get<int>();
  if (version != kJobVersion) {
    throw Error(ErrorKind::kBadInput, "job", subject,
                fmt::format("expected version {} of the format and found {}", kJobVersion, version));
  }
}

}  // namespace

template <>
inline constexpr auto kJsonFields<JobTable> =
    std::tuple{JsonField{"id", &JobTable::id, JsonPresence::kMayLack}, JsonField{"kind", &JobTable::kind},
               JsonField{"path", &JobTable::path}, JsonField{"checksum", &JobTable::checksum, JsonPresence::kMayLack}};
template <>
inline constexpr auto kJsonFields<JobSolve> = std::tuple{
    JsonField{"kinds", &JobSolve::kinds},       JsonField{"model", &JobSolve::model},
    JsonField{"prefix", &JobSolve::prefix},     JsonField{"interval", &JobSolve::interval},
    JsonField{"apply", &JobSolve::apply},       JsonField{"anchor", &JobSolve::anchor},
    JsonField{"previous", &JobSolve::previous}, JsonField{"reference_antennas", &JobSolve::reference_antennas}};
template <>
inline constexpr auto kJsonFields<ExpectedTrees> =
    std::tuple{JsonField{"identity", &ExpectedTrees::identity}, JsonField{"roots", &ExpectedTrees::roots}};
template <>
inline constexpr auto kJsonFields<JobPlace> =
    std::tuple{JsonField{"source_id", &JobPlace::source_id, JsonPresence::kMayLack},
               JsonField{"name", &JobPlace::name},
               JsonField{"ra_deg", &JobPlace::ra_deg},
               JsonField{"dec_deg", &JobPlace::dec_deg},
               JsonField{"flux_jy", &JobPlace::flux_jy},
               JsonField{"spectral_index", &JobPlace::spectral_index},
               JsonField{"flags", &JobPlace::flags, JsonPresence::kMayLack}};
template <>
inline constexpr auto kJsonFields<Job> =
    std::tuple{JsonField{"group", &Job::group},
               JsonField{"attempt", &Job::attempt},
               JsonField{"stages", &Job::stages},
               JsonField{"inputs", &Job::inputs},
               JsonField{"expected_subbands", &Job::expected_subbands},
               JsonField{"threads", &Job::threads},
               JsonField{"memory_bytes", &Job::memory_bytes, JsonPresence::kMayLack},
               JsonField{"measurement_set", &Job::measurement_set},
               JsonField{"staging_root", &Job::staging_root},
               JsonField{"fallback_root", &Job::fallback_root},
               JsonField{"take_existing", &Job::take_existing},
               JsonField{"replace_existing", &Job::replace_existing},
               JsonField{"tables", &Job::tables},
               JsonField{"solve", &Job::solve},
               JsonField{"sky_model", &Job::sky_model},
               JsonField{"trees", &Job::trees, JsonPresence::kMayLack},
               JsonField{"places", &Job::places, JsonPresence::kMayLack},
               JsonField{"tile_flags", &Job::tile_flags, JsonPresence::kMayLack},
               JsonField{"image_prefix", &Job::image_prefix},
               JsonField{"qa_prefix", &Job::qa_prefix}};

template <>
inline constexpr auto kJsonFields<TableFacts> = std::tuple{
    JsonField{"kind", &TableFacts::kind},        JsonField{"mid_mjd", &TableFacts::mid_mjd},
    JsonField{"field", &TableFacts::field},      JsonField{"reference_antenna", &TableFacts::reference_antenna},
    JsonField{"quality", &TableFacts::quality},  JsonField{"flag_fractions", &TableFacts::flag_fractions},
    JsonField{"checksum", &TableFacts::checksum}};
template <>
inline constexpr auto kJsonFields<JobCalibration> =
    std::tuple{JsonField{"kind", &JobCalibration::kind},
               JsonField{"path", &JobCalibration::path},
               JsonField{"interval", &JobCalibration::interval},
               JsonField{"model", &JobCalibration::model},
               JsonField{"reference_antenna", &JobCalibration::reference_antenna},
               JsonField{"accepted", &JobCalibration::accepted},
               JsonField{"failures", &JobCalibration::failures},
               JsonField{"reduced_chi_square", &JobCalibration::reduced_chi_square},
               JsonField{"residual_fraction", &JobCalibration::residual_fraction},
               JsonField{"antennas_with_data", &JobCalibration::antennas_with_data},
               JsonField{"scale_change", &JobCalibration::scale_change},
               JsonField{"figures", &JobCalibration::figures},
               JsonField{"table", &JobCalibration::table, JsonPresence::kMayLack}};
template <>
inline constexpr auto kJsonFields<StageReport> =
    std::tuple{JsonField{"name", &StageReport::name}, JsonField{"seconds", &StageReport::seconds},
               JsonField{"cpu_s", &StageReport::cpu_s}, JsonField{"peak_memory_bytes", &StageReport::peak_memory_bytes},
               JsonField{"figures", &StageReport::figures}};
template <>
inline constexpr auto kJsonFields<JobObservation> =
    std::tuple{JsonField{"start_mjd", &JobObservation::start_mjd}, JsonField{"end_mjd", &JobObservation::end_mjd},
               JsonField{"ra_deg", &JobObservation::ra_deg}, JsonField{"dec_deg", &JobObservation::dec_deg}};
template <>
inline constexpr auto kJsonFields<JobProduct> = std::tuple{
    JsonField{"kind", &JobProduct::kind}, JsonField{"path", &JobProduct::path}, JsonField{"bytes", &JobProduct::bytes},
    JsonField{"checksum", &JobProduct::checksum}, JsonField{"parents", &JobProduct::parents}};
template <>
inline constexpr auto kJsonFields<JobReport> = std::tuple{JsonField{"job", &JobReport::job, JsonPresence::kMayLack},
                                                          JsonField{"group", &JobReport::group},
                                                          JsonField{"attempt", &JobReport::attempt},
                                                          JsonField{"ok", &JobReport::ok},
                                                          JsonField{"started_at", &JobReport::started_at},
                                                          JsonField{"finished_at", &JobReport::finished_at},
                                                          JsonField{"program_version", &JobReport::program_version},
                                                          JsonField{"host", &JobReport::host},
                                                          JsonField{"settings_hash", &JobReport::settings_hash},
                                                          JsonField{"instruction_set", &JobReport::instruction_set},
                                                          JsonField{"observation", &JobReport::observation},
                                                          JsonField{"stages", &JobReport::stages},
                                                          JsonField{"products", &JobReport::products},
                                                          JsonField{"calibration", &JobReport::calibration},
                                                          JsonField{"applied", &JobReport::applied},
                                                          JsonField{"quality", &JobReport::quality},
                                                          JsonField{"warnings", &JobReport::warnings},
                                                          JsonField{"next_state", &JobReport::next_state}};

// The section "paths" stays out: a worker's paths are in the job itself.
json SettingsJson(const Settings& settings) {
  json value = json::object();
  for (const SettingInfo& info : AllSettings()) {
    if (info.section == "paths") continue;
    value[std::string(info.section)][std::string(info.name)] = ToText(settings, info);
  }
  return value;
}

Settings ParseSettings(const json& value, const std::string& subject) {
  Settings settings;
  return Guard(subject, [&] {
    for (const auto& [section, fields] : value.items()) {
      for (const auto& [name, text] : fields.items()) {
        const SettingInfo* info = FindSetting(section + "." + name);
        if (info == nullptr) {
          if (section == "mosaic") continue;  // jobs of earlier versions carry some that never did anything
          throw Error(ErrorKind::kBadInput, "job", subject,
                      fmt::format("holds the setting '{}.{}', which this program does not know", section, name));
        }
        SetFromText(settings, *info, text.is_string() ? text.get<std::string>() : text.dump(), subject);
      }
    }
    return settings;
  });
}

json ToJson(const Job& job) {
  json value = RecordToJson(job);
  value["version"] = kJobVersion;
  value["job"] = JobId::OfGroup(job.group).text();
  value["settings"] = SettingsJson(job.settings);
  return value;
}

Job ParseJob(const json& value, const std::string& subject) {
  return Guard(subject, [&] {
    CheckVersion(value, subject);
    Job job = RecordFromJson<Job>(value);
    job.settings = ParseSettings(value.at("settings"), subject);
    return job;
  });
}

json ToJson(const JobReport& report) {
  json value = RecordToJson(report);
  value["version"] = kJobVersion;
  if (report.error_kind) {
    value["error"] = {{"kind", ToString(*report.error_kind)},
                      {"stage", report.error_stage},
                      {"subject", report.error_subject},
                      {"message", report.error_message}};
  }
  return value;
}

JobReport ParseJobReport(const json& value, const std::string& subject) {
  return Guard(subject, [&] {
    CheckVersion(value, subject);
    JobReport report = RecordFromJson<JobReport>(value);
    if (!value.contains("job")) report.job = JobId::OfGroup(report.group).text();
    if (value.contains("error")) {
      const json& error = value.at("error");
      report.error_kind = ParseErrorKind(error.at("kind").get<std::string>());
      report.error_stage = error.at("stage");
      report.error_subject = error.at("subject");
      report.error_message = error.at("message");
    }
    return report;
  });
}

json ReadJsonFile(const std::filesystem::path& path, Os& os) {
  const std::string text = os.ReadFile(path);
  return Guard(path.string(), [&] { return json::parse(text); });
}

std::filesystem::path JobFile(const std::filesystem::path& folder) { return folder / "job.json"; }
std::filesystem::path ReportFile(const std::filesystem::path& folder) { return folder / "report.json"; }
std::filesystem::path OutputFile(const std::filesystem::path& folder) { return folder / "output.log"; }

std::string FormatProgressLine(const ProgressLine& line) {
  json value = {{"stage", line.stage}};
  switch (line.kind) {
    case ProgressLine::Kind::kProgress:
      value["fraction"] = line.fraction;
      break;
    case ProgressLine::Kind::kWarning:
      value["warning"] = line.message;
      break;
    case ProgressLine::Kind::kInfo:
      value["info"] = line.message;
      break;
  }
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::optional<ProgressLine> ParseProgressLine(const std::string& text) {
  const json value = json::parse(text, nullptr, false);
  if (!value.is_object() || !value.contains("stage") || !value["stage"].is_string()) return std::nullopt;
  ProgressLine line;
  line.stage = value["stage"];
  if (value.contains("fraction") && value["fraction"].is_number()) {
    line.fraction = value["fraction"];
  } else if (value.contains("warning") && value["warning"].is_string()) {
    line.kind = ProgressLine::Kind::kWarning;
    line.message = value["warning"];
  } else if (value.contains("info") && value["info"].is_string()) {
    line.kind = ProgressLine::Kind::kInfo;
    line.message = value["info"];
  } else {
    return std::nullopt;
  }
  return line;
}

}  // namespace contimg::ops
