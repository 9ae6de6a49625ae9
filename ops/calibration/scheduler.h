// Calibration in the daemon: asks the planner about every group that is taken, fills its job accordingly, registers
// what the worker solved, and lets waiting groups go when there is something for them.
//
// Everything it decides is in cal_registry.sqlite3 (`contimg cal why GROUP` shows it), so a daemon that starts knows
// what its predecessor knew. Belongs to the daemon's thread. A registry that cannot be read or written throws Error;
// the caller tries again later.
#pragma once

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/os.h"
#include "config/product_paths.h"
#include "config/settings.h"
#include "ops/calibration/alerts.h"
#include "ops/calibration/forecast.h"
#include "ops/calibration/planner.h"
#include "ops/job/job.h"
#include "ops/metrics/metrics.h"
#include "ops/records/table_condition.h"
#include "state/cal_table_store.h"
#include "state/group_store.h"

namespace contimg::ops {

class CalibrationScheduler {
 public:
  CalibrationScheduler(ProductPaths paths, Os& os, Metrics& metrics, const Settings& settings);
  void Apply(const Settings& settings);

  // Solves whose groups do not run any more are abandoned: of an earlier daemon, or taken away by the operator.
  void AbandonLost(state::GroupStore& groups, double now);

  // A file has joined the group; `seen` is what its header says.
  void Observed(const std::string& group, const GroupObservation& seen);

  // Decides what is done with a group that was taken and completes its job: stages, tables, solve, places, sky model (a
  // file in `folder`). `flagged`: an earlier job has left its flagged Measurement Set. The decision is recorded.
  void PlanJob(const state::GroupRow& row, bool flagged, const std::filesystem::path& folder, Job& job, double now);

  // Error{kBusy, kIo…} while the registry cannot be written: PlanJob would fail.
  void RequireWritable();

  // A worker has succeeded: its tables are read back and registered, all or none, the solve gets its outcome, and what
  // was applied is recorded. Repeating it changes nothing. Returns what is wrong with a table that cannot be
  // registered: the group's attempt has then failed.
  std::optional<Error> Record(const state::GroupRow& row, const JobReport& report, double now);

  // An attempt has ended without success. A solve that failed for the data's sake (`kind`) is not repeated on the
  // group.
  void AttemptFailed(const std::string& group, ErrorKind kind, const std::string& message, double now);

  // About once a second. Groups in awaiting_calibration that may go on or have waited too long are handed to `release`
  // (to = ready or dead); work is bounded, the rest follows at the next call.
  struct Release {
    std::string group;
    state::GroupState to = state::GroupState::kReady;
    std::string reason;
  };
  void Tick(state::GroupStore& groups, double now, const std::function<void(const Release&)>& release);

  // For the judgement of the health; metrics are set by Tick.
  HealthFacts::Calibration Facts() const { return alerts_.Facts(); }
  // For the status page: kind → seconds left, age, table; waiting groups; solves under way.
  nlohmann::ordered_json Status() const { return alerts_.Status(); }

 private:
  struct Planned {
    Plan plan;
    std::map<std::int64_t, state::CalTableRow> tables;  // those of the choice
    std::optional<GroupObservation> observation;
  };
  Planned MakePlan(const state::GroupRow& row, double waited_s, const std::vector<PendingSolve>& promised);
  PlanRules Rules() const;
  std::optional<SolveForecast> ForecastOf(const GroupObservation& observation, std::string& why);
  void PlanMeasurement(const Planned& planned, Job& job);
  JobSolve MakeSolve(const std::string& group, const Planned& planned, const SolveForecast& forecast);
  std::optional<JobTable> LastAccepted(const char* kind, double before_mjd);

  ProductPaths paths_;
  Os& os_;
  Metrics& metrics_;
  Settings settings_;
  state::CalTableStore store_;
  Forecaster forecaster_;
  std::map<std::string, GroupObservation> observed_;  // of groups that still collect
  std::map<std::string, std::pair<std::optional<SolveForecast>, std::string>> forecasts_;  // of groups that wait
  TableConditions conditions_;
  std::vector<PendingSolve> promised_;  // released to be solved, not taken yet

  // Where the look through the waiting groups stands.
  std::int64_t seen_revision_ = -1;
  double next_look_ = 0, next_forget_ = 0;
  bool look_again_ = true;
  std::vector<std::string> to_look_at_;

  CalibrationAlerts alerts_;
};

}  // namespace contimg::ops
