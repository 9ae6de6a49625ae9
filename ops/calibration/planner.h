// What becomes of a group as far as calibration goes: a pure function of the registry, the sky over the group, the
// solves under way and the time. The daemon asks when it takes a group and again whenever something has changed for the
// groups that wait.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "calibrate/choice.h"
#include "calibrate/solve_forecast.h"
#include "config/telescope.h"
#include "config/time.h"

namespace contimg::ops {

// Which solutions a solve makes: everything (K, BP, G; valid for the day) or the gains of the hour.
enum class SolveScope { kDay, kHour };
std::string_view ToString(SolveScope scope);  // "24h", "1h"

using calibrate::SolveForecast;

// A tile that could be solved instead: in the queue, or one that is yet to come.
struct SolveCandidate {
  double time_mjd = 0;
  double bandpass_snr = 0;
};

// A solve that was decided on and has not reported yet.
struct PendingSolve {
  std::string group;
  double time_mjd = 0;
  double declination_deg = 0;
  SolveScope scope = SolveScope::kHour;
};

// One that has.
struct PastSolve {
  std::string group;
  double time_mjd = 0;
  SolveScope scope = SolveScope::kHour;
  bool passed = false;
};

struct PlanRules {
  calibrate::ChoiceRule choice;
  double bandpass_validity_s = kSecondsPerDay;
  double gain_validity_s = kSecondsPerHour;
  double renew_lead_s =
      6 * kSecondsPerHour;               // the day's solve is repeated on the best tile this long before it runs out
  double min_snr = 15;                   // predicted, for a solve
  double wait_limit_s = kSecondsPerDay;  // of a group without tables; 0: for ever
  int failures_until_day = 2;            // hourly solves that fail in a row until everything is solved anew
};

struct PlanInput {
  std::string group;
  double time_mjd = 0;                                               // middle of the tile
  double tile_s = kDsa110IntegrationsPerFile * kDsa110IntegrationS;  // its length
  std::optional<double> declination_deg;       // not known: no solve, and strips are not told apart
  std::vector<calibrate::TableRecord> tables;  // everything of the registry near that time
  std::vector<PendingSolve> pending;           // on other groups
  std::vector<PastSolve> past;                 // near that time
  std::optional<SolveForecast> forecast;       // nothing: this group cannot be solved, `no_forecast` says why
  std::string no_forecast = "solving is off";  // a clause: "its pointing is not known"
  std::vector<SolveCandidate> others;          // within the coming renew_lead_s
  double waited_s = 0;                         // as awaiting_calibration, so far
};

enum class PlanAction {
  kApply,         // choice.delay, .bandpass, .gain serve
  kSolve,         // `scope` on this group; the choice's tables serve should it fail
  kWait,          // nothing serves yet
  kUncalibrated,  // nothing serves and the policy goes on without
  kGiveUp,        // nothing served within the limit
};
std::string_view ToString(PlanAction action);  // "apply", "solve", "wait", "uncalibrated", "give up"

struct Plan {
  PlanAction action = PlanAction::kWait;
  SolveScope scope = SolveScope::kDay;
  calibrate::Choice choice;
  std::string reason;  // one sentence
};

// The rules, in order. Tables and pending solves of another declination strip do not count anywhere.
//   1. Nothing to take out the bandpass with (no BP serves the time): solve everything on this group, if its predicted
//      SNR suffices and no pending solve will serve it.
//   2. The bandpass runs out within renew_lead_s and this is the best tile until then (at least 90 % of the best SNR),
//      or hourly solves have failed failures_until_day times in a row: solve everything.
//   3. No gain serves, or less than two tiles of its validity remain: solve the gains.
//   4. Tables serve (of this time, or borrowed under the policy nearest): apply them.
//   5. The policy: go on uncalibrated, or wait, and give up after the limit.
// A group is not solved twice in the same scope: what failed on it once fails again. Rules 2 and 3 do not renew for
// groups that are older than the newest table of the kind: their time is over.
Plan PlanCalibration(const PlanInput& input, const PlanRules& rules);

// For alerts: seconds from `time_mjd` until no active table of that kind and strip serves any more (0: none does now).
double ServedForSeconds(double time_mjd, double declination_deg, calibrate::SolutionKind kind,
                        const std::vector<calibrate::TableRecord>& tables, const calibrate::ChoiceRule& rule);

}  // namespace contimg::ops
