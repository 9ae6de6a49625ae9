#include "ops/records/health_findings.h"

#include <algorithm>
#include <array>
#include <utility>

#include "config/time.h"

namespace contimg::ops {
namespace {

using nlohmann::ordered_json;

struct CodeWord {
  HealthCode code;
  const char* word;
};
constexpr std::array<CodeWord, 34> kCodes{{
    {HealthCode::kTreeMissing, "tree_missing"},
    {HealthCode::kTreeForeign, "tree_foreign"},
    {HealthCode::kTreeReadOnly, "tree_read_only"},
    {HealthCode::kDiskFull, "disk_full"},
    {HealthCode::kStagingFull, "staging_full"},
    {HealthCode::kStateFull, "state_full"},
    {HealthCode::kDiskWillFill, "disk_will_fill"},
    {HealthCode::kDatabaseDamaged, "database_damaged"},
    {HealthCode::kDatabaseBusy, "database_busy"},
    {HealthCode::kCopiesLost, "copies_lost"},
    {HealthCode::kIntegrityDamaged, "integrity_damaged"},
    {HealthCode::kIncomingMissing, "incoming_missing"},
    {HealthCode::kNamesUnknown, "names_unknown"},
    {HealthCode::kFilesQuarantined, "files_quarantined"},
    {HealthCode::kFilesUnreadable, "files_unreadable"},
    {HealthCode::kGroupsFailing, "groups_failing"},
    {HealthCode::kGroupsDead, "groups_dead"},
    {HealthCode::kGroupsHeld, "groups_held"},
    {HealthCode::kTasksFailing, "tasks_failing"},
    {HealthCode::kArchiveBehind, "archive_behind"},
    {HealthCode::kBackupBehind, "backup_behind"},
    {HealthCode::kWorkersKilled, "workers_killed"},
    {HealthCode::kCalibrationDamaged, "calibration_damaged"},
    {HealthCode::kCalibrationMissing, "calibration_missing"},
    {HealthCode::kCalibrationFailed, "calibration_failed"},
    {HealthCode::kCalibrationExpiring, "calibration_expiring"},
    {HealthCode::kAntennasWithoutSky, "antennas_without_sky"},
    {HealthCode::kBehindSky, "behind_sky"},
    {HealthCode::kNoData, "no_data"},
    {HealthCode::kProductsMissing, "products_missing"},
    {HealthCode::kProductsUnknown, "products_unknown"},
    {HealthCode::kClockStepped, "clock_stepped"},
    {HealthCode::kLoopFailing, "loop_failing"},
    {HealthCode::kListeningOpenly, "listening_openly"},
}};

}  // namespace

std::string_view ToString(HealthSeverity severity) { return severity == HealthSeverity::kRed ? "red" : "amber"; }

std::string_view ToString(HealthCode code) {
  for (const CodeWord& each : kCodes) {
    if (each.code == code) return each.word;
  }
  return "unknown";
}

const std::vector<HealthCode>& AllHealthCodes() {
  static const std::vector<HealthCode> all = [] {
    std::vector<HealthCode> codes;
    for (const CodeWord& each : kCodes) codes.push_back(each.code);
    return codes;
  }();
  return all;
}

std::vector<HealthMemory::Change> HealthMemory::Remember(std::vector<HealthFinding>& findings, double now) {
  std::vector<Change> changes;
  std::map<HealthCode, HealthFinding> standing;
  for (HealthFinding& finding : findings) {
    const auto before = standing_.find(finding.code);
    if (finding.since == 0) finding.since = before == standing_.end() ? now : before->second.since;
    // Of several findings of one code the first is the worst.
    if (!standing.emplace(finding.code, finding).second) continue;
    if (before == standing_.end() || before->second.severity != finding.severity) changes.push_back({finding, false});
  }
  for (const auto& [code, finding] : standing_) {
    if (standing.count(code) == 0) changes.push_back({finding, true});
  }
  standing_ = std::move(standing);
  return changes;
}

ordered_json ToJson(const std::vector<HealthFinding>& findings) {
  ordered_json all = ordered_json::array();
  for (const HealthFinding& finding : findings) {
    all.push_back({{"severity", ToString(finding.severity)},
                   {"code", ToString(finding.code)},
                   {"sentence", finding.sentence},
                   {"cure", finding.cure},
                   {"since", finding.since > 0 ? ordered_json(UtcTime::FromUnix(finding.since).Iso8601() + "Z")
                                               : ordered_json()}});
  }
  return all;
}

std::vector<HealthFinding> FindingsOf(const ordered_json& status) {
  std::vector<HealthFinding> findings;
  const auto all = status.find("health");
  if (all == status.end() || !all->is_array()) return findings;
  for (const ordered_json& each : *all) {
    try {
      HealthFinding finding;
      const std::string word = each.at("code").get<std::string>();
      const auto code = std::find_if(kCodes.begin(), kCodes.end(), [&](const CodeWord& c) { return word == c.word; });
      if (code == kCodes.end()) continue;
      finding.code = code->code;
      finding.severity =
          each.at("severity").get<std::string>() == "red" ? HealthSeverity::kRed : HealthSeverity::kAmber;
      finding.sentence = each.at("sentence").get<std::string>();
      finding.cure = each.at("cure").get<std::string>();
      if (each.at("since").is_string()) {
        std::string since = each.at("since").get<std::string>();
        if (!since.empty() && since.back() == 'Z') since.pop_back();
        finding.since = UtcTime::FromIso8601(since).unix_s();
      }
      findings.push_back(std::move(finding));
    } catch (const std::exception&) {
      // Of another version: what can be read is shown.
    }
  }
  return findings;
}

}  // namespace contimg::ops
