// What an operator should know about calibration: for how long the tables in use still serve, which kinds are missing,
// which tables were damaged, who waits and why, which solve failed. Belongs to the scheduler and its thread.
#pragma once

#include <cstddef>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "calibrate/choice.h"
#include "ops/metrics/metrics.h"
#include "ops/records/health.h"
#include "ops/records/table_condition.h"
#include "state/cal_table_store.h"

namespace contimg::ops {

class CalibrationAlerts {
 public:
  CalibrationAlerts(state::CalTableStore& store, Metrics& metrics, TableConditions& conditions)
      : store_(store), metrics_(metrics), conditions_(conditions) {}

  // So many groups wait for calibration, the one looked at last for this reason.
  void SetWaiting(std::size_t n_groups) { n_waiting_ = n_groups; }
  void SetWaitingReason(std::string reason) { waiting_reason_ = std::move(reason); }
  // Reads the registry and sets the metrics; logs a gap that opens or closes. Throws Error like the store.
  void Update(const calibrate::ChoiceRule& choice_rule, double now);

  // For the judgement of the health.
  HealthFacts::Calibration Facts() const;
  // For the status page: kind → seconds left, age, table; waiting groups; solves under way.
  nlohmann::ordered_json Status() const;

 private:
  state::CalTableStore& store_;
  Metrics& metrics_;
  TableConditions& conditions_;
  struct KindState {
    double left_s = 0, age_s = 0;
    std::string table;
  };
  std::map<std::string, KindState> kinds_;  // at the latest observation
  std::optional<GroupObservation> latest_;
  std::vector<std::string> missing_;  // "BP", "G"
  std::vector<std::string> damaged_;  // a sentence for each active table near the latest data that does not serve
  std::size_t n_waiting_ = 0;
  std::string waiting_reason_;  // of the newest one
  std::vector<state::SolveRow> recent_;
};

}  // namespace contimg::ops
