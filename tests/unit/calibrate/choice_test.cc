#include "calibrate/choice.h"

#include <gtest/gtest.h>

#include <functional>

namespace contimg::calibrate {
namespace {

constexpr double kDay = 60000;        // an MJD
constexpr double kUs = 1e-6 / 86400;  // one microsecond in days
constexpr double kHour = 1.0 / 24;

TableRecord Table(std::int64_t id, SolutionKind kind, double from, double to,
                  TableStatus status = TableStatus::kActive) {
  TableRecord record;
  record.id = id;
  record.kind = kind;
  record.valid_from_mjd = from;
  record.valid_to_mjd = to;
  record.status = status;
  record.declination_deg = 16;
  return record;
}
constexpr auto kB = SolutionKind::kBandpass;
constexpr auto kG = SolutionKind::kGain;
constexpr auto kK = SolutionKind::kDelay;

ChoiceRule Strict() {
  ChoiceRule rule;
  rule.backward_s = 0;
  return rule;
}

struct WindowCase {
  const char* name;
  double time;
  std::vector<TableRecord> records;
  std::optional<std::int64_t> gain;
  double backward_s = 0;
  MissingPolicy policy = MissingPolicy::kWait;
};

class ChooseTablesWindow : public ::testing::TestWithParam<WindowCase> {};

TEST_P(ChooseTablesWindow, TakesTheTableOfTheRule) {
  const WindowCase& c = GetParam();
  ChoiceRule rule = Strict();
  rule.backward_s = c.backward_s;
  rule.policy = c.policy;
  rule.nearest_limit_s = 3600;
  const Choice choice = ChooseTables(c.time, 16, c.records, rule);
  EXPECT_EQ(choice.gain, c.gain);
  ASSERT_EQ(choice.verdicts.size(), c.records.size());
  for (std::size_t i = 0; i < c.records.size(); ++i) {
    EXPECT_EQ(choice.verdicts[i].id, c.records[i].id);
    EXPECT_EQ(choice.verdicts[i].chosen, c.records[i].kind != kG || c.gain == c.records[i].id);
    EXPECT_FALSE(choice.verdicts[i].reason.empty());
  }
}

const double kFrom = kDay + 0.25, kTo = kFrom + kHour;
INSTANTIATE_TEST_SUITE_P(
    Table, ChooseTablesWindow,
    ::testing::Values(
        WindowCase{"NoTables", kFrom, {}, {}}, WindowCase{"Inside", kFrom + 0.01, {Table(1, kG, kFrom, kTo)}, 1},
        WindowCase{"AtTheStart", kFrom, {Table(1, kG, kFrom, kTo)}, 1},
        WindowCase{"AMicrosecondBeforeTheStart", kFrom - kUs, {Table(1, kG, kFrom, kTo)}, {}},
        WindowCase{"AMicrosecondAfterTheStart", kFrom + kUs, {Table(1, kG, kFrom, kTo)}, 1},
        WindowCase{"AMicrosecondBeforeTheEnd", kTo - kUs, {Table(1, kG, kFrom, kTo)}, 1},
        WindowCase{"AtTheEnd", kTo, {Table(1, kG, kFrom, kTo)}, {}},
        WindowCase{"AMicrosecondAfterTheEnd", kTo + kUs, {Table(1, kG, kFrom, kTo)}, {}},
        WindowCase{"JoinedWindowsGoToTheLater", kTo, {Table(1, kG, kFrom, kTo), Table(2, kG, kTo, kTo + kHour)}, 2},
        WindowCase{"JoinedWindowsJustBefore", kTo - kUs, {Table(1, kG, kFrom, kTo), Table(2, kG, kTo, kTo + kHour)}, 1},
        WindowCase{"OverlapTakesTheLargestFrom",
                   kTo - 0.001,
                   {Table(1, kG, kFrom, kTo), Table(2, kG, kFrom + 0.02, kTo + 0.02), Table(3, kG, kFrom + 0.01, kTo)},
                   2},
        WindowCase{"OverlapIgnoresTheOneYetToCome",
                   kFrom + 0.005,
                   {Table(1, kG, kFrom, kTo), Table(2, kG, kFrom + 0.02, kTo + 0.02)},
                   1},
        WindowCase{"TieTakesTheLargerId", kFrom, {Table(7, kG, kFrom, kTo), Table(5, kG, kFrom, kTo)}, 7},
        WindowCase{"TieTakesTheLargerIdInAnyOrder", kFrom, {Table(5, kG, kFrom, kTo), Table(7, kG, kFrom, kTo)}, 7},
        WindowCase{"TieWithinAMicrosecondIsATie",
                   kFrom + 0.01,
                   {Table(7, kG, kFrom, kTo), Table(5, kG, kFrom + 0.2 * kUs, kTo)},
                   7},
        WindowCase{"RetiredIsNotTaken",
                   kFrom,
                   {Table(1, kG, kFrom - 0.01, kTo), Table(2, kG, kFrom, kTo, TableStatus::kRetired)},
                   1},
        WindowCase{"FailedIsNotTaken",
                   kFrom,
                   {Table(1, kG, kFrom - 0.01, kTo), Table(2, kG, kFrom, kTo, TableStatus::kFailed)},
                   1},
        WindowCase{"MissingIsNotTaken",
                   kFrom,
                   {Table(1, kG, kFrom - 0.01, kTo), Table(2, kG, kFrom, kTo, TableStatus::kMissing)},
                   1},
        WindowCase{"OnlyRetired", kFrom, {Table(2, kG, kFrom, kTo, TableStatus::kRetired)}, {}},
        WindowCase{"EmptyWindow", kFrom, {Table(2, kG, kFrom, kFrom)}, {}},
        WindowCase{"ReversedWindow", kFrom, {Table(2, kG, kTo, kFrom)}, {}},
        WindowCase{"CrossesMidnight", kDay + 1 + 0.01, {Table(1, kG, kDay + 1 - 0.02, kDay + 1 - 0.02 + kHour)}, 1},
        WindowCase{"MidnightItself", kDay + 1, {Table(1, kG, kDay + 1, kDay + 1 + kHour)}, 1},
        WindowCase{"Stale", kFrom + 18, {Table(1, kG, kFrom, kTo)}, {}},
        WindowCase{"OtherKind", kFrom, {Table(1, kB, kFrom, kTo)}, {}},
        WindowCase{"BackwardWithinTheLimit", kFrom - 0.02, {Table(1, kG, kFrom, kTo)}, 1, 1800},
        WindowCase{"BackwardAtTheLimit", kFrom - 1800.0 / 86400, {Table(1, kG, kFrom, kTo)}, 1, 1800},
        WindowCase{"BackwardBeyondTheLimit", kFrom - 1800.0 / 86400 - kUs, {Table(1, kG, kFrom, kTo)}, {}, 1800},
        WindowCase{"CoveringGoesBeforeBackward",
                   kFrom + 0.03,
                   {Table(1, kG, kFrom, kTo), Table(2, kG, kFrom + 0.031, kTo + 0.031)},
                   1,
                   1800},
        WindowCase{"BackwardTakesTheNearer",
                   kFrom - 0.01,
                   {Table(2, kG, kFrom + 0.001, kTo), Table(1, kG, kFrom, kTo)},
                   1,
                   1800},
        WindowCase{"NearestBorrowsAnExpiredOne",
                   kTo + 0.03,
                   {Table(1, kG, kFrom, kTo), Table(2, kG, kFrom - 1, kTo - 1)},
                   1,
                   0,
                   MissingPolicy::kNearest},
        WindowCase{"NearestHasALimit", kTo + 0.05, {Table(1, kG, kFrom, kTo)}, {}, 0, MissingPolicy::kNearest},
        WindowCase{"NearestTakesTheCloserSide",
                   kTo + 0.03,
                   {Table(1, kG, kFrom, kTo), Table(2, kG, kTo + 0.04, kTo + 0.08)},
                   2,
                   0,
                   MissingPolicy::kNearest},
        WindowCase{"NearestNeverTakesARetiredOne",
                   kTo + 0.01,
                   {Table(1, kG, kFrom, kTo, TableStatus::kRetired)},
                   {},
                   0,
                   MissingPolicy::kNearest}),
    [](const auto& each) { return each.param.name; });

TEST(ChooseTables, NeedsBothBandpassAndGain) {
  const auto both = std::vector{Table(1, kB, kFrom, kFrom + 1), Table(2, kG, kFrom, kTo)};
  EXPECT_EQ(ChooseTables(kFrom, 16, both, Strict()).outcome, ChoiceOutcome::kComplete);
  EXPECT_EQ(ChooseTables(kFrom, 16, {both[0]}, Strict()).outcome, ChoiceOutcome::kWait);
  EXPECT_EQ(ChooseTables(kFrom, 16, {both[1]}, Strict()).outcome, ChoiceOutcome::kWait);
  ChoiceRule rule = Strict();
  rule.need_delay = true;
  EXPECT_EQ(ChooseTables(kFrom, 16, both, rule).outcome, ChoiceOutcome::kWait);
  auto all = both;
  all.push_back(Table(3, kK, kFrom, kFrom + 1));
  const Choice choice = ChooseTables(kFrom, 16, all, rule);
  EXPECT_EQ(choice.outcome, ChoiceOutcome::kComplete);
  EXPECT_EQ(choice.delay, 3);
  EXPECT_EQ(choice.bandpass, 1);
}

TEST(ChooseTables, EachKindHasItsOwnWindow) {
  // Two hours after the solve the bandpass still holds, its gain does not.
  const auto records = std::vector{Table(1, kB, kFrom, kFrom + 1), Table(2, kG, kFrom, kTo),
                                   Table(3, kG, kFrom + 1.5 * kHour, kFrom + 2.5 * kHour)};
  const Choice choice = ChooseTables(kFrom + 2 * kHour, 16, records, Strict());
  EXPECT_EQ(choice.bandpass, 1);
  EXPECT_EQ(choice.gain, 3);
}

TEST(ChooseTables, PolicyDecidesWhatHappensWithout) {
  ChoiceRule rule = Strict();
  EXPECT_EQ(ChooseTables(kFrom, 16, {}, rule).outcome, ChoiceOutcome::kWait);
  rule.policy = MissingPolicy::kUncalibrated;
  EXPECT_EQ(ChooseTables(kFrom, 16, {}, rule).outcome, ChoiceOutcome::kUncalibrated);
  rule.policy = MissingPolicy::kNearest;
  EXPECT_EQ(ChooseTables(kFrom, 16, {}, rule).outcome, ChoiceOutcome::kWait);
  const auto expired = std::vector{Table(1, kB, kFrom - 1, kFrom - 0.01), Table(2, kG, kFrom - 1, kFrom - 0.01)};
  const Choice choice = ChooseTables(kFrom, 16, expired, rule);
  EXPECT_EQ(choice.outcome, ChoiceOutcome::kComplete);
  EXPECT_TRUE(choice.borrowed);
}

TEST(ChooseTables, AnotherDeclinationStripDoesNotCount) {
  auto record = Table(2, kG, kFrom, kTo);
  record.declination_deg = 54.6;
  EXPECT_EQ(ChooseTables(kFrom, 16, {record}, Strict()).gain, std::nullopt);
  EXPECT_EQ(ChooseTables(kFrom, 53, {record}, Strict()).gain, 2);
  ChoiceRule rule = Strict();
  rule.max_declination_offset_deg = 0;
  EXPECT_EQ(ChooseTables(kFrom, 16, {record}, rule).gain, 2);
}

// Two days' solves (K, BP, G: 1–3 and 11–13) and what is wrong with one table of the second.
struct CompanionCase {
  const char* name;
  std::function<void(std::vector<TableRecord>&)> change;
  std::optional<std::int64_t> delay, bandpass, gain;
  ChoiceOutcome outcome;
};

class ChooseTablesCompanions : public ::testing::TestWithParam<CompanionCase> {};

std::vector<TableRecord> DaySet(double from, std::int64_t first) {
  auto k = Table(first, kK, from, from + 1), b = Table(first + 1, kB, from, from + 1),
       g = Table(first + 2, kG, from, from + kHour);
  b.rests_on = {k.id};
  g.rests_on = {k.id, b.id};
  for (TableRecord* each : {&k, &b, &g}) each->refant = "24";
  return {k, b, g};
}

TEST_P(ChooseTablesCompanions, ServeTogetherOrNotAtAll) {
  const CompanionCase& c = GetParam();
  auto records = DaySet(kFrom, 1);
  for (const auto& each : DaySet(kFrom + 0.5 * kHour, 11)) records.push_back(each);
  c.change(records);
  const Choice choice = ChooseTables(kFrom + 0.75 * kHour, 16, records, Strict());
  EXPECT_EQ(choice.outcome, c.outcome);
  EXPECT_EQ(choice.delay, c.delay);
  EXPECT_EQ(choice.bandpass, c.bandpass);
  EXPECT_EQ(choice.gain, c.gain);
  for (const TableVerdict& verdict : choice.verdicts) EXPECT_FALSE(verdict.reason.empty()) << verdict.id;
}

constexpr auto kDone = ChoiceOutcome::kComplete;
INSTANTIATE_TEST_SUITE_P(
    Table, ChooseTablesCompanions,
    ::testing::Values(CompanionCase{"TheNewerSetWhole", [](auto&) {}, 11, 12, 13, kDone},
                      CompanionCase{"AFailedGainLeavesTheOlderSet", [](auto& r) { r[5].status = TableStatus::kFailed; },
                                    1, 2, 3, kDone},
                      CompanionCase{"ARetiredDelayLeavesTheOlderSet",
                                    [](auto& r) { r[3].status = TableStatus::kRetired; }, 1, 2, 3, kDone},
                      CompanionCase{"AFailedBandpassLeavesTheOlderSet",
                                    [](auto& r) { r[4].status = TableStatus::kFailed; }, 1, 2, 3, kDone},
                      CompanionCase{"AGainOfAnotherReferenceLeavesTheOlderSet", [](auto& r) { r[5].refant = "103"; }, 1,
                                    2, 3, kDone},
                      CompanionCase{"AnHourlyGainOnTheNewerBandpass",
                                    [](auto& r) {
                                      r[5].status = TableStatus::kFailed;
                                      auto g = Table(20, kG, kFrom + 0.7 * kHour, kTo + 0.7 * kHour);
                                      g.rests_on = {11, 12};
                                      g.refant = "24";
                                      r.push_back(g);
                                    },
                                    11, 12, 20, kDone},
                      CompanionCase{"AnHourlyGainOnTheOlderBandpassStaysThere",
                                    [](auto& r) {
                                      auto g = Table(20, kG, kFrom + 0.7 * kHour, kTo + 0.7 * kHour);
                                      g.rests_on = {1, 2};
                                      r.push_back(g);
                                    },
                                    11, 12, 13, kDone},
                      CompanionCase{"TablesByHandAreTakenOnTrust",
                                    [](auto& r) {
                                      for (auto& each : r) each.rests_on.clear();
                                    },
                                    11, 12, 13, kDone},
                      CompanionCase{"NoGainAtAllShowsTheNewerBandpass",
                                    [](auto& r) { r[2].status = r[5].status = TableStatus::kRetired; }, 11, 12,
                                    std::nullopt, ChoiceOutcome::kWait},
                      CompanionCase{"NoDelaysAtAllShowsNoBandpass",
                                    [](auto& r) { r[0].status = r[3].status = TableStatus::kRetired; }, std::nullopt,
                                    std::nullopt, 13, ChoiceOutcome::kWait}),
    [](const auto& each) { return each.param.name; });

TEST(ChooseTables, SaysWhyACompanionIsRefused) {
  auto records = DaySet(kFrom, 1);
  records[2].refant = "103";
  const Choice choice = ChooseTables(kFrom + 0.01, 16, records, Strict());
  EXPECT_EQ(choice.outcome, ChoiceOutcome::kWait);
  EXPECT_EQ(choice.gain, std::nullopt);
  EXPECT_NE(choice.verdicts[2].reason.find("refers to antenna 103, table 2 to 24"), std::string::npos)
      << choice.verdicts[2].reason;
}

TEST(CoveredForSeconds, FollowsJoinedWindows) {
  const auto records = std::vector{Table(1, kG, kFrom, kTo), Table(2, kG, kTo, kTo + kHour),
                                   Table(3, kG, kTo + 2 * kHour, kTo + 3 * kHour),
                                   Table(4, kG, kTo + kHour, kTo + 2 * kHour, TableStatus::kRetired)};
  EXPECT_NEAR(CoveredForSeconds(kFrom + 0.5 * kHour, kG, records), 5400, 1e-3);
  EXPECT_EQ(CoveredForSeconds(kFrom - kHour, kG, records), 0);
  EXPECT_EQ(CoveredForSeconds(kFrom, kB, records), 0);
}

}  // namespace
}  // namespace contimg::calibrate
