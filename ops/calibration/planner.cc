#include "ops/calibration/planner.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "config/time.h"

namespace contimg::ops {

namespace {

using calibrate::Choice;
using calibrate::ChoiceOutcome;
using calibrate::SolutionKind;
using calibrate::TableRecord;
using calibrate::TableStatus;

constexpr double kGoodEnough = 0.9;  // of the best SNR to come
constexpr double kTilesLeft = 2;

bool SameStrip(double a, double b, const calibrate::ChoiceRule& rule) {
  return !(rule.max_declination_offset_deg > 0) || std::abs(a - b) <= rule.max_declination_offset_deg;
}

std::string Hours(double seconds) {
  return seconds < 5400 ? fmt::format("{:.0f} min", seconds / 60) : fmt::format("{:.1f} h", seconds / kSecondsPerHour);
}

// The strip's tables of one kind that count, and how long they serve from a time on.
struct Coverage {
  std::vector<TableRecord> active;   // and those that pending solves will make
  std::optional<double> newest_mjd;  // valid_from of the last one

  Coverage(SolutionKind kind, const PlanInput& input, const PlanRules& rules) {
    for (const TableRecord& record : input.tables) {
      if (record.kind != kind || record.status != TableStatus::kActive) continue;
      if (!SameStrip(record.declination_deg, *input.declination_deg, rules.choice)) continue;
      active.push_back(record);
    }
    for (const PendingSolve& solve : input.pending) {
      if (solve.scope == SolveScope::kHour && kind != SolutionKind::kGain) continue;
      if (!SameStrip(solve.declination_deg, *input.declination_deg, rules.choice)) continue;
      TableRecord record;
      record.kind = kind;
      record.valid_from_mjd = solve.time_mjd;
      const double validity = kind == SolutionKind::kGain ? rules.gain_validity_s : rules.bandpass_validity_s;
      record.valid_to_mjd = solve.time_mjd + validity / kSecondsPerDay;
      active.push_back(record);
    }
    for (const TableRecord& record : active) {
      newest_mjd = std::max(newest_mjd.value_or(record.valid_from_mjd), record.valid_from_mjd);
    }
  }

  // Seconds from `time_mjd`, a table that begins within the backward limit included.
  double ServedFor(double time_mjd, SolutionKind kind, double backward_s) const {
    double served = calibrate::CoveredForSeconds(time_mjd, kind, active);
    if (served > 0) return served;
    for (const TableRecord& record : active) {
      const double ahead = (record.valid_from_mjd - time_mjd) * kSecondsPerDay;
      if (ahead > 0 && ahead <= backward_s + 1e-6) {
        served = std::max(served, ahead + calibrate::CoveredForSeconds(record.valid_from_mjd, kind, active));
      }
    }
    return served;
  }

  bool IsPast(double time_mjd) const { return newest_mjd && *newest_mjd > time_mjd + 1e-9; }
};

// A pending solve whose tables will serve the group.
const PendingSolve* WillServe(const PlanInput& input, const PlanRules& rules, bool need_bandpass) {
  for (const PendingSolve& solve : input.pending) {
    if (need_bandpass && solve.scope != SolveScope::kDay) continue;
    if (!SameStrip(solve.declination_deg, *input.declination_deg, rules.choice)) continue;
    const double after = (input.time_mjd - solve.time_mjd) * kSecondsPerDay;
    if (after >= -rules.choice.backward_s && after < rules.gain_validity_s) return &solve;
  }
  return nullptr;
}

// Hourly solves before this time that failed one after the other.
int FailuresInARow(const PlanInput& input) {
  std::vector<PastSolve> before;
  for (const PastSolve& solve : input.past) {
    if (solve.time_mjd < input.time_mjd) before.push_back(solve);
  }
  std::sort(before.begin(), before.end(),
            [](const PastSolve& a, const PastSolve& b) { return a.time_mjd > b.time_mjd; });
  int failures = 0;
  for (const PastSolve& solve : before) {
    if (solve.passed || solve.scope == SolveScope::kDay) break;
    ++failures;
  }
  return failures;
}

bool FailedBefore(const PlanInput& input, SolveScope scope) {
  return std::any_of(input.past.begin(), input.past.end(), [&](const PastSolve& solve) {
    return solve.group == input.group && solve.scope == scope && !solve.passed;
  });
}

// What the sky over the group is good for.
std::string Describe(const SolveForecast& forecast, double snr) {
  return fmt::format("{}, {:.2f} Jy apparent, predicted SNR {:.0f}", forecast.model, forecast.signal_jy, snr);
}

struct Decision {
  std::optional<SolveScope> solve;
  bool wait = false;   // for a pending solve
  std::string reason;  // of the solve or the wait; else why this group is not solved
};

// Rules 1 to 3.
Decision DecideSolve(const PlanInput& input, const PlanRules& rules, bool has_bandpass, bool has_gain) {
  const SolveForecast& forecast = *input.forecast;
  const Coverage bandpass(SolutionKind::kBandpass, input, rules), gain(SolutionKind::kGain, input, rules);
  const double bandpass_left = bandpass.ServedFor(input.time_mjd, SolutionKind::kBandpass, rules.choice.backward_s);
  const double gain_left = gain.ServedFor(input.time_mjd, SolutionKind::kGain, rules.choice.backward_s);
  const bool day_possible = forecast.bandpass_snr >= rules.min_snr && !FailedBefore(input, SolveScope::kDay);
  const auto day = [&](const std::string& why) {
    return Decision{SolveScope::kDay, false, fmt::format("{}: {}", why, Describe(forecast, forecast.bandpass_snr))};
  };
  const auto not_possible = [&](SolveScope scope, double snr) {
    Decision out;
    out.reason = FailedBefore(input, scope)
                     ? "a solve on this group has failed already"
                     : fmt::format(
                           "the predicted SNR of a solve on it is {:.1f}, below {:.0f} ({}, {:.2f} Jy "
                           "apparent)",
                           snr, rules.min_snr, forecast.model, forecast.signal_jy);
    return out;
  };

  if (!has_bandpass) {
    if (const PendingSolve* solve = WillServe(input, rules, true)) {
      return {{}, true, fmt::format("the solve on {} is under way", solve->group)};
    }
    if (day_possible) return day("no bandpass serves this time");
    return not_possible(SolveScope::kDay, forecast.bandpass_snr);
  }
  if (day_possible && !bandpass.IsPast(input.time_mjd)) {
    if (bandpass_left < rules.renew_lead_s) {
      double best = 0;
      for (const SolveCandidate& other : input.others) {
        const double ahead = (other.time_mjd - input.time_mjd) * kSecondsPerDay;
        if (ahead >= 0 && ahead < bandpass_left) best = std::max(best, other.bandpass_snr);
      }
      if (forecast.bandpass_snr >= kGoodEnough * best) {
        return day(fmt::format("the bandpass runs out in {} and no better tile comes before", Hours(bandpass_left)));
      }
    }
    const int failures = FailuresInARow(input);
    if (failures >= rules.failures_until_day) {
      return day(fmt::format("the last {} hourly solves have failed", failures));
    }
  }
  const bool hour_possible = forecast.gain_snr >= rules.min_snr && !FailedBefore(input, SolveScope::kHour);
  if (!has_gain) {
    if (const PendingSolve* solve = WillServe(input, rules, false)) {
      return {{}, true, fmt::format("the solve on {} is under way", solve->group)};
    }
    if (!hour_possible) return not_possible(SolveScope::kHour, forecast.gain_snr);
    return {SolveScope::kHour, false, "no gains serve this time: " + Describe(forecast, forecast.gain_snr)};
  }
  if (hour_possible && !gain.IsPast(input.time_mjd) && gain_left < kTilesLeft * input.tile_s) {
    return {SolveScope::kHour, false,
            fmt::format("the gains run out in {}: {}", Hours(gain_left), Describe(forecast, forecast.gain_snr))};
  }
  return {};
}

}  // namespace

std::string_view ToString(SolveScope scope) { return scope == SolveScope::kDay ? "24h" : "1h"; }

std::string_view ToString(PlanAction action) {
  switch (action) {
    case PlanAction::kApply:
      return "apply";
    case PlanAction::kSolve:
      return "solve";
    case PlanAction::kWait:
      return "wait";
    case PlanAction::kUncalibrated:
      return "uncalibrated";
    case PlanAction::kGiveUp:
      return "give up";
  }
  return "";
}

Plan PlanCalibration(const PlanInput& input, const PlanRules& rules) {
  Plan plan;
  calibrate::ChoiceRule rule = rules.choice;
  if (!input.declination_deg) rule.max_declination_offset_deg = 0;
  const double declination = input.declination_deg.value_or(0);
  plan.choice = ChooseTables(input.time_mjd, declination, input.tables, rule);

  std::string not_solved;
  if (input.forecast && input.declination_deg) {
    // What really serves this time decides about solving; what the policy would borrow does not.
    calibrate::ChoiceRule own = rule;
    own.policy = calibrate::MissingPolicy::kWait;
    const Choice serving = ChooseTables(input.time_mjd, declination, input.tables, own);
    const bool complete = serving.outcome == ChoiceOutcome::kComplete;
    const Decision decision = DecideSolve(input, rules, serving.bandpass.has_value(), complete);
    if (decision.solve) {
      plan.action = PlanAction::kSolve;
      plan.scope = *decision.solve;
      plan.choice = serving;
      plan.reason = decision.reason;
      return plan;
    }
    if (decision.wait) {
      plan.action = PlanAction::kWait;
      plan.choice = serving;
      plan.reason = decision.reason;
      return plan;
    }
    not_solved = decision.reason;
  } else {
    not_solved = input.declination_deg ? input.no_forecast : "its pointing is not known";
  }

  if (plan.choice.outcome == ChoiceOutcome::kComplete) {
    plan.action = PlanAction::kApply;
    plan.reason = plan.choice.borrowed ? "borrowed tables of another time (calibrate.policy = nearest)"
                                       : "tables of its own time";
    return plan;
  }
  std::string missing;
  if (!plan.choice.bandpass) missing = "bandpass";
  if (!plan.choice.gain) missing += missing.empty() ? "gain" : " or gain";
  if (missing.empty()) missing = "complete set of tables";
  plan.reason = fmt::format("no {} serves this time", missing);
  if (!not_solved.empty()) plan.reason += " and " + not_solved;
  if (plan.choice.outcome == ChoiceOutcome::kUncalibrated) {
    plan.action = PlanAction::kUncalibrated;
  } else if (rules.wait_limit_s > 0 && input.waited_s >= rules.wait_limit_s) {
    plan.action = PlanAction::kGiveUp;
    plan.reason += fmt::format("; it has waited for {}", Hours(input.waited_s));
  } else {
    plan.action = PlanAction::kWait;
  }
  return plan;
}

double ServedForSeconds(double time_mjd, double declination_deg, SolutionKind kind,
                        const std::vector<TableRecord>& tables, const calibrate::ChoiceRule& rule) {
  PlanInput input;
  input.time_mjd = time_mjd;
  input.declination_deg = declination_deg;
  input.tables = tables;
  PlanRules rules;
  rules.choice = rule;
  return Coverage(kind, input, rules).ServedFor(time_mjd, kind, rule.backward_s);
}

}  // namespace contimg::ops
