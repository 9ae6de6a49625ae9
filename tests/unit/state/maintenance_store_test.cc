#include "state/maintenance_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/state/temporary_database.h"

namespace contimg::state {
namespace {

using ::testing::Pair;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

MaintenanceRow ARun(const std::string& kind, bool dry_run = false) {
  MaintenanceRow row;
  row.kind = kind;
  row.actor = "operator";
  row.host = "here";
  row.pid = 7;
  row.dry_run = dry_run;
  return row;
}

TEST(MaintenanceStore, ARunHasABeginningAndAnEnd) {
  TemporaryDatabase place;
  MaintenanceStore store(place.path());
  const auto id = store.Begin(ARun("cleanup"), 100);
  store.SetProgress(id, 0.25, 110);
  auto rows = store.List("cleanup", 0);
  ASSERT_THAT(rows, SizeIs(1));
  EXPECT_EQ(rows[0].outcome, RunOutcome::kRunning);
  EXPECT_EQ(rows[0].progress, 0.25);
  EXPECT_FALSE(rows[0].finished_at);
  store.Finish(id, RunOutcome::kOk, "", R"({"bytes":5})", 120);
  rows = store.List("", 1);
  ASSERT_THAT(rows, SizeIs(1));
  EXPECT_EQ(rows[0].outcome, RunOutcome::kOk);
  EXPECT_EQ(rows[0].progress, 1);
  EXPECT_EQ(rows[0].finished_at, 120);
  EXPECT_EQ(rows[0].figures_json, R"({"bytes":5})");
}

TEST(MaintenanceStore, DryRunsAndFailuresAreNoSuccess) {
  TemporaryDatabase place;
  MaintenanceStore store(place.path());
  store.Finish(store.Begin(ARun("cleanup"), 1), RunOutcome::kOk, "", "{}", 10);
  store.Finish(store.Begin(ARun("cleanup", true), 11), RunOutcome::kOk, "", "{}", 20);
  store.Finish(store.Begin(ARun("cleanup"), 21), RunOutcome::kRefused, "too much", "{}", 30);
  store.Finish(store.Begin(ARun("backup"), 31), RunOutcome::kFailed, "no room", "{}", 40);
  EXPECT_THAT(store.LastSuccess(1000), UnorderedElementsAre(Pair("cleanup", 10)));
  EXPECT_THAT(store.Counts(), UnorderedElementsAre(Pair(Pair("cleanup", "ok"), 1), Pair(Pair("cleanup", "refused"), 1),
                                                   Pair(Pair("backup", "failed"), 1)));
}

TEST(MaintenanceStore, TheLastThatEndedOfEachKindIsFoundHoweverManyOfOthersFollow) {
  TemporaryDatabase place;
  MaintenanceStore store(place.path());
  const auto run = [&](const std::string& kind, bool dry, RunOutcome outcome, double start, double seconds) {
    store.Finish(store.Begin(ARun(kind, dry), start), outcome, "", "{}", start + seconds);
  };
  run("backup", false, RunOutcome::kOk, 50, 7);
  run("backup", false, RunOutcome::kFailed, 100, 42);
  run("backup", true, RunOutcome::kOk, 200, 1);
  store.Begin(ARun("backup"), 300);
  for (int i = 0; i < 600; ++i) run("cleanup", false, RunOutcome::kOk, 1000 + i, 0.5);
  const auto rows = store.LastEnded();
  ASSERT_THAT(rows, SizeIs(2));
  EXPECT_EQ(rows[0].kind, "backup");
  EXPECT_EQ(rows[0].outcome, RunOutcome::kFailed);
  EXPECT_EQ(rows[0].finished_at, 142);
  EXPECT_EQ(rows[1].kind, "cleanup");
  EXPECT_EQ(rows[1].finished_at, 1599.5);
}

TEST(MaintenanceStore, AnEndThatIsStillToComeIsNoSuccess) {
  TemporaryDatabase place;
  MaintenanceStore store(place.path());
  for (const double end : {500.0, 900.0, 4e8}) {  // the last by a clock that was ahead
    store.Finish(store.Begin(ARun("backup"), end - 1), RunOutcome::kOk, "", "{}", end);
  }
  EXPECT_THAT(store.LastSuccess(1000), UnorderedElementsAre(Pair("backup", 900)));
  EXPECT_THAT(store.LastSuccess(5e8), UnorderedElementsAre(Pair("backup", 4e8)));
}

TEST(MaintenanceStore, SumsFiguresOverAllRuns) {
  TemporaryDatabase place;
  MaintenanceStore store(place.path());
  EXPECT_TRUE(store.SumFigures("archive", "$.failed_for").empty());
  EXPECT_FALSE(store.LastWith("archive", "$.failed_for"));
  double now = 0;
  const auto run = [&](const MaintenanceRow& row, RunOutcome outcome, std::string_view figures) {
    ++now;
    store.Finish(store.Begin(row, now), outcome, "", figures, now);
  };
  run(ARun("archive"), RunOutcome::kFailed, R"({"failed_for":{"io":2,"busy":1},"bytes":5})");
  run(ARun("archive"), RunOutcome::kOk, R"({"failed_for":{},"bytes":7})");
  run(ARun("archive"), RunOutcome::kOk, "{}");
  run(ARun("archive"), RunOutcome::kFailed, R"({"failed_for":{"io":3,"words":"no number"}})");
  run(ARun("archive", true), RunOutcome::kFailed, R"({"failed_for":{"io":100}})");
  run(ARun("verify"), RunOutcome::kOk, R"({"failed_for":{"io":100}})");
  EXPECT_THAT(store.SumFigures("archive", "$.failed_for"), UnorderedElementsAre(Pair("busy", 1), Pair("io", 5)));
  EXPECT_EQ(store.SumFigures("archive", "$")["bytes"], 12);
  ASSERT_TRUE(store.LastWith("archive", "$.failed_for"));
  EXPECT_EQ(store.LastWith("archive", "$.failed_for")->figures_json, R"({"failed_for":{},"bytes":7})");
}

TEST(MaintenanceStore, RunsThatWereKilledAreClosed) {
  TemporaryDatabase place;
  MaintenanceStore store(place.path());
  store.Begin(ARun("archive"), 100);
  const auto alive = store.Begin(ARun("archive"), 100);
  store.Finish(store.Begin(ARun("archive"), 100), RunOutcome::kCancelled, "", "{}", 200);
  const auto lives = [&](const MaintenanceRow& row) {
    EXPECT_EQ(row.outcome, RunOutcome::kRunning);
    return row.id == alive;
  };
  EXPECT_EQ(store.CloseAbandoned(lives, 1000), 1);
  EXPECT_EQ(store.CloseAbandoned(lives, 1001), 0);
  const auto rows = store.List("archive", 0);
  EXPECT_EQ(rows[0].outcome, RunOutcome::kCancelled);
  EXPECT_EQ(rows[1].outcome, RunOutcome::kRunning);
  EXPECT_EQ(rows[2].outcome, RunOutcome::kFailed);
  EXPECT_EQ(rows[2].finished_at, 1000);
  EXPECT_EQ(rows[2].error, "its process ended without a word");
}

TEST(MaintenanceStore, DamageIsOneFindingUntilItIsOver) {
  TemporaryDatabase place;
  MaintenanceStore store(place.path());
  IntegrityFinding finding;
  finding.at = 5;
  finding.place = "local";
  finding.subject = "/data/x.image.fits";
  finding.detail = "expected a, found b";
  EXPECT_TRUE(store.Report(finding));
  EXPECT_FALSE(store.Report(finding));
  ASSERT_THAT(store.OpenFindings(), SizeIs(1));
  EXPECT_EQ(store.OpenFindings()[0].detail, finding.detail);
  store.Resolve("archive", finding.subject, 6);
  EXPECT_THAT(store.OpenFindings(), SizeIs(1));
  store.Resolve("local", finding.subject, 6);
  EXPECT_THAT(store.OpenFindings(), SizeIs(0));
  EXPECT_TRUE(store.Report(finding));
  EXPECT_THAT(store.FindingCounts(), UnorderedElementsAre(Pair("local", 2)));
}

}  // namespace
}  // namespace contimg::state
