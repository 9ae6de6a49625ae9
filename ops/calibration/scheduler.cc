#include "ops/calibration/scheduler.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "config/stopwatch.h"
#include "config/time.h"
#include "config/units.h"
#include "ops/base/log.h"
#include "ops/calibration/job_sky_model.h"
#include "ops/job/observation.h"
#include "ops/records/registration.h"

namespace contimg::ops {

namespace {

namespace fs = std::filesystem;
using calibrate::ChoiceOutcome;
using calibrate::SolutionKind;
using state::CalTableRow;
using state::GroupRow;
using state::GroupState;

constexpr double kBusyTimeoutS = 0.2;  // then the caller tries again later
constexpr double kLookS = 60;          // waiting groups are looked at this often even when nothing has changed
constexpr double kForgetS = 600;       // catalogues may have been imported
constexpr double kLookBudgetS = 0.05;  // of one Tick
constexpr double kNearbyDays = 1.5;    // solves that the planner is told about

state::DatabaseOptions RegistryOptions() {
  state::DatabaseOptions options;
  options.busy_timeout_s = kBusyTimeoutS;
  return options;
}

JobTable TableOf(const CalTableRow& row) { return {row.id, row.kind, row.path, row.checksum}; }

std::vector<std::string> SplitNames(const std::string& text) {
  std::vector<std::string> names;
  std::istringstream in(text);
  for (std::string name; std::getline(in, name, ',');) {
    if (!name.empty()) names.push_back(name);
  }
  return names;
}

std::vector<std::int64_t> IdsOf(const calibrate::Choice& choice) {
  std::vector<std::int64_t> ids;
  for (const auto& id : {choice.delay, choice.bandpass, choice.gain}) {
    if (id) ids.push_back(*id);
  }
  return ids;
}

std::string ReasonOf(const calibrate::Choice& choice, std::int64_t id) {
  for (const auto& verdict : choice.verdicts) {
    if (verdict.id == id) return verdict.reason;
  }
  return "";
}

// A failure that lies in the data or the model: the same solve on the same group fails again.
bool LiesInTheData(ErrorKind kind) { return kind == ErrorKind::kNumeric || kind == ErrorKind::kBadInput; }

}  // namespace

CalibrationScheduler::CalibrationScheduler(ProductPaths paths, Os& os, Metrics& metrics, const Settings& settings)
    : paths_(std::move(paths)),
      os_(os),
      metrics_(metrics),
      settings_(settings),
      store_(paths_.Database(StateDatabase::kCalRegistry), RegistryOptions()),
      forecaster_(settings),
      conditions_(TableConditions::Depth::kContent, os_),
      alerts_(store_, metrics_, conditions_) {}

void CalibrationScheduler::Apply(const Settings& settings) {
  settings_ = settings;
  forecaster_.Apply(settings);
  forecasts_.clear();
  look_again_ = true;
}

void CalibrationScheduler::AbandonLost(state::GroupStore& groups, double now) {
  for (const state::SolveRow& solve : store_.Solves(0, 1e9, true)) {
    const auto row = groups.Find(solve.group_id);
    if (row && row->state == GroupState::kRunning) continue;
    store_.EndSolve(solve.id, "abandoned", "its worker ended without a report", now);
  }
}

void CalibrationScheduler::Observed(const std::string& group, const GroupObservation& seen) {
  auto known = observed_.find(group);
  if (known == observed_.end()) {
    if (observed_.size() > 1000) observed_.clear();  // what is dropped is in the registry
    known = observed_.emplace(group, seen).first;
    known->second.group_id = group;
  } else if (seen.low_hz >= known->second.low_hz && seen.high_hz <= known->second.high_hz) {
    return;  // a file that came again
  } else {
    Widen(known->second, seen);
  }
  try {
    store_.SaveObservation(known->second);
  } catch (const Error& error) {
    // The next file of the group writes it, or the plan takes it from memory.
    Log(LogLevel::kWarning, group, fmt::format("its pointing cannot be recorded now: {}", error.what()));
  }
}

PlanRules CalibrationScheduler::Rules() const {
  const CalibrateSettings& s = settings_.calibrate;
  PlanRules rules;
  rules.choice = RuleOf(s);
  rules.bandpass_validity_s = s.bandpass_validity_h * kSecondsPerHour;
  rules.gain_validity_s = s.gain_validity_h * kSecondsPerHour;
  rules.renew_lead_s = std::min(s.renew_lead_h * kSecondsPerHour, rules.bandpass_validity_s);
  rules.min_snr = s.min_predicted_snr;
  rules.wait_limit_s = s.wait_limit_h * kSecondsPerHour;
  return rules;
}

std::optional<SolveForecast> CalibrationScheduler::ForecastOf(const GroupObservation& observation, std::string& why) {
  const auto known = forecasts_.find(observation.group_id);
  if (known != forecasts_.end()) {
    why = known->second.second;
    return known->second.first;
  }
  auto forecast = forecaster_.Of(observation, why);
  if (forecasts_.size() > 10000) forecasts_.clear();
  forecasts_[observation.group_id] = {forecast, why};
  return forecast;
}

CalibrationScheduler::Planned CalibrationScheduler::MakePlan(const GroupRow& row, double waited_s,
                                                             const std::vector<PendingSolve>& promised) {
  Planned out;
  const auto cached = observed_.find(row.id);
  out.observation = cached != observed_.end() ? cached->second : store_.Observation(row.id);

  const PlanRules rules = Rules();
  PlanInput input;
  input.group = row.id;
  input.waited_s = waited_s;
  if (out.observation) {
    input.time_mjd = out.observation->mid_mjd;
    input.tile_s = out.observation->duration_s;
    input.declination_deg = out.observation->dec_deg;
  } else {
    input.time_mjd =
        row.data_start_mjd > 0 ? 0.5 * (row.data_start_mjd + row.data_end_mjd) : UtcTime::FromIso8601(row.id).mjd();
  }
  std::map<std::int64_t, CalTableRow> rows;
  for (SolutionKind kind : calibrate::kSolutionKinds) {
    double margin_s = kind == SolutionKind::kGain ? 3 * rules.gain_validity_s : rules.bandpass_validity_s;
    margin_s = std::max(margin_s, rules.choice.backward_s);
    if (rules.choice.policy == calibrate::MissingPolicy::kNearest) {
      margin_s = std::max(margin_s, rules.choice.nearest_limit_s);
    }
    for (CalTableRow& table : store_.Near(ToString(kind), input.time_mjd, (margin_s + 1) / kSecondsPerDay)) {
      input.tables.push_back(RecordOf(table, conditions_));
      rows.emplace(table.id, std::move(table));
    }
  }
  std::set<std::string> counted{row.id};
  for (const state::SolveRow& solve : store_.Solves(input.time_mjd - kNearbyDays, input.time_mjd + kNearbyDays)) {
    const SolveScope scope = solve.interval == ToString(SolveScope::kDay) ? SolveScope::kDay : SolveScope::kHour;
    if (solve.outcome == "running" && counted.insert(solve.group_id).second) {
      input.pending.push_back({solve.group_id, solve.mid_mjd, solve.dec_deg, scope});
    } else if (solve.outcome == "passed" || solve.outcome == "failed") {
      input.past.push_back({solve.group_id, solve.mid_mjd, scope, solve.outcome == "passed"});
    }
  }
  for (const PendingSolve& solve : promised) {
    if (counted.insert(solve.group).second) input.pending.push_back(solve);
  }
  if (!settings_.calibrate.schedule) {
    input.no_forecast = "the schedule is off (calibrate.schedule)";
  } else if (out.observation) {
    input.forecast = ForecastOf(*out.observation, input.no_forecast);
    if (input.forecast && input.forecast->bandpass_snr >= rules.min_snr) {
      // Only where the end of the bandpass is in sight does it matter what is to come.
      const double left = ServedForSeconds(input.time_mjd, out.observation->dec_deg, SolutionKind::kBandpass,
                                           input.tables, rules.choice);
      if (left > 0 && left < rules.renew_lead_s) input.others = forecaster_.Coming(*out.observation, left);
    }
  }
  out.plan = PlanCalibration(input, rules);
  for (std::int64_t id : IdsOf(out.plan.choice)) out.tables.emplace(id, rows.at(id));
  return out;
}

std::optional<JobTable> CalibrationScheduler::LastAccepted(const char* kind, double before_mjd) {
  state::CalTableQuery query;
  query.kind = kind;
  query.status = "active";
  query.before_mjd = before_mjd;
  const auto rows = store_.List(query);
  for (auto row = rows.rbegin(); row != rows.rend(); ++row) {
    if (conditions_.Of(*row) == TableCondition::kIntact) return TableOf(*row);
  }
  return std::nullopt;
}

JobSolve CalibrationScheduler::MakeSolve(const std::string& group, const Planned& planned,
                                         const SolveForecast& forecast) {
  const bool day = planned.plan.scope == SolveScope::kDay;
  JobSolve solve;
  solve.kinds = day ? std::vector<std::string>{"K", "BP", "G"} : std::vector<std::string>{"G"};
  solve.model = forecast.model;
  solve.interval = ToString(planned.plan.scope);
  solve.prefix = paths_.CalTablePrefix(group, day ? CalInterval::k24Hours : CalInterval::k1Hour);
  solve.reference_antennas = SplitNames(settings_.calibrate.reference_antennas);
  const double mid = planned.observation->mid_mjd;
  const auto prefer = [&](const std::string& antenna) {
    if (!antenna.empty()) solve.reference_antennas.insert(solve.reference_antennas.begin(), antenna);
  };
  if (day) {
    for (const char* kind : {"K", "BP", "G"}) {
      if (auto table = LastAccepted(kind, mid)) solve.previous.push_back(*table);
    }
    // Without a wish of the operator the reference stays what it was.
    if (solve.reference_antennas.empty()) {
      state::CalTableQuery query;
      query.kind = "BP";
      query.status = "active";
      query.before_mjd = mid;
      const auto rows = store_.List(query);
      if (!rows.empty()) prefer(rows.back().refant);
    }
    return solve;
  }
  // The gains of the hour rest on the day's delays and bandpass and refer to their antenna.
  const auto& choice = planned.plan.choice;
  for (const auto& id : {choice.delay, choice.bandpass}) {
    if (id) solve.apply.push_back(TableOf(planned.tables.at(*id)));
  }
  prefer(planned.tables.at(*choice.bandpass).refant);
  state::CalTableQuery query;
  query.kind = "G";
  query.from_mjd = mid - kNearbyDays;
  query.before_mjd = mid + kNearbyDays;
  for (const CalTableRow& row : store_.List(query)) {
    const bool same_day = std::find(row.rests_on.begin(), row.rests_on.end(), *choice.bandpass) != row.rests_on.end();
    if (row.interval == "24h" && row.status == "active" && same_day && conditions_.Of(row) == TableCondition::kIntact) {
      solve.anchor = TableOf(row);
    }
  }
  if (auto table = LastAccepted("G", mid)) solve.previous.push_back(*table);
  return solve;
}

// Whatever of the sky is in the image, up to its corners.
void CalibrationScheduler::PlanMeasurement(const Planned& planned, Job& job) {
  job.stages.emplace_back("measure");
  if (planned.plan.choice.borrowed) job.tile_flags |= quality::kCalibrationBorrowed.mask();
  if (!planned.observation) return;
  const ImageSettings& image = settings_.image;
  const double corner_deg = Angle::Arcsec(std::hypot(image.size, image.size) / 2 * image.cell_arcsec).deg();
  job.places = forecaster_.Places(*planned.observation, std::min(corner_deg, 90.0), settings_.photometry.min_flux_jy);
}

void CalibrationScheduler::PlanJob(const GroupRow& row, bool flagged, const fs::path& folder, Job& job, double now) {
  for (const state::SolveRow& solve : store_.SolvesOf(row.id)) {
    if (solve.outcome == "running") store_.EndSolve(solve.id, "abandoned", "its attempt did not report", now);
  }
  const Planned planned = MakePlan(row, 0, promised_);
  promised_.erase(std::remove_if(promised_.begin(), promised_.end(),
                                 [&](const PendingSolve& each) { return each.group == row.id; }),
                  promised_.end());
  const Plan& plan = planned.plan;
  const bool complete = plan.choice.outcome == ChoiceOutcome::kComplete;

  job.stages = flagged ? std::vector<std::string>{} : std::vector<std::string>{"convert", "flag"};
  job.tables.clear();
  job.solve.reset();
  if (complete && (plan.action == PlanAction::kApply || plan.action == PlanAction::kSolve)) {
    for (const auto& [id, table] : planned.tables) job.tables.push_back(TableOf(table));
  }
  std::optional<SolveForecast> forecast;
  if (plan.action == PlanAction::kSolve) {
    std::string ignored;
    forecast = ForecastOf(*planned.observation, ignored);
    job.solve = MakeSolve(row.id, planned, *forecast);
    job.stages.emplace_back("solve");
  }
  // `apply` without tables leaves the group waiting; without `apply` the image is one of uncalibrated data.
  if (plan.action != PlanAction::kUncalibrated) {
    job.stages.emplace_back("apply");
    if (settings_.calibrate.refine) job.stages.emplace_back("refine");
  }
  if (settings_.image.enabled) job.stages.emplace_back("image");
  if (settings_.image.enabled && settings_.photometry.enabled) PlanMeasurement(planned, job);
  if (planned.observation) {
    const std::string sky = SkyModelCsv(forecaster_, *planned.observation, forecast ? forecast->model : "",
                                        settings_.calibrate.spectral_index);
    if (!sky.empty()) {
      job.sky_model = folder / "sky_model.csv";
      WriteFileAtomically(os_, job.sky_model, sky);
    }
  }

  store_.database().Write([&] {
    store_.RecordDecision({row.id, std::string(ToString(plan.action)), plan.reason, now});
    if (plan.action == PlanAction::kSolve) {
      state::SolveRow solve;
      solve.group_id = row.id;
      solve.mid_mjd = planned.observation->mid_mjd;
      solve.dec_deg = planned.observation->dec_deg;
      solve.interval = ToString(plan.scope);
      solve.model = forecast->model;
      solve.predicted_snr = plan.scope == SolveScope::kDay ? forecast->bandpass_snr : forecast->gain_snr;
      solve.reason = plan.reason;
      solve.started_at = now;
      store_.AddSolve(solve);
    }
    const auto record = [&](const char* kind, const std::optional<std::int64_t>& id) {
      store_.RecordChoice(
          {row.id, kind, complete ? id : std::nullopt, complete && id ? ReasonOf(plan.choice, *id) : plan.reason, now});
    };
    record("K", plan.choice.delay);
    record("BP", plan.choice.bandpass);
    record("G", plan.choice.gain);
  });
  Log(plan.action == PlanAction::kWait ? LogLevel::kWarning : LogLevel::kInfo, row.id,
      fmt::format("calibration: {}{}: {}", ToString(plan.action),
                  plan.action == PlanAction::kSolve ? fmt::format(" ({})", ToString(plan.scope)) : "", plan.reason));
  forecasts_.erase(row.id);
}

void CalibrationScheduler::RequireWritable() {
  store_.database().Write([] {});
}

std::optional<Error> CalibrationScheduler::Record(const GroupRow& row, const JobReport& report, double now) {
  std::vector<state::SolveRow> running;
  for (const state::SolveRow& solve : store_.SolvesOf(row.id)) {
    if (solve.outcome == "running") running.push_back(solve);
  }
  const auto end = [&](const char* outcome, const std::string& detail) {
    for (const state::SolveRow& solve : running) store_.EndSolve(solve.id, outcome, detail, now);
    for (const state::SolveRow& solve : running) metrics_.CalibrationSolved(solve.interval, outcome);
  };
  const auto refuse = [&](const Error& error) {
    Log(LogLevel::kError, row.id, fmt::format("its calibration tables cannot be registered: {}", error.what()));
    end("failed", fmt::format("cannot be registered: {}", error.what()));
    return error;
  };
  std::string trouble;
  bool all_accepted = true;
  try {
    // Files are read before anything is locked. What the solve held fixed is in the job; what it made, one on the
    // other, in the report.
    std::vector<std::int64_t> fixed;
    if (!report.calibration.empty()) {
      const fs::path path = JobFile(paths_.Jobs(row.id));
      if (const Job job = ParseJob(ReadJsonFile(path, os_), path.string()); job.solve) {
        for (const JobTable& table : job.solve->apply) fixed.push_back(table.id);
      }
    }
    for (const JobCalibration& made : report.calibration) {
      if (made.path.empty()) continue;
      if (const auto change = FindChange(made.path, made.table, os_)) return refuse(*change);
    }
    store_.database().Write([&] {
      std::vector<std::int64_t> rests_on = fixed;
      trouble.clear();
      all_accepted = true;
      for (const JobCalibration& made : report.calibration) {
        if (!made.accepted) {
          all_accepted = false;
          trouble += fmt::format("{}{}: {}", trouble.empty() ? "" : "; ", made.kind,
                                 made.failures.empty() ? "refused" : made.failures.front());
        }
        if (made.path.empty()) continue;  // no solution at all: there is no table
        RegisterRequest request;
        request.path = made.path;
        request.facts = made.table;
        request.verdict = calibrate::QualityVerdict{made.accepted, made.failures};
        request.interval = made.interval;
        request.source_group = row.id;
        request.model = made.model;
        request.scale_change = made.scale_change;
        request.rests_on = rests_on;
        request.supersede = true;
        const Registration done = RegisterTable(store_, request, settings_.calibrate, now);
        rests_on.push_back(done.id);
      }
      if (report.next_state == "awaiting_calibration") return;
      for (const char* kind : {"K", "BP", "G"}) {
        std::optional<CalTableRow> used;
        for (const fs::path& path : report.applied) {
          const auto table = store_.FindByPath(path.lexically_normal().string());
          if (table && table->kind == kind) used = table;
        }
        const auto planned = store_.Choices(row.id);
        const auto before = std::find_if(planned.begin(), planned.end(), [&](const auto& c) { return c.kind == kind; });
        // As planned: its reason stands, also that of none (unless a solve was to make one).
        const bool planned_so =
            before != planned.end() && before->table_id == (used ? std::optional(used->id) : std::nullopt);
        if (planned_so && (used || report.calibration.empty())) continue;
        store_.RecordChoice({row.id, kind, used ? std::optional(used->id) : std::nullopt,
                             !used                          ? "none was applied"
                             : used->source_group == row.id ? "solved on this group"
                                                            : "applied",
                             now});
      }
    });
  } catch (const Error& error) {
    if (MayPass(error.kind())) throw;
    return refuse(error);
  }
  if (running.empty()) return std::nullopt;
  look_again_ = true;
  if (report.calibration.empty()) {
    end("abandoned", "the worker made no tables");
  } else if (all_accepted) {
    end("passed", fmt::format("{} tables registered", report.calibration.size()));
    Log(LogLevel::kInfo, row.id, fmt::format("calibration: {} new tables serve", report.calibration.size()));
  } else {
    end("failed", trouble);
    Log(LogLevel::kError, row.id, fmt::format("calibration: the solve does not serve: {}", trouble));
  }
  return std::nullopt;
}

void CalibrationScheduler::AttemptFailed(const std::string& group, ErrorKind kind, const std::string& message,
                                         double now) {
  for (const state::SolveRow& solve : store_.SolvesOf(group)) {
    if (solve.outcome != "running") continue;
    const char* outcome = LiesInTheData(kind) ? "failed" : "abandoned";
    store_.EndSolve(solve.id, outcome, message, now);
    metrics_.CalibrationSolved(solve.interval, outcome);
    look_again_ = true;
  }
}

void CalibrationScheduler::Tick(state::GroupStore& groups, double now,
                                const std::function<void(const Release&)>& release) {
  if (now >= next_forget_) {
    next_forget_ = now + kForgetS;
    forecaster_.Apply(settings_);
    forecasts_.clear();
  }
  const std::int64_t revision = store_.Revision();
  if (to_look_at_.empty() && (look_again_ || revision != seen_revision_ || now >= next_look_)) {
    look_again_ = false;
    next_look_ = now + kLookS;
    state::GroupQuery waiting;
    waiting.states = {GroupState::kAwaitingCalibration};
    // The list is worked off from its end: as the queue would take them.
    waiting.newest_first = settings_.queue.order == "oldest";
    const auto rows = groups.List(waiting);
    alerts_.SetWaiting(rows.size());
    for (const GroupRow& row : rows) to_look_at_.push_back(row.id);
    AbandonLost(groups, now);
    // Promises to groups that somebody else took care of lapse with the next look.
    promised_.erase(std::remove_if(promised_.begin(), promised_.end(),
                                   [&](const PendingSolve& each) {
                                     const auto row = groups.Find(each.group);
                                     return !row || row->state != GroupState::kReady;
                                   }),
                    promised_.end());
    alerts_.Update(Rules().choice, now);
    seen_revision_ = store_.Revision();
  }
  const Stopwatch watch;
  while (!to_look_at_.empty()) {
    const std::string id = to_look_at_.back();
    to_look_at_.pop_back();
    const auto row = groups.Find(id);
    if (row && row->state == GroupState::kAwaitingCalibration) {
      const Planned planned = MakePlan(*row, std::max(0.0, now - row->finished_at), promised_);
      const Plan& plan = planned.plan;
      if (plan.action == PlanAction::kWait) {
        alerts_.SetWaitingReason(plan.reason);
      } else if (plan.action == PlanAction::kGiveUp) {
        store_.RecordDecision({id, "give up", plan.reason, now});
        release({id, GroupState::kDead, plan.reason});
      } else {
        if (plan.action == PlanAction::kSolve) {
          promised_.push_back({id, planned.observation->mid_mjd, planned.observation->dec_deg, plan.scope});
        }
        release({id, GroupState::kReady, fmt::format("{}: {}", ToString(plan.action), plan.reason)});
      }
      seen_revision_ = store_.Revision();
    }
    if (watch.Seconds() > kLookBudgetS) break;
  }
}

}  // namespace contimg::ops
