#include "ops/calibration/alerts.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "config/time.h"
#include "ops/base/log.h"
#include "ops/calibration/planner.h"
#include "ops/records/registration.h"

namespace contimg::ops {

namespace {

using calibrate::ChoiceOutcome;
using calibrate::SolutionKind;
using state::CalTableRow;

constexpr double kServesDays = 1.5;  // tables that may serve the latest observation

}  // namespace

void CalibrationAlerts::Update(const calibrate::ChoiceRule& choice_rule, double now) {
  latest_ = store_.LatestObservation();
  kinds_.clear();
  std::vector<std::string> missing, damaged;
  // Of the last two days of data: what is processed may be older than today.
  const double today = UtcTime::FromUnix(now).mjd();
  recent_ = store_.Solves(std::min(today, latest_ ? latest_->mid_mjd : today) - 2, 1e9);
  if (latest_) {
    calibrate::ChoiceRule rule = choice_rule;
    rule.policy = calibrate::MissingPolicy::kWait;
    std::vector<calibrate::TableRecord> records;
    std::map<std::int64_t, CalTableRow> rows;
    for (SolutionKind kind : calibrate::kSolutionKinds) {
      for (CalTableRow& table : store_.Near(ToString(kind), latest_->mid_mjd, kServesDays)) {
        records.push_back(RecordOf(table, conditions_));
        const calibrate::TableStatus status = records.back().status;
        if (status == calibrate::TableStatus::kMissing || status == calibrate::TableStatus::kChanged) {
          const auto condition =
              status == calibrate::TableStatus::kMissing ? TableCondition::kMissing : TableCondition::kChanged;
          damaged.push_back(
              fmt::format("table {} ({}, {}) is not used: {}; put its files back, or contimg cal retire {}", table.id,
                          table.kind, table.path, TableConditions::Words(condition), table.id));
        }
        rows.emplace(table.id, std::move(table));
      }
    }
    const auto choice = ChooseTables(latest_->mid_mjd, latest_->dec_deg, records, rule);
    const std::pair<SolutionKind, std::optional<std::int64_t>> chosen[] = {{SolutionKind::kDelay, choice.delay},
                                                                           {SolutionKind::kBandpass, choice.bandpass},
                                                                           {SolutionKind::kGain, choice.gain}};
    for (const auto& [kind, id] : chosen) {
      KindState each;
      if (id) {
        const CalTableRow& row = rows.at(*id);
        each.left_s = ServedForSeconds(latest_->mid_mjd, latest_->dec_deg, kind, records, rule);
        each.age_s = (latest_->mid_mjd - row.valid_from_mjd) * kSecondsPerDay;
        each.table = row.path;
      }
      const std::string word(ToString(kind));
      kinds_[word] = each;
      metrics_.SetCalibration(word, each.left_s, each.age_s);
    }
    if (choice.outcome != ChoiceOutcome::kComplete) {
      if (!choice.bandpass) missing.emplace_back("BP");
      if (!choice.gain) missing.emplace_back("G");
    }
  }
  // As for the health: without is as it was asked for.
  const bool wanted = choice_rule.policy != calibrate::MissingPolicy::kUncalibrated;
  metrics_.SetCalibrationMissing((wanted && !missing.empty()) || n_waiting_ > 0);
  if (missing != missing_) {
    if (!missing.empty()) {
      Log(LogLevel::kWarning, latest_->group_id,
          fmt::format("calibration gap: no {} table serves groups at declination {:+.1f}",
                      fmt::join(missing, " and no "), latest_->dec_deg));
    } else {
      Log(LogLevel::kInfo, latest_->group_id, "the calibration gap is closed");
    }
    missing_ = missing;
  }
  for (const std::string& sentence : damaged) {
    if (std::find(damaged_.begin(), damaged_.end(), sentence) == damaged_.end()) Log(LogLevel::kError, "", sentence);
  }
  damaged_ = std::move(damaged);
  metrics_.SetCalibrationTablesDamaged(damaged_.size());
  if (n_waiting_ == 0) waiting_reason_.clear();
}

HealthFacts::Calibration CalibrationAlerts::Facts() const {
  HealthFacts::Calibration facts;
  facts.n_damaged = static_cast<std::int64_t>(damaged_.size());
  if (!damaged_.empty()) facts.damaged = damaged_.front();
  if (!missing_.empty()) {
    facts.missing =
        fmt::format("no {} table serves groups at declination {:+.1f} at {}", fmt::join(missing_, " and no "),
                    latest_->dec_deg, UtcTime::FromMjd(latest_->mid_mjd).Stamp());
  }
  facts.n_waiting_groups = static_cast<std::int64_t>(n_waiting_);
  facts.waiting_reason = waiting_reason_;
  // Hourly gains run out every hour; what must be renewed in time are the tables of the day.
  for (const char* kind : {"K", "BP"}) {
    const auto found = kinds_.find(kind);
    if (found == kinds_.end() || found->second.table.empty()) continue;
    if (facts.expires_in_s >= 0 && found->second.left_s >= facts.expires_in_s) continue;
    facts.expires_in_s = found->second.left_s;
    facts.expiring = kind;
  }
  for (auto solve = recent_.rbegin(); solve != recent_.rend() && solve->outcome != "passed"; ++solve) {
    if (solve->outcome != "failed") continue;
    if (facts.n_failed_solves++ == 0) facts.failed_solve = fmt::format("on {}: {}", solve->group_id, solve->detail);
  }
  return facts;
}

nlohmann::ordered_json CalibrationAlerts::Status() const {
  nlohmann::ordered_json out;
  for (const auto& [kind, each] : kinds_) {
    out["tables"][kind] = {{"hours_left", each.left_s / kSecondsPerHour},
                           {"age_hours", each.age_s / kSecondsPerHour},
                           {"table", each.table}};
  }
  out["missing"] = missing_;
  out["damaged"] = damaged_;
  out["waiting"] = n_waiting_;
  out["waiting_reason"] = waiting_reason_;
  nlohmann::ordered_json running = nlohmann::ordered_json::array();
  for (const state::SolveRow& solve : recent_) {
    if (solve.outcome == "running") running.push_back({{"group", solve.group_id}, {"model", solve.model}});
  }
  out["solving"] = running;
  return out;
}

}  // namespace contimg::ops
