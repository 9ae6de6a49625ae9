#include "ops/runner/job.h"

#include <fmt/format.h>

#include <cerrno>
#include <fstream>
#include <iterator>

namespace contimg::ops {
namespace {

using nlohmann::json;
constexpr int kVersion = 1;

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
  if (version != kVersion) {
    throw Error(ErrorKind::kBadInput, "job", subject,
                fmt::format("expected version {} of the format and found {}", kVersion, version));
  }
}

}  // namespace

json ToJson(const Job& job) {
  json inputs = json::array();
  for (const auto& input : job.inputs) inputs.push_back(input.string());
  return {{"version", kVersion},
          {"group", job.group},
          {"attempt", job.attempt},
          {"stages", job.stages},
          {"inputs", inputs},
          {"expected_subbands", job.expected_subbands},
          {"threads", job.threads},
          {"measurement_set", job.measurement_set.string()},
          {"staging_root", job.staging_root.string()},
          {"fallback_root", job.fallback_root.string()},
          {"take_existing", job.take_existing},
          {"replace_existing", job.replace_existing},
          {"settings", job.settings}};
}

Job ParseJob(const json& value, const std::string& subject) {
  return Guard(subject, [&] {
    CheckVersion(value, subject);
    Job job;
    job.group = value.at("group");
    job.attempt = value.at("attempt");
    job.stages = value.at("stages").get<std::vector<std::string>>();
    for (const json& input : value.at("inputs")) job.inputs.emplace_back(input.get<std::string>());
    job.expected_subbands = value.at("expected_subbands");
    job.threads = value.at("threads");
    job.measurement_set = value.at("measurement_set").get<std::string>();
    job.staging_root = value.at("staging_root").get<std::string>();
    job.fallback_root = value.at("fallback_root").get<std::string>();
    job.take_existing = value.at("take_existing");
    job.replace_existing = value.at("replace_existing");
    job.settings = value.at("settings");
    return job;
  });
}

json ToJson(const JobReport& report) {
  json stages = json::array();
  for (const StageReport& stage : report.stages) {
    stages.push_back({{"name", stage.name}, {"seconds", stage.seconds}, {"figures", stage.figures}});
  }
  json products = json::array();
  for (const JobProduct& product : report.products) {
    products.push_back({{"kind", product.kind}, {"path", product.path.string()}, {"bytes", product.bytes}});
  }
  json value = {
      {"version", kVersion}, {"group", report.group}, {"attempt", report.attempt},   {"ok", report.ok},
      {"stages", stages},    {"products", products},  {"warnings", report.warnings}, {"next_state", report.next_state}};
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
    report.attempt = value.at("attempt");
    report.ok = value.at("ok");
    for (const json& stage : value.at("stages")) {
      report.stages.push_back({stage.at("name"), stage.at("seconds"), stage.at("figures")});
    }
    for (const json& product : value.at("products")) {
      report.products.push_back({product.at("kind"), product.at("path").get<std::string>(), product.at("bytes")});
    }
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

json ReadJsonFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw SystemError("job", path.string(), "cannot open", errno);
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
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
