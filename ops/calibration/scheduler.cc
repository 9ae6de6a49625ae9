#include "ops/calibration/scheduler.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <set>

#include "config/time.h"
#include "config/units.h"
#include "ops/calibration/observation.h"
#include "ops/calibration/registration.h"
#include "ops/daemon/log.h"

namespace contimg::ops {

namespace {

namespace fs = std::filesystem;
using calibrate::ChoiceOutcome;
using calibrate::SolutionKind;
using state::CalTableRow;
using state::GroupRow;
using state::GroupState;
using state::ObservationRow;

constexpr double kDayS = 86400;
constexpr double kBusyTimeoutS = 1;    // then the caller tries again later
constexpr double kLookS = 60;          // waiting groups are looked at this often even when nothing has changed
constexpr double kForgetS = 600;       // catalogues may have been imported
constexpr double kLookBudgetS = 0.05;  // of one Tick
constexpr double kSkyRadiusDeg = 3, kSkyMinFluxJy = 0.005;  // for models and for judging images
constexpr double kNearbyDays = 1.5;                         // solves that the planner is told about

constexpr SolutionKind kKinds[] = {SolutionKind::kDelay, SolutionKind::kBandpass, SolutionKind::kGain};

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

bool WillPass(const Error& error) { return error.kind() == ErrorKind::kBusy || error.kind() == ErrorKind::kResource; }

}  // namespace

CalibrationScheduler::CalibrationScheduler(ProductPaths paths, Os& os, Metrics& metrics, const Settings& settings)
    : paths_(std::move(paths)),
      os_(os),
      metrics_(metrics),
      settings_(settings),
      store_(paths_.Database(StateDatabase::kCalRegistry), RegistryOptions()),
      forecaster_(settings) {}

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

void CalibrationScheduler::Observed(const std::string& group, const ObservationRow& seen) {
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
  rules.bandpass_validity_s = s.bandpass_validity_h * 3600;
  rules.gain_validity_s = s.gain_validity_h * 3600;
  rules.renew_lead_s = std::min(s.renew_lead_h * 3600, rules.bandpass_validity_s);
  rules.min_snr = s.min_predicted_snr;
  rules.wait_limit_s = s.wait_limit_h * 3600;
  return rules;
}

std::optional<SolveForecast> CalibrationScheduler::ForecastOf(const ObservationRow& observation, std::string& why) {
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
  for (SolutionKind kind : kKinds) {
    double margin_s = kind == SolutionKind::kGain ? 3 * rules.gain_validity_s : rules.bandpass_validity_s;
    margin_s = std::max(margin_s, rules.choice.backward_s);
    if (rules.choice.policy == calibrate::MissingPolicy::kNearest) {
      margin_s = std::max(margin_s, rules.choice.nearest_limit_s);
    }
    for (CalTableRow& table : store_.Near(ToString(kind), input.time_mjd, (margin_s + 1) / kDayS)) {
      input.tables.push_back(RecordOf(table));
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
    if (fs::exists(row->path)) return TableOf(*row);
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
    if (row.interval == "24h" && row.status == "active" && same_day && fs::exists(row.path)) {
      solve.anchor = TableOf(row);
    }
  }
  if (auto table = LastAccepted("G", mid)) solve.previous.push_back(*table);
  return solve;
}

void CalibrationScheduler::WriteSkyModel(const ObservationRow& observation, const std::string& model,
                                         const fs::path& path) {
  std::string text = "name,ra_deg,dec_deg,flux_jy,alpha,major_arcsec\n";
  const auto add = [&](const std::string& name, double ra_deg, double dec_deg, double flux_jy, double alpha,
                       double major_arcsec) {
    text += fmt::format("{},{:.8f},{:.8f},{:.9g},{:.6g},{:.6g}\n", name, ra_deg, dec_deg, flux_jy, alpha, major_arcsec);
  };
  // The calibrator stands for the catalogue's entry at its place.
  std::optional<calibrate::SkySource> calibrator;
  constexpr std::string_view kPrefix = "calibrator:";
  if (model.compare(0, kPrefix.size(), kPrefix) == 0) {
    for (const auto& each : forecaster_.Calibrators(observation)) {
      if (each.name == model.substr(kPrefix.size())) calibrator = each;
    }
  }
  if (calibrator) {
    const double low = calibrator->FluxJy(1.3e9), high = calibrator->FluxJy(1.5e9);
    add(calibrator->name, WrapPositive(Angle::Radians(calibrator->ra_rad)).deg(),
        Angle::Radians(calibrator->dec_rad).deg(), calibrator->FluxJy(1.4e9),
        std::log(high / low) / std::log(1.5 / 1.3), 0);
  }
  for (const auto& source : forecaster_.Rows(observation, kSkyRadiusDeg, kSkyMinFluxJy)) {
    if (calibrator) {
      const Angle away = Separation({Angle::Radians(calibrator->ra_rad), Angle::Radians(calibrator->dec_rad)},
                                    {Angle::Degrees(source.ra_deg), Angle::Degrees(source.dec_deg)});
      if (away.arcsec() < 60) continue;
    }
    std::string name = source.name;
    std::replace(name.begin(), name.end(), ',', ' ');
    add(name, source.ra_deg, source.dec_deg, source.flux_jy,
        source.spectral_index.value_or(settings_.calibrate.spectral_index), source.major_arcsec);
  }
  if (text.find('\n') + 1 == text.size()) return;  // no source: no file
  WriteFileAtomically(os_, path, text);
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
    job.stages.push_back("solve");
  }
  // `apply` without tables leaves the group waiting; without `apply` the image is one of uncalibrated data.
  if (plan.action != PlanAction::kUncalibrated) job.stages.push_back("apply");
  if (settings_.image.enabled) job.stages.push_back("image");
  if (planned.observation) {
    const fs::path sky = folder / "sky_model.csv";
    WriteSkyModel(*planned.observation, forecast ? forecast->model : "", sky);
    if (fs::exists(sky)) job.sky_model = sky;
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

std::optional<Error> CalibrationScheduler::Record(const GroupRow& row, const JobReport& report, double now) {
  std::vector<state::SolveRow> running;
  for (const state::SolveRow& solve : store_.SolvesOf(row.id)) {
    if (solve.outcome == "running") running.push_back(solve);
  }
  const auto end = [&](const char* outcome, const std::string& detail) {
    for (const state::SolveRow& solve : running) store_.EndSolve(solve.id, outcome, detail, now);
    for (const state::SolveRow& solve : running) metrics_.CalibrationSolved(solve.interval, outcome);
  };
  std::string trouble;
  bool all_accepted = true;
  try {
    store_.database().Write([&] {
      // What the solve held fixed is in the job; what it made, one on the other, in the report.
      std::vector<std::int64_t> rests_on;
      if (!report.calibration.empty()) {
        const fs::path path = JobFile(paths_.Jobs(row.id));
        if (const Job job = ParseJob(ReadJsonFile(path), path.string()); job.solve) {
          for (const JobTable& table : job.solve->apply) rests_on.push_back(table.id);
        }
      }
      for (const JobCalibration& made : report.calibration) {
        if (!made.accepted) {
          all_accepted = false;
          trouble += fmt::format("{}{}: {}", trouble.empty() ? "" : "; ", made.kind,
                                 made.failures.empty() ? "refused" : made.failures.front());
        }
        if (made.path.empty()) continue;  // no solution at all: there is no table
        RegisterRequest request;
        request.path = made.path;
        request.interval = made.interval;
        request.source_group = row.id;
        request.model = made.model;
        request.reduced_chi_square = made.reduced_chi_square;
        request.residual_fraction = made.residual_fraction;
        request.antennas_with_data = made.antennas_with_data;
        request.verdict = calibrate::QualityVerdict{made.accepted, made.failures};
        request.scale_change = made.scale_change;
        request.rests_on = rests_on;
        for (const JobProduct& product : report.products) {
          if (product.path == made.path) request.checksum = product.checksum;
        }
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
        if (before != planned.end() && used && before->table_id == used->id) continue;
        store_.RecordChoice({row.id, kind, used ? std::optional(used->id) : std::nullopt,
                             !used                          ? "none was applied"
                             : used->source_group == row.id ? "solved on this group"
                                                            : "applied",
                             now});
      }
    });
  } catch (const Error& error) {
    if (WillPass(error)) throw;
    Log(LogLevel::kError, row.id, fmt::format("its calibration tables cannot be registered: {}", error.what()));
    end("failed", fmt::format("cannot be registered: {}", error.what()));
    return error;
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
    n_waiting_ = rows.size();
    for (const GroupRow& row : rows) to_look_at_.push_back(row.id);
    AbandonLost(groups, now);
    // Promises to groups that somebody else took care of lapse with the next look.
    promised_.erase(std::remove_if(promised_.begin(), promised_.end(),
                                   [&](const PendingSolve& each) {
                                     const auto row = groups.Find(each.group);
                                     return !row || row->state != GroupState::kReady;
                                   }),
                    promised_.end());
    UpdateAlerts(now);
    seen_revision_ = store_.Revision();
  }
  const auto begin = std::chrono::steady_clock::now();
  while (!to_look_at_.empty()) {
    const std::string id = to_look_at_.back();
    to_look_at_.pop_back();
    const auto row = groups.Find(id);
    if (row && row->state == GroupState::kAwaitingCalibration) {
      const Planned planned = MakePlan(*row, std::max(0.0, now - row->finished_at), promised_);
      const Plan& plan = planned.plan;
      if (plan.action == PlanAction::kWait) {
        waiting_reason_ = plan.reason;
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
    if (std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() > kLookBudgetS) break;
  }
}

void CalibrationScheduler::UpdateAlerts(double now) {
  latest_ = store_.LatestObservation();
  kinds_.clear();
  std::vector<std::string> missing;
  // Of the last two days of data: what is processed may be older than today.
  const double today = now / kDayS + 40587;
  recent_ = store_.Solves(std::min(today, latest_ ? latest_->mid_mjd : today) - 2, 1e9);
  if (latest_) {
    const PlanRules rules = Rules();
    calibrate::ChoiceRule rule = rules.choice;
    rule.policy = calibrate::MissingPolicy::kWait;
    std::vector<calibrate::TableRecord> records;
    std::map<std::int64_t, CalTableRow> rows;
    for (SolutionKind kind : kKinds) {
      for (CalTableRow& table : store_.Near(ToString(kind), latest_->mid_mjd, kNearbyDays)) {
        records.push_back(RecordOf(table));
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
        each.age_s = (latest_->mid_mjd - row.valid_from_mjd) * kDayS;
        each.table = row.path;
      }
      const std::string word(ToString(kind));
      kinds_[word] = each;
      metrics_.SetCalibration(word, each.left_s, each.age_s);
    }
    if (choice.outcome != ChoiceOutcome::kComplete) {
      if (!choice.bandpass) missing.push_back("BP");
      if (!choice.gain) missing.push_back("G");
    }
  }
  metrics_.SetCalibrationMissing(!missing.empty() || n_waiting_ > 0);
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
  if (n_waiting_ == 0) waiting_reason_.clear();
}

std::vector<std::string> CalibrationScheduler::Troubles() const {
  std::vector<std::string> troubles;
  if (!missing_.empty()) {
    troubles.push_back(fmt::format("no {} table serves groups at declination {:+.1f} at {} (contimg cal gaps)",
                                   fmt::join(missing_, " and no "), latest_->dec_deg,
                                   UtcTime::FromMjd(latest_->mid_mjd).Iso8601()));
  }
  if (n_waiting_ > 0) {
    troubles.push_back(fmt::format("{} wait{} for calibration{}{} (contimg queue list --state awaiting_calibration)",
                                   n_waiting_ == 1 ? "1 group" : fmt::format("{} groups", n_waiting_),
                                   n_waiting_ == 1 ? "s" : "", waiting_reason_.empty() ? "" : ": ", waiting_reason_));
  }
  int failures = 0;
  const state::SolveRow* last = nullptr;
  for (auto solve = recent_.rbegin(); solve != recent_.rend() && solve->outcome != "passed"; ++solve) {
    if (solve->outcome != "failed") continue;
    if (last == nullptr) last = &*solve;
    ++failures;
  }
  if (last != nullptr) {
    troubles.push_back(fmt::format("the last {} of calibration failed, on {}: {}",
                                   failures == 1 ? "solve" : fmt::format("{} solves", failures), last->group_id,
                                   last->detail));
  }
  return troubles;
}

nlohmann::ordered_json CalibrationScheduler::Status() const {
  nlohmann::ordered_json out;
  for (const auto& [kind, each] : kinds_) {
    out["tables"][kind] = {{"hours_left", each.left_s / 3600}, {"age_hours", each.age_s / 3600}, {"table", each.table}};
  }
  out["missing"] = missing_;
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
