#include "ops/calibration/planner.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

namespace contimg::ops {
namespace {

using calibrate::MissingPolicy;
using calibrate::SolutionKind;
using calibrate::TableRecord;
using calibrate::TableStatus;

constexpr double kPlanT0 = 60000.25;  // MJD of the middle of a tile
constexpr double kMinute = 1.0 / 1440, kPlanHour = 1.0 / 24;
constexpr double kPlanTile = 309.24;
constexpr double kDec = 16;

TableRecord Table(std::int64_t id, SolutionKind kind, double from, TableStatus status = TableStatus::kActive) {
  TableRecord record;
  record.id = id;
  record.kind = kind;
  record.valid_from_mjd = from;
  record.valid_to_mjd = from + (kind == SolutionKind::kGain ? kPlanHour : 1);
  record.status = status;
  record.declination_deg = kDec;
  return record;
}

// K 1, BP 2 and G 3 of one solve.
std::vector<TableRecord> DaySet(double from, std::int64_t first = 1) {
  auto k = Table(first, SolutionKind::kDelay, from), b = Table(first + 1, SolutionKind::kBandpass, from),
       g = Table(first + 2, SolutionKind::kGain, from);
  b.rests_on = {k.id};
  g.rests_on = {k.id, b.id};
  return {k, b, g};
}

TableRecord Hourly(std::int64_t id, double from, std::int64_t first = 1) {
  auto g = Table(id, SolutionKind::kGain, from);
  g.rests_on = {first, first + 1};
  return g;
}

SolveForecast Bright() { return {"calibrator:3C286", 14, 250, 7000, 20}; }
SolveForecast Field(double bandpass_snr) { return {"field", 1, bandpass_snr, bandpass_snr * 27, 0}; }

PlanInput Group(double time, std::vector<TableRecord> tables = {}) {
  PlanInput input;
  input.group = "2023-02-25T06:00:00";
  input.time_mjd = time;
  input.tile_s = kPlanTile;
  input.declination_deg = kDec;
  input.tables = std::move(tables);
  input.forecast = Field(20);
  return input;
}

struct PlanCase {
  const char* name;
  PlanInput input;
  PlanAction action;
  std::optional<SolveScope> scope;
  const char* reason;  // a part of it
  MissingPolicy policy = MissingPolicy::kWait;
};

class CalibrationPlan : public ::testing::TestWithParam<PlanCase> {};

TEST_P(CalibrationPlan, FollowsTheRules) {
  const PlanCase& c = GetParam();
  PlanRules rules;
  rules.choice.policy = c.policy;
  rules.choice.nearest_limit_s = 30 * 3600;
  const Plan plan = PlanCalibration(c.input, rules);
  EXPECT_EQ(ToString(plan.action), ToString(c.action)) << plan.reason;
  if (c.scope) {
    EXPECT_EQ(ToString(plan.scope), ToString(*c.scope)) << plan.reason;
  }
  EXPECT_NE(plan.reason.find(c.reason), std::string::npos) << plan.reason;
}

PlanInput With(PlanInput input, const std::function<void(PlanInput&)>& change) {
  change(input);
  return input;
}
std::vector<TableRecord> Plus(std::vector<TableRecord> tables, std::initializer_list<TableRecord> more) {
  tables.insert(tables.end(), more);
  return tables;
}

INSTANTIATE_TEST_SUITE_P(
    Table, CalibrationPlan,
    ::testing::Values(
        // Cold start.
        PlanCase{"ColdStartSolvesAtOnce", Group(kPlanT0), PlanAction::kSolve, SolveScope::kDay, "no bandpass serves"},
        PlanCase{"ColdStartNamesTheModel", With(Group(kPlanT0), [](auto& i) { i.forecast = Bright(); }),
                 PlanAction::kSolve, SolveScope::kDay, "calibrator:3C286, 14.00 Jy apparent, predicted SNR 250"},
        PlanCase{"ColdStartNeedsSignal",
                 With(Group(kPlanT0), [](auto& i) { i.forecast = Field(14.9); }),
                 PlanAction::kWait,
                 {},
                 "predicted SNR of a solve on it is 14.9, below 15"},
        PlanCase{"ColdStartSolvesEvenWhereThePolicyWouldGoOn", Group(kPlanT0), PlanAction::kSolve, SolveScope::kDay,
                 "no bandpass serves", MissingPolicy::kUncalibrated},
        PlanCase{"ColdStartSolvesBeforeItBorrows", Group(kPlanT0, DaySet(kPlanT0 - 1.2)), PlanAction::kSolve,
                 SolveScope::kDay, "no bandpass serves", MissingPolicy::kNearest},
        PlanCase{"WithoutForecastItWaits",
                 With(Group(kPlanT0), [](auto& i) { i.forecast.reset(); }),
                 PlanAction::kWait,
                 {},
                 "solving is off"},
        PlanCase{"WithoutPointingItWaits",
                 With(Group(kPlanT0), [](auto& i) { i.declination_deg.reset(); }),
                 PlanAction::kWait,
                 {},
                 "its pointing is not known"},
        PlanCase{"AnotherStripIsAColdStart",
                 With(Group(kPlanT0, DaySet(kPlanT0 - kPlanHour / 4)), [](auto& i) { i.declination_deg = 54.6; }),
                 PlanAction::kSolve, SolveScope::kDay, "no bandpass serves"},
        PlanCase{"RetiredTablesAreAColdStart",
                 Group(kPlanT0, {Table(1, SolutionKind::kBandpass, kPlanT0 - kPlanHour, TableStatus::kRetired),
                                 Table(2, SolutionKind::kGain, kPlanT0 - kPlanHour / 2)}),
                 PlanAction::kSolve, SolveScope::kDay, "no bandpass serves"},
        PlanCase{"FailedTablesAreAColdStart",
                 Group(kPlanT0, {Table(1, SolutionKind::kBandpass, kPlanT0 - kPlanHour, TableStatus::kFailed)}),
                 PlanAction::kSolve, SolveScope::kDay, "no bandpass serves"},
        PlanCase{"WhatFailedHereIsNotTriedAgain",
                 With(Group(kPlanT0),
                      [](auto& i) {
                        i.past = {{i.group, kPlanT0, SolveScope::kDay, false}};
                      }),
                 PlanAction::kWait,
                 {},
                 "failed already"},
        PlanCase{"WhatFailedElsewhereIsTriedHere",
                 With(Group(kPlanT0),
                      [](auto& i) {
                        i.past = {{"another", kPlanT0 - kPlanTile / 86400, SolveScope::kDay, false}};
                      }),
                 PlanAction::kSolve, SolveScope::kDay, "no bandpass serves"},
        // A solve that is under way.
        PlanCase{"APendingSolveIsWaitedFor",
                 With(Group(kPlanT0),
                      [](auto& i) {
                        i.pending = {{"early", kPlanT0 - 5 * kMinute, kDec, SolveScope::kDay}};
                      }),
                 PlanAction::kWait,
                 {},
                 "the solve on early is under way"},
        PlanCase{"APendingSolveServesBackwards",
                 With(Group(kPlanT0),
                      [](auto& i) {
                        i.pending = {{"late", kPlanT0 + 25 * kMinute, kDec, SolveScope::kDay}};
                      }),
                 PlanAction::kWait,
                 {},
                 "the solve on late is under way"},
        PlanCase{"APendingSolveTooLateDoesNotServe",
                 With(Group(kPlanT0),
                      [](auto& i) {
                        i.pending = {{"late", kPlanT0 + 31 * kMinute, kDec, SolveScope::kDay}};
                      }),
                 PlanAction::kSolve, SolveScope::kDay, "no bandpass serves"},
        PlanCase{"APendingSolveOfAnotherStripDoesNotServe",
                 With(Group(kPlanT0),
                      [](auto& i) {
                        i.pending = {{"early", kPlanT0 - 5 * kMinute, 54.6, SolveScope::kDay}};
                      }),
                 PlanAction::kSolve, SolveScope::kDay, "no bandpass serves"},
        PlanCase{"PendingGainsDoNotMakeABandpass",
                 With(Group(kPlanT0),
                      [](auto& i) {
                        i.pending = {{"early", kPlanT0 - 5 * kMinute, kDec, SolveScope::kHour}};
                      }),
                 PlanAction::kSolve, SolveScope::kDay, "no bandpass serves"},
        PlanCase{"PendingGainsAreNotSolvedTwice",
                 With(Group(kPlanT0, DaySet(kPlanT0 - 52 * kMinute)),
                      [](auto& i) {
                        i.pending = {{"early", kPlanT0 - 5 * kMinute, kDec, SolveScope::kHour}};
                      }),
                 PlanAction::kApply,
                 {},
                 "tables of its own time"},
        // The normal course.
        PlanCase{
            "TablesAreApplied", Group(kPlanT0, DaySet(kPlanT0 - 20 * kMinute)), PlanAction::kApply, {}, "its own time"},
        PlanCase{"TablesServeBackwards",
                 Group(kPlanT0, DaySet(kPlanT0 + 20 * kMinute)),
                 PlanAction::kApply,
                 {},
                 "its own time"},
        PlanCase{"GainsAreRenewedBeforeTheyEnd", Group(kPlanT0, DaySet(kPlanT0 - 50 * kMinute)), PlanAction::kSolve,
                 SolveScope::kHour, "the gains run out in 10 min"},
        PlanCase{"GainsWithTwoTilesLeftAreKept",
                 Group(kPlanT0, DaySet(kPlanT0 - kPlanHour + 2 * kPlanTile / 86400 + 1e-8)),
                 PlanAction::kApply,
                 {},
                 "its own time"},
        PlanCase{"GainsWithLessAreNot", Group(kPlanT0, DaySet(kPlanT0 - kPlanHour + 2 * kPlanTile / 86400 - 1e-8)),
                 PlanAction::kSolve, SolveScope::kHour, "the gains run out"},
        PlanCase{"MissingGainsAreSolved", Group(kPlanT0, DaySet(kPlanT0 - 3 * kPlanHour)), PlanAction::kSolve,
                 SolveScope::kHour, "no gains serve"},
        PlanCase{"MissingGainsNeedSignal",
                 With(Group(kPlanT0, DaySet(kPlanT0 - 3 * kPlanHour)), [](auto& i) { i.forecast = Field(0.2); }),
                 PlanAction::kWait,
                 {},
                 "no gain serves this time and the predicted SNR"},
        PlanCase{"WeakFieldsKeepOldGains",
                 With(Group(kPlanT0, DaySet(kPlanT0 - 55 * kMinute)), [](auto& i) { i.forecast = Field(0.2); }),
                 PlanAction::kApply,
                 {},
                 "its own time"},
        PlanCase{"AHourlyGainSucceedsTheDays",
                 Group(kPlanT0, Plus(DaySet(kPlanT0 - 70 * kMinute), {Hourly(9, kPlanT0 - 20 * kMinute)})),
                 PlanAction::kApply,
                 {},
                 "its own time"},
        PlanCase{"BackdatedGroupsAreNotRenewed",
                 Group(kPlanT0, Plus(DaySet(kPlanT0 - 55 * kMinute), {Hourly(9, kPlanT0 + 2 * kPlanHour)})),
                 PlanAction::kApply,
                 {},
                 "its own time"},
        PlanCase{"BackdatedGroupsInAGapAreSolved",
                 Group(kPlanT0, Plus(DaySet(kPlanT0 - 2 * kPlanHour), {Hourly(9, kPlanT0 + 2 * kPlanHour)})),
                 PlanAction::kSolve, SolveScope::kHour, "no gains serve"},
        // The day's renewal.
        PlanCase{"NoRenewalWhileTheDayIsYoung",
                 With(Group(kPlanT0, Plus(DaySet(kPlanT0 - 0.7), {Hourly(9, kPlanT0 - 20 * kMinute)})),
                      [](auto& i) { i.forecast = Bright(); }),
                 PlanAction::kApply,
                 {},
                 "its own time"},
        PlanCase{"TheBestTileIsTaken",
                 With(Group(kPlanT0, Plus(DaySet(kPlanT0 - 0.8), {Hourly(9, kPlanT0 - 20 * kMinute)})),
                      [](auto& i) {
                        i.forecast = Bright();
                        i.others = {{kPlanT0 + kPlanHour, 240}};
                      }),
                 PlanAction::kSolve, SolveScope::kDay, "no better tile comes before"},
        PlanCase{"ABetterTileIsWaitedFor",
                 With(Group(kPlanT0, Plus(DaySet(kPlanT0 - 0.8), {Hourly(9, kPlanT0 - 20 * kMinute)})),
                      [](auto& i) {
                        i.others = {{kPlanT0 + kPlanHour, 250}};
                      }),
                 PlanAction::kApply,
                 {},
                 "its own time"},
        PlanCase{"ABetterTileAfterTheEndIsNot",
                 With(Group(kPlanT0, Plus(DaySet(kPlanT0 - 0.99), {Hourly(9, kPlanT0 - 20 * kMinute)})),
                      [](auto& i) {
                        i.others = {{kPlanT0 + kPlanHour, 250}};
                      }),
                 PlanAction::kSolve, SolveScope::kDay, "the bandpass runs out in 14 min"},
        PlanCase{"APendingRenewalIsNotRepeated",
                 With(Group(kPlanT0, Plus(DaySet(kPlanT0 - 0.8), {Hourly(9, kPlanT0 - 20 * kMinute)})),
                      [](auto& i) {
                        i.forecast = Bright();
                        i.pending = {{"early", kPlanT0 - 5 * kMinute, kDec, SolveScope::kDay}};
                      }),
                 PlanAction::kApply,
                 {},
                 "its own time"},
        PlanCase{"FailingHourlySolvesLeadToANewDay",
                 With(Group(kPlanT0, Plus(DaySet(kPlanT0 - 0.3), {Hourly(9, kPlanT0 - 55 * kMinute)})),
                      [](auto& i) {
                        i.past = {{"a", kPlanT0 - 10 * kMinute, SolveScope::kHour, false},
                                  {"b", kPlanT0 - 5 * kMinute, SolveScope::kHour, false}};
                      }),
                 PlanAction::kSolve, SolveScope::kDay, "the last 2 hourly solves have failed"},
        PlanCase{"ASuccessEndsTheRow",
                 With(Group(kPlanT0, Plus(DaySet(kPlanT0 - 0.3), {Hourly(9, kPlanT0 - 55 * kMinute)})),
                      [](auto& i) {
                        i.past = {{"a", kPlanT0 - 10 * kMinute, SolveScope::kHour, false},
                                  {"b", kPlanT0 - 5 * kMinute, SolveScope::kHour, true}};
                      }),
                 PlanAction::kSolve, SolveScope::kHour, "the gains run out"},
        // Tables that do not belong together.
        PlanCase{"ABandpassWithoutItsDelaysIsNone",
                 Group(kPlanT0, {[] {
                                   auto k =
                                       Table(1, SolutionKind::kDelay, kPlanT0 - kPlanHour / 4, TableStatus::kRetired);
                                   return k;
                                 }(),
                                 DaySet(kPlanT0 - kPlanHour / 4)[1], DaySet(kPlanT0 - kPlanHour / 4)[2]}),
                 PlanAction::kSolve, SolveScope::kDay, "no bandpass serves"},
        PlanCase{"AGainOfAnotherBandpassDoesNotServe",
                 Group(kPlanT0, {DaySet(kPlanT0 - kPlanHour / 4, 11)[0], DaySet(kPlanT0 - kPlanHour / 4, 11)[1],
                                 Hourly(9, kPlanT0 - kPlanHour / 4, 1)}),
                 PlanAction::kSolve, SolveScope::kHour, "no gains serve"},
        // Policies.
        PlanCase{"NearestBorrows",
                 With(Group(kPlanT0, DaySet(kPlanT0 - 1.2)), [](auto& i) { i.forecast = Field(1); }),
                 PlanAction::kApply,
                 {},
                 "borrowed",
                 MissingPolicy::kNearest},
        PlanCase{"NearestHasALimit",
                 With(Group(kPlanT0, DaySet(kPlanT0 - 2.5)), [](auto& i) { i.forecast = Field(1); }),
                 PlanAction::kWait,
                 {},
                 "no bandpass or gain serves",
                 MissingPolicy::kNearest},
        PlanCase{"UncalibratedGoesOn",
                 With(Group(kPlanT0), [](auto& i) { i.forecast = Field(1); }),
                 PlanAction::kUncalibrated,
                 {},
                 "no bandpass or gain serves",
                 MissingPolicy::kUncalibrated},
        PlanCase{"WaitingHasALimit",
                 With(Group(kPlanT0),
                      [](auto& i) {
                        i.forecast = Field(1);
                        i.waited_s = 86400;
                      }),
                 PlanAction::kGiveUp,
                 {},
                 "it has waited for 24.0 h"},
        PlanCase{"JustBeforeTheLimitItWaits",
                 With(Group(kPlanT0),
                      [](auto& i) {
                        i.forecast = Field(1);
                        i.waited_s = 86399;
                      }),
                 PlanAction::kWait,
                 {},
                 "no bandpass or gain serves"}),
    [](const auto& each) { return each.param.name; });

TEST(CalibrationPlanning, ASolveCarriesTheTablesThatServeShouldItFail) {
  const Plan renewal = PlanCalibration(Group(kPlanT0, DaySet(kPlanT0 - 52 * kMinute)), {});
  ASSERT_EQ(renewal.action, PlanAction::kSolve);
  EXPECT_EQ(renewal.choice.outcome, calibrate::ChoiceOutcome::kComplete);
  EXPECT_EQ(renewal.choice.gain, 3);
  const Plan missing = PlanCalibration(Group(kPlanT0, DaySet(kPlanT0 - 3 * kPlanHour)), {});
  ASSERT_EQ(missing.action, PlanAction::kSolve);
  EXPECT_EQ(missing.choice.delay, 1);
  EXPECT_EQ(missing.choice.bandpass, 2);  // what the hourly gain is solved on
  EXPECT_EQ(missing.choice.gain, std::nullopt);
}

// A day of a drift scan, tile by tile: nothing is ever without tables, one solve of everything a day, on the
// calibrator, and a gain every hour at most.
TEST(CalibrationPlanning, ADriftScanIsServedThroughout) {
  const double tile = kPlanTile / 86400;
  const double transit_every = 86164.0905 / 86400;
  const double first_transit = kPlanT0 + 0.31;
  std::vector<TableRecord> tables;
  const auto forecast_at = [&](double t) {
    const double phase = std::remainder(t - first_transit, transit_every) * 86400;
    return std::abs(phase) < 0.5 * kPlanTile ? Bright() : Field(20);
  };
  std::vector<double> days;
  int hours = 0;
  std::int64_t next = 1, day_first = 0;
  for (int i = 0; i < 3 * 280; ++i) {
    const double t = kPlanT0 + i * tile;
    PlanInput input = Group(t, tables);
    input.group = std::to_string(i);
    input.forecast = forecast_at(t);
    for (int k = 1; k <= 70; ++k) input.others.push_back({t + k * tile, forecast_at(t + k * tile).bandpass_snr});
    const Plan plan = PlanCalibration(input, {});
    if (plan.action == PlanAction::kSolve && plan.scope == SolveScope::kDay) {
      const bool cold = i == 0;
      EXPECT_EQ(plan.choice.outcome == calibrate::ChoiceOutcome::kComplete, !cold) << i;
      days.push_back(t);
      day_first = next;
      for (const auto& each : DaySet(t, next)) tables.push_back(each);
      next += 3;
    } else if (plan.action == PlanAction::kSolve) {
      EXPECT_EQ(plan.choice.outcome, calibrate::ChoiceOutcome::kComplete) << i;
      ++hours;
      tables.push_back(Hourly(next++, t, day_first));
    } else {
      EXPECT_EQ(plan.action, PlanAction::kApply) << i << " " << plan.reason;
    }
  }
  // Cold start; the first transit (7.4 h later) is outside the renewal window, so a field serves once more, then the
  // calibrator of each day.
  ASSERT_GE(days.size(), 3u);
  ASSERT_LE(days.size(), 5u);
  EXPECT_EQ(forecast_at(days.back()).model, "calibrator:3C286");
  EXPECT_GE(hours, 3 * 24 - 6);
  EXPECT_LE(hours, 3 * 24 * 60 / 50 + 6);
}

// A backlog of six hours, tile by tile in the queue's order.
struct Backlog {
  int n_tiles = 70, days = 0, hours = 0;

  explicit Backlog(bool newest_first) {
    const double tile = kPlanTile / 86400;
    std::vector<TableRecord> tables;
    std::int64_t next = 1;
    for (int i = 0; i < n_tiles; ++i) {
      const double t = kPlanT0 + (newest_first ? -i : i) * tile;
      PlanInput input = Group(t, tables);
      input.group = std::to_string(i);
      const Plan plan = PlanCalibration(input, {});
      if (plan.action == PlanAction::kSolve && plan.scope == SolveScope::kDay) {
        ++days;
        for (const auto& each : DaySet(t, next)) tables.push_back(each);
        next += 3;
      } else if (plan.action == PlanAction::kSolve) {
        ++hours;
        EXPECT_TRUE(plan.choice.bandpass.has_value());
        tables.push_back(Hourly(next++, t, plan.choice.delay.value_or(0)));
      } else {
        EXPECT_EQ(plan.action, PlanAction::kApply) << i << " " << plan.reason;
        EXPECT_EQ(plan.choice.outcome, calibrate::ChoiceOutcome::kComplete) << i;
      }
    }
  }
};

// Tables reach 30 minutes back: newest first every sixth tile (31 min) finds none and is solved, everything anew;
// oldest first one solve of everything and gains every ten tiles do. Nothing waits in either order.
TEST(CalibrationPlanning, ABacklogIsSolvedAsOftenAsItsOrderNeeds) {
  const Backlog newest(true), oldest(false);
  EXPECT_EQ(newest.days, (newest.n_tiles + 5) / 6);
  EXPECT_EQ(newest.hours, 0);
  EXPECT_EQ(oldest.days, 1);
  EXPECT_NEAR(oldest.hours, oldest.n_tiles / 10, 1);
}

}  // namespace
}  // namespace contimg::ops
