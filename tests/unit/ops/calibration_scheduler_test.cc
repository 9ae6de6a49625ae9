// Which groups solve, which tables serve, what becomes of groups that wait.
#include "ops/calibration/scheduler.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/unit/ops/calibration_scheduler_fixture.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using state::GroupState;

// Why an image is of uncalibrated data is known afterwards, too.
TEST_F(CalibrationSchedulerTest, AnUncalibratedGroupKeepsTheReasonWhyNoTableServed) {
  settings_.calibrate.policy = "uncalibrated";
  settings_.calibrate.schedule = false;
  scheduler_->Apply(settings_);
  const auto group = Group(0);
  Plan(group);
  state::CalTableStore store(paths_->Database(StateDatabase::kCalRegistry));
  const std::string reason = store.Choices(group.id).at(0).reason;
  EXPECT_NE(reason.find("no bandpass or gain serves this time"), std::string::npos) << reason;
  JobReport report;
  report.group = group.id;
  report.next_state = "done";
  EXPECT_FALSE(scheduler_->Record(group, report, now_));
  for (const state::CalChoiceRow& choice : store.Choices(group.id)) {
    EXPECT_EQ(choice.reason, reason) << choice.kind;
    EXPECT_FALSE(choice.table_id);
  }
}

TEST_F(CalibrationSchedulerTest, AColdStartSolvesEverythingAndTheNextGroupIsServed) {
  const auto first = Group(0);
  const Job job = Plan(first);
  EXPECT_EQ(job.stages, (std::vector<std::string>{"convert", "flag", "solve", "apply", "refine", "image", "measure"}));
  ASSERT_TRUE(job.solve);
  EXPECT_EQ(job.solve->kinds, (std::vector<std::string>{"K", "BP", "G"}));
  EXPECT_EQ(job.solve->model, "field");
  EXPECT_EQ(job.solve->interval, "24h");
  EXPECT_EQ(job.solve->prefix, paths_->CalTablePrefix(first.id, CalInterval::k24Hours));
  EXPECT_TRUE(fs::exists(job.sky_model));
  EXPECT_TRUE(job.tables.empty());
  Finish(first, Solve(job));

  state::CalTableStore store(paths_->Database(StateDatabase::kCalRegistry));
  const auto tables = store.List({});
  ASSERT_EQ(tables.size(), 3u);  // BP, G, K
  EXPECT_EQ(tables[0].status, "active");
  EXPECT_EQ(tables[0].rests_on, (std::vector<std::int64_t>{tables[2].id}));
  EXPECT_EQ(tables[1].rests_on, (std::vector<std::int64_t>{tables[2].id, tables[0].id}));
  EXPECT_EQ(store.SolvesOf(first.id).at(0).outcome, "passed");
  EXPECT_EQ(store.Choices(first.id).at(0).reason, "solved on this group");

  const auto second = Group(1);
  const Job applied = Plan(second);
  EXPECT_EQ(applied.stages, (std::vector<std::string>{"convert", "flag", "apply", "refine", "image", "measure"}));
  EXPECT_EQ(applied.tables.size(), 3u);
  EXPECT_EQ(store.Decision(second.id)->action, "apply");
  EXPECT_EQ(store.Choices(second.id).at(1).table_id, tables[1].id);
}

TEST_F(CalibrationSchedulerTest, HourlyGainsRestOnTheDaysTablesAndAreAnchored) {
  const auto first = Group(0);
  Finish(first, Solve(Plan(first)));
  const auto later = Group(11);  // 56.7 minutes on: less than two tiles of validity remain
  const Job job = Plan(later);
  ASSERT_TRUE(job.solve);
  EXPECT_EQ(job.solve->kinds, (std::vector<std::string>{"G"}));
  EXPECT_EQ(job.solve->interval, "1h");
  ASSERT_EQ(job.solve->apply.size(), 2u);
  EXPECT_EQ(job.solve->apply[0].kind, "K");
  EXPECT_EQ(job.solve->apply[1].kind, "BP");
  EXPECT_EQ(job.solve->reference_antennas, (std::vector<std::string>{"24"}));
  ASSERT_TRUE(job.solve->anchor);
  EXPECT_EQ(job.solve->anchor->path.extension(), ".gpcal");
  EXPECT_EQ(job.solve->previous.at(0).kind, "G");
  EXPECT_EQ(job.tables.size(), 3u);  // should it fail
  Finish(later, Solve(job));
  const auto served = Group(13);  // only the new gain covers it
  const Job applied = Plan(served);
  EXPECT_FALSE(applied.solve);
  ASSERT_EQ(applied.tables.size(), 3u);
  EXPECT_NE(applied.tables.back().path.string().find("_1h.gpcal"), std::string::npos);
}

TEST_F(CalibrationSchedulerTest, WhatFailsTheGateIsRecordedAndNeverUsed) {
  const auto first = Group(0);
  Finish(first, Solve(Plan(first), false));
  EXPECT_EQ(groups_->Find(first.id)->state, GroupState::kAwaitingCalibration);
  state::CalTableStore store(paths_->Database(StateDatabase::kCalRegistry));
  state::CalTableQuery gains;
  gains.kind = "G";
  ASSERT_EQ(store.List(gains).size(), 1u);
  EXPECT_EQ(store.List(gains)[0].status, "failed");
  EXPECT_EQ(store.List(gains)[0].reason, "median SNR is 3.0, the limit is 10.0");
  EXPECT_EQ(store.SolvesOf(first.id).at(0).outcome, "failed");
  // K and BP passed: the gains alone are solved, on this very group; when they fail as well it waits for others.
  auto released = Released();
  EXPECT_FALSE(Health().empty());  // as of the tick
  ASSERT_EQ(released.count(first.id), 1u);
  EXPECT_EQ(released[first.id].to, GroupState::kReady);
  const auto again = Take(first.id);
  const Job job = Plan(again, true);
  EXPECT_EQ(job.stages, (std::vector<std::string>{"solve", "apply", "refine", "image", "measure"}));
  EXPECT_EQ(job.solve->interval, "1h");
  Finish(again, Solve(job, false));
  EXPECT_TRUE(Released().empty());
}

TEST_F(CalibrationSchedulerTest, ASolveWithoutAnySolutionHasNoTable) {
  const auto first = Group(0);
  Plan(first);
  JobReport report;
  report.group = first.id;
  report.ok = true;
  report.next_state = "awaiting_calibration";
  for (const char* kind : {"K", "BP", "G"}) {
    JobCalibration made;
    made.kind = kind;
    made.failures = {"no usable solution"};
    report.calibration.push_back(made);
  }
  Finish(first, report);
  state::CalTableStore store(paths_->Database(StateDatabase::kCalRegistry));
  EXPECT_TRUE(store.List({}).empty());
  EXPECT_EQ(store.SolvesOf(first.id).at(0).outcome, "failed");
  EXPECT_NE(store.SolvesOf(first.id).at(0).detail.find("no usable solution"), std::string::npos);
}

TEST_F(CalibrationSchedulerTest, WaitingGroupsGoOnWhenTablesServeTheirTime) {
  const auto before = Waiting(-3), much_earlier = Waiting(-8), elsewhere = Waiting(-2, 54);
  EXPECT_TRUE(Released().empty());
  EXPECT_FALSE(Health().empty());
  const auto first = Group(0);
  const Job job = Plan(first);
  EXPECT_TRUE(Released().empty());  // the solve is under way
  Finish(first, Solve(job));
  auto released = Released();
  ASSERT_EQ(released.size(), 1u);  // within half an hour before; not earlier, not on another strip
  EXPECT_EQ(released.begin()->first, before);
  EXPECT_EQ(released.begin()->second.to, GroupState::kReady);
  // In place of the daemon.
  const auto row = Take(before);
  const Job applied = Plan(row, true);
  EXPECT_EQ(applied.stages, (std::vector<std::string>{"apply", "refine", "image", "measure"}));
  EXPECT_EQ(applied.tables.size(), 3u);
}

TEST_F(CalibrationSchedulerTest, WaitingHasALimit) {
  const auto id = Waiting(1);
  now_ += 24 * 3600 - 1;
  EXPECT_TRUE(Released().empty());
  now_ += 62;  // looked at once a minute
  auto released = Released();
  ASSERT_EQ(released.count(id), 1u);
  EXPECT_EQ(released[id].to, GroupState::kDead);
  EXPECT_NE(released[id].reason.find("it has waited for 24.0 h"), std::string::npos) << released[id].reason;
}

TEST_F(CalibrationSchedulerTest, PoliciesDecideWithoutTables) {
  settings_.calibrate.policy = "uncalibrated";
  Open();
  EXPECT_EQ(Plan(Group(0, 16, 3)).stages, (std::vector<std::string>{"convert", "flag", "image", "measure"}));
  settings_.calibrate.policy = "wait";
  settings_.calibrate.schedule = false;
  Open();
  const Job job = Plan(Group(1));
  EXPECT_FALSE(job.solve);
  EXPECT_EQ(job.stages, (std::vector<std::string>{"convert", "flag", "apply", "refine", "image", "measure"}));
  EXPECT_TRUE(job.tables.empty());
}

TEST_F(CalibrationSchedulerTest, ASolveWhoseWorkerIsLostDoesNotBlockOthers) {
  const auto first = Group(0);
  Plan(first);
  const auto second = Group(1);
  EXPECT_FALSE(Plan(second).solve);  // the first one's is under way
  state::TransitionDetails details;
  details.actor = "operator";
  groups_->Transition(first.id, GroupState::kCancelled, details, now_);
  Open();
  Released();
  state::CalTableStore store(paths_->Database(StateDatabase::kCalRegistry));
  EXPECT_EQ(store.SolvesOf(first.id).at(0).outcome, "abandoned");
  EXPECT_TRUE(Plan(second).solve);
}

TEST_F(CalibrationSchedulerTest, MissesNothingThatIsLeftOutOnPurpose) {
  settings_.calibrate.policy = "uncalibrated";
  Open();
  Plan(Group(0, 16, 3));
  now_ += 100;
  Released();
  EXPECT_NE(metrics_.Serialize().find("contimg_calibration_missing 0"), std::string::npos);
  settings_.calibrate.policy = "wait";
  Open();
  now_ += 100;
  Released();
  EXPECT_NE(metrics_.Serialize().find("contimg_calibration_missing 1"), std::string::npos);
}

TEST_F(CalibrationSchedulerTest, ShowsWhatIsMissing) {
  Waiting(0);
  Released();
  const std::string before = metrics_.Serialize();
  EXPECT_NE(before.find("contimg_calibration_missing 1"), std::string::npos);
  EXPECT_NE(before.find("contimg_calibration_seconds_until_expiry{kind=\"BP\"} 0\n"), std::string::npos);
  const auto row = Group(1);
  Finish(row, Solve(Plan(row)));
  for (const auto& [id, release] : Released()) {
    const auto taken = Take(id);
    const Job job = Plan(taken, true);
    JobReport report;
    report.group = id;
    for (const JobTable& table : job.tables) report.applied.push_back(table.path);
    Finish(taken, report);
  }
  now_ += 100;
  Released();
  const std::string after = metrics_.Serialize();
  EXPECT_NE(after.find("contimg_calibration_missing 0"), std::string::npos) << after;
  const std::string expiry = "contimg_calibration_seconds_until_expiry{kind=\"BP\"} ";
  ASSERT_NE(after.find(expiry), std::string::npos) << after;
  EXPECT_NEAR(std::stod(after.substr(after.find(expiry) + expiry.size())), 86400, 180);
  EXPECT_NE(after.find("contimg_calibration_solves_total{interval=\"24h\",outcome=\"passed\"} 1"), std::string::npos);
  EXPECT_TRUE(Health().empty());
}

}  // namespace
}  // namespace contimg::ops
