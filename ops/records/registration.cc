#include "ops/records/registration.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "config/error.h"
#include "config/time.h"
#include "config/units.h"
#include "ops/base/table_checksum.h"

namespace contimg::ops {

namespace {

namespace fs = std::filesystem;
using calibrate::SolutionKind;

}  // namespace

SolutionKind KindOf(const std::string& word) {
  if (const auto kind = calibrate::ParseSolutionKind(word)) return *kind;
  throw Error(ErrorKind::kBadInput, "calibrate", word, "is no kind of calibration table");
}

calibrate::TableRecord RecordOf(const state::CalTableRow& row, TableConditions& conditions) {
  calibrate::TableRecord record;
  record.id = row.id;
  record.kind = KindOf(row.kind);
  record.valid_from_mjd = row.valid_from_mjd;
  record.valid_to_mjd = row.valid_to_mjd;
  record.refant = row.refant;
  record.rests_on = row.rests_on;
  if (row.status == "active") {
    switch (conditions.Of(row)) {
      case TableCondition::kIntact:
        record.status = calibrate::TableStatus::kActive;
        break;
      case TableCondition::kMissing:
        record.status = calibrate::TableStatus::kMissing;
        break;
      case TableCondition::kChanged:
        record.status = calibrate::TableStatus::kChanged;
        break;
    }
  } else if (row.status == "retired") {
    record.status = calibrate::TableStatus::kRetired;
  } else if (row.status == "failed") {
    record.status = calibrate::TableStatus::kFailed;
  } else {
    throw Error(ErrorKind::kBadInput, "calibrate", row.path, "has the unknown status '" + row.status + "'");
  }
  const auto quality = nlohmann::json::parse(row.quality_json, nullptr, false);
  if (quality.is_object()) record.declination_deg = quality.value("declination_deg", 0.0);
  return record;
}

calibrate::ChoiceRule RuleOf(const CalibrateSettings& settings) {
  calibrate::ChoiceRule rule;
  rule.backward_s = settings.backward_s;
  rule.nearest_limit_s = settings.nearest_limit_h * 3600;
  rule.max_declination_offset_deg = settings.max_declination_offset_deg;
  rule.policy = settings.policy == "nearest"        ? calibrate::MissingPolicy::kNearest
                : settings.policy == "uncalibrated" ? calibrate::MissingPolicy::kUncalibrated
                                                    : calibrate::MissingPolicy::kWait;
  return rule;
}

ChosenTables ChooseFromRegistry(state::CalTableStore& store, double time_mjd, double declination_deg,
                                const CalibrateSettings& settings) {
  const calibrate::ChoiceRule rule = RuleOf(settings);
  const double margin_s =
      std::max(rule.backward_s, rule.policy == calibrate::MissingPolicy::kNearest ? rule.nearest_limit_s : 0.0);
  ChosenTables out;
  std::vector<calibrate::TableRecord> records;
  TableConditions conditions;
  for (SolutionKind kind : calibrate::kSolutionKinds) {
    // A second more than the rule can use: what just misses is shown with its reason.
    for (state::CalTableRow& row : store.Near(ToString(kind), time_mjd, (margin_s + 1) / kSecondsPerDay)) {
      records.push_back(RecordOf(row, conditions));
      out.considered.push_back(std::move(row));
    }
  }
  out.choice = ChooseTables(time_mjd, declination_deg, records, rule);
  return out;
}

std::vector<CalibrationGap> FindGaps(state::CalTableStore& store, double from_mjd, double to_mjd,
                                     std::optional<double> declination_deg, const CalibrateSettings& settings) {
  calibrate::ChoiceRule rule = RuleOf(settings);
  rule.policy = calibrate::MissingPolicy::kWait;
  if (!declination_deg) rule.max_declination_offset_deg = 0;
  const double backward = rule.backward_s / kSecondsPerDay;
  state::CalTableQuery query;
  query.status = "active";
  query.from_mjd = from_mjd;
  query.before_mjd = to_mjd + backward;
  std::vector<calibrate::TableRecord> records;
  // What serves changes at these times and nowhere else.
  std::vector<double> edges{from_mjd, to_mjd};
  TableConditions conditions(TableConditions::Depth::kSuspicion);  // a year holds thousands
  for (const state::CalTableRow& row : store.List(query)) {
    records.push_back(RecordOf(row, conditions));
    for (const double edge : {row.valid_from_mjd - backward, row.valid_from_mjd, row.valid_to_mjd}) {
      if (edge > from_mjd && edge < to_mjd) edges.push_back(edge);
    }
  }
  std::sort(edges.begin(), edges.end());

  std::vector<CalibrationGap> bandpass, gain;
  const auto extend = [](std::vector<CalibrationGap>& gaps, const char* kind, double from, double to) {
    if (!gaps.empty() && gaps.back().to_mjd == from) {
      gaps.back().to_mjd = to;
    } else {
      gaps.push_back({kind, from, to});
    }
  };
  for (std::size_t i = 0; i + 1 < edges.size(); ++i) {
    const double begin = edges[i], end = edges[i + 1];
    if (end - begin < 1e-8) {  // a millisecond is rounding, not a gap; one that has begun goes on through it
      for (auto* gaps : {&bandpass, &gain}) {
        if (!gaps->empty() && gaps->back().to_mjd == begin) gaps->back().to_mjd = end;
      }
      continue;
    }
    const calibrate::Choice choice = ChooseTables(0.5 * (begin + end), declination_deg.value_or(0), records, rule);
    if (!choice.bandpass) extend(bandpass, "BP", begin, end);
    if (!choice.gain) extend(gain, "G", begin, end);
  }
  bandpass.insert(bandpass.end(), gain.begin(), gain.end());
  return bandpass;
}

std::optional<Error> FindChange(const fs::path& path, const TableFacts& facts, Os& os) {
  if (!Exists(path, os)) return Error(ErrorKind::kIo, "calibrate", path.string(), "is not there any more");
  const std::string found = TableChecksum(path, os);
  if (found == facts.checksum) return std::nullopt;
  return Error(ErrorKind::kIo, "calibrate", path.string(),
               fmt::format("was written with the checksum {} and has {}", facts.checksum, found));
}

Registration RegisterTable(state::CalTableStore& store, const RegisterRequest& request,
                           const CalibrateSettings& settings, double now_unix_s) {
  const TableFacts& facts = request.facts;
  const bool gain = KindOf(facts.kind) == SolutionKind::kGain;
  const std::string interval = !request.interval.empty() ? request.interval : (gain ? "1h" : "24h");
  if (interval != "24h" && interval != "1h") {
    throw Error(ErrorKind::kUsage, "calibrate", interval, "is no interval class: 24h or 1h");
  }
  state::CalTableRow row;
  row.path = Absolute(request.path).string();
  row.kind = facts.kind;
  row.interval = interval;
  row.valid_from_mjd = facts.mid_mjd;
  // A gain lives as long as gains do, whichever solve made it.
  row.valid_to_mjd = row.valid_from_mjd + (gain ? settings.gain_validity_h : settings.bandpass_validity_h) / 24;
  row.source_group = request.source_group;
  row.model = !request.model.empty() ? request.model : facts.field;
  row.refant = facts.reference_antenna;
  row.checksum = facts.checksum;
  row.rests_on = request.rests_on;
  const auto known = store.FindByPath(row.path);
  if (known && known->checksum == row.checksum && known->kind == row.kind) {
    Registration out{known->id, known->status, {}};
    if (!known->reason.empty()) out.failures.push_back(known->reason);
    return out;
  }
  const calibrate::QualityVerdict& verdict = request.verdict;
  Registration out;
  out.failures = verdict.failures;
  out.status = verdict.accepted ? "active" : "failed";
  row.status = out.status;
  if (!verdict.accepted) row.reason = verdict.failures.empty() ? "failed its quality gate" : verdict.failures.front();
  nlohmann::json figures = facts.quality;
  if (request.scale_change > 0) figures["scale_change"] = request.scale_change;
  row.quality_json = figures.dump();
  row.flag_fractions_json = facts.flag_fractions.dump();
  store.database().Write([&] {
    if (known && request.supersede) store.Supersede(known->id, now_unix_s);
    out.id = store.Register(row, now_unix_s);
    const auto back = store.Find(out.id);
    if (!back || back->path != row.path || back->kind != row.kind || back->valid_from_mjd != row.valid_from_mjd ||
        back->checksum != row.checksum || back->rests_on != row.rests_on) {
      throw Error(ErrorKind::kBug, "calibrate", row.path, "was not read back from the registry as it was written");
    }
  });
  return out;
}

}  // namespace contimg::ops
