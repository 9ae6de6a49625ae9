#include "ops/job/job.h"

#include <fmt/format.h>

#include <iterator>
#include <tuple>

#include "ops/base/json_fields.h"
#include "ops/job/job_id.h"

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

using Paths = std::vector<std::filesystem::path>;

json PathsJson(const Paths& paths) {
  json value = json::array();
  for (const auto& path : paths) value.push_back(path.string());
  return value;
}

Paths ParsePaths(const json& value) {
  Paths paths;
  for (const json& each : value) paths.emplace_back(each.get<std::string>());
  return paths;
}

json TableJson(const JobTable& table) {
  return {{"id", table.id}, {"kind", table.kind}, {"path", table.path.string()}, {"checksum", table.checksum}};
}

JobTable ParseTable(const json& value) {
  return {value.value("id", std::int64_t{0}), value.at("kind"), value.at("path").get<std::string>(),
          value.value("checksum", std::string())};
}

json TablesJson(const std::vector<JobTable>& tables) {
  json value = json::array();
  for (const JobTable& table : tables) value.push_back(TableJson(table));
  return value;
}

std::vector<JobTable> ParseTables(const json& value) {
  std::vector<JobTable> tables;
  for (const json& each : value) tables.push_back(ParseTable(each));
  return tables;
}

json SolveJson(const JobSolve& solve) {
  return {{"kinds", solve.kinds},
          {"model", solve.model},
          {"prefix", solve.prefix.string()},
          {"interval", solve.interval},
          {"apply", TablesJson(solve.apply)},
          {"anchor", solve.anchor ? TableJson(*solve.anchor) : json()},
          {"previous", TablesJson(solve.previous)},
          {"reference_antennas", solve.reference_antennas}};
}

JobSolve ParseSolve(const json& value) {
  JobSolve solve;
  solve.kinds = value.at("kinds").get<std::vector<std::string>>();
  solve.model = value.at("model");
  solve.prefix = value.at("prefix").get<std::string>();
  solve.interval = value.at("interval");
  solve.apply = ParseTables(value.at("apply"));
  if (!value.at("anchor").is_null()) solve.anchor = ParseTable(value.at("anchor"));
  solve.previous = ParseTables(value.at("previous"));
  solve.reference_antennas = value.at("reference_antennas").get<std::vector<std::string>>();
  return solve;
}

constexpr std::tuple kCalibrationFields{JsonField{"kind", &JobCalibration::kind},
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
                                        JsonField{"figures", &JobCalibration::figures}};
constexpr std::tuple kTableFactsFields{
    JsonField{"kind", &TableFacts::kind},        JsonField{"mid_mjd", &TableFacts::mid_mjd},
    JsonField{"field", &TableFacts::field},      JsonField{"reference_antenna", &TableFacts::reference_antenna},
    JsonField{"quality", &TableFacts::quality},  JsonField{"flag_fractions", &TableFacts::flag_fractions},
    JsonField{"checksum", &TableFacts::checksum}};
constexpr std::tuple kStageFields{JsonField{"name", &StageReport::name}, JsonField{"seconds", &StageReport::seconds},
                                  JsonField{"cpu_s", &StageReport::cpu_s},
                                  JsonField{"peak_memory_bytes", &StageReport::peak_memory_bytes},
                                  JsonField{"figures", &StageReport::figures}};
constexpr std::tuple kObservationFields{
    JsonField{"start_mjd", &JobObservation::start_mjd}, JsonField{"end_mjd", &JobObservation::end_mjd},
    JsonField{"ra_deg", &JobObservation::ra_deg}, JsonField{"dec_deg", &JobObservation::dec_deg}};

template <typename Record, typename Fields>
json RecordsJson(const std::vector<Record>& records, const Fields& fields) {
  json value = json::array();
  for (const Record& record : records) value.push_back(FieldsToJson(record, fields));
  return value;
}

template <typename Record, typename Fields>
std::vector<Record> ParseRecords(const json& value, const Fields& fields) {
  std::vector<Record> records;
  for (const json& each : value) records.push_back(FieldsFromJson<Record>(each, fields));
  return records;
}

json CalibrationJson(const std::vector<JobCalibration>& calibration) {
  json value = RecordsJson(calibration, kCalibrationFields);
  for (std::size_t i = 0; i < calibration.size(); ++i) {
    if (!calibration[i].table.kind.empty()) value[i]["table"] = FieldsToJson(calibration[i].table, kTableFactsFields);
  }
  return value;
}

// Reports of earlier versions say nothing of the table itself.
std::vector<JobCalibration> ParseCalibration(const json& value) {
  auto calibration = ParseRecords<JobCalibration>(value, kCalibrationFields);
  for (std::size_t i = 0; i < calibration.size(); ++i) {
    if (!value[i].contains("table")) continue;
    calibration[i].table = FieldsFromJson<TableFacts>(value[i].at("table"), kTableFactsFields);
  }
  return calibration;
}

}  // namespace

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
      if (!WithdrawnBecause(section).empty()) continue;  // jobs of earlier versions carry it; it never did anything
      for (const auto& [name, text] : fields.items()) {
        const SettingInfo* info = FindSetting(section + "." + name);
        if (info == nullptr) {
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
  return {{"version", kJobVersion},
          {"job", JobId::OfGroup(job.group).text()},
          {"group", job.group},
          {"attempt", job.attempt},
          {"stages", job.stages},
          {"inputs", PathsJson(job.inputs)},
          {"expected_subbands", job.expected_subbands},
          {"threads", job.threads},
          {"memory_bytes", job.memory_bytes},
          {"measurement_set", job.measurement_set.string()},
          {"staging_root", job.staging_root.string()},
          {"fallback_root", job.fallback_root.string()},
          {"take_existing", job.take_existing},
          {"replace_existing", job.replace_existing},
          {"tables", TablesJson(job.tables)},
          {"solve", job.solve ? SolveJson(*job.solve) : json()},
          {"sky_model", job.sky_model.string()},
          {"trees", {{"identity", job.trees.identity}, {"roots", PathsJson(job.trees.roots)}}},
          {"image_prefix", job.image_prefix.string()},
          {"qa_prefix", job.qa_prefix.string()},
          {"settings", SettingsJson(job.settings)}};
}

Job ParseJob(const json& value, const std::string& subject) {
  return Guard(subject, [&] {
    CheckVersion(value, subject);
    Job job;
    job.group = value.at("group");
    job.attempt = value.at("attempt");
    job.stages = value.at("stages").get<std::vector<std::string>>();
    job.inputs = ParsePaths(value.at("inputs"));
    job.expected_subbands = value.at("expected_subbands");
    job.threads = value.at("threads");
    job.memory_bytes = value.value("memory_bytes", std::uint64_t{0});  // jobs of before have none
    job.measurement_set = value.at("measurement_set").get<std::string>();
    job.staging_root = value.at("staging_root").get<std::string>();
    job.fallback_root = value.at("fallback_root").get<std::string>();
    job.take_existing = value.at("take_existing");
    job.replace_existing = value.at("replace_existing");
    job.tables = ParseTables(value.at("tables"));
    if (!value.at("solve").is_null()) job.solve = ParseSolve(value.at("solve"));
    job.sky_model = value.at("sky_model").get<std::string>();
    if (const auto trees = value.find("trees"); trees != value.end()) {  // jobs of before have none
      job.trees.identity = trees->at("identity");
      job.trees.roots = ParsePaths(trees->at("roots"));
    }
    job.image_prefix = value.at("image_prefix").get<std::string>();
    job.qa_prefix = value.at("qa_prefix").get<std::string>();
    job.settings = ParseSettings(value.at("settings"), subject);
    return job;
  });
}

json ToJson(const JobReport& report) {
  json products = json::array();
  for (const JobProduct& product : report.products) {
    products.push_back({{"kind", ToString(product.kind)},
                        {"path", product.path.string()},
                        {"bytes", product.bytes},
                        {"checksum", product.checksum},
                        {"parents", PathsJson(product.parents)}});
  }
  json value = {{"version", kJobVersion},
                {"job", report.job},
                {"group", report.group},
                {"attempt", report.attempt},
                {"ok", report.ok},
                {"started_at", report.started_at},
                {"finished_at", report.finished_at},
                {"program_version", report.program_version},
                {"host", report.host},
                {"settings_hash", report.settings_hash},
                {"instruction_set", report.instruction_set},
                {"observation", report.observation ? FieldsToJson(*report.observation, kObservationFields) : json()},
                {"stages", RecordsJson(report.stages, kStageFields)},
                {"products", products},
                {"calibration", CalibrationJson(report.calibration)},
                {"applied", PathsJson(report.applied)},
                {"quality", report.quality},
                {"warnings", report.warnings},
                {"next_state", report.next_state}};
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
    JobReport report;
    report.group = value.at("group");
    report.job = value.value("job", JobId::OfGroup(report.group).text());  // reports of before have none
    report.attempt = value.at("attempt");
    report.ok = value.at("ok");
    report.started_at = value.at("started_at");
    report.finished_at = value.at("finished_at");
    report.program_version = value.at("program_version");
    report.host = value.at("host");
    report.settings_hash = value.at("settings_hash");
    report.instruction_set = value.at("instruction_set");
    if (const json& o = value.at("observation"); !o.is_null()) {
      report.observation = FieldsFromJson<JobObservation>(o, kObservationFields);
    }
    report.stages = ParseRecords<StageReport>(value.at("stages"), kStageFields);
    for (const json& product : value.at("products")) {
      report.products.push_back({ParseProductKind(product.at("kind").get<std::string>()),
                                 product.at("path").get<std::string>(), product.at("bytes"), product.at("checksum"),
                                 ParsePaths(product.at("parents"))});
    }
    report.calibration = ParseCalibration(value.at("calibration"));
    report.applied = ParsePaths(value.at("applied"));
    report.quality = value.at("quality");
    report.warnings = value.at("warnings").get<std::vector<std::string>>();
    report.next_state = value.at("next_state");
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
