#include "ops/records/maintenance_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <vector>

#include "config/time.h"
#include "tests/temporary_folder.h"

namespace contimg::ops {
namespace {

using state::RunOutcome;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class MaintenanceRunTest : public ::testing::Test {
 protected:
  MaintenanceRequest Request() const { return {folder_ / "operations.sqlite3", "cleanup", "operator", false}; }
  std::vector<state::MaintenanceRow> Rows() const {
    return state::MaintenanceStore(folder_ / "operations.sqlite3").List("", 0);
  }
  TemporaryFolder folder_{"maintenance"};
};

TEST_F(MaintenanceRunTest, IsOnRecordWhileItRunsAndAfterwards) {
  RunMaintenance(Request(), RunContext{}, [&](const RunContext& context, nlohmann::ordered_json& figures) {
    context.reporter->Progress("cleanup", 0.5);
    EXPECT_EQ(Rows().at(0).outcome, RunOutcome::kRunning);
    EXPECT_EQ(Rows().at(0).progress, 0.5);
    figures["bytes"] = 7;
    return RunOutcome::kRefused;
  });
  ASSERT_THAT(Rows(), SizeIs(1));
  EXPECT_EQ(Rows()[0].outcome, RunOutcome::kRefused);
  EXPECT_EQ(Rows()[0].figures_json, R"({"bytes":7})");
}

TEST_F(MaintenanceRunTest, WhatItThrowsIsItsEnd) {
  const auto fail = [&](ErrorKind kind) {
    EXPECT_THROW(RunMaintenance(Request(), RunContext{},
                                [&](const RunContext&, nlohmann::ordered_json&) -> RunOutcome {
                                  throw Error(kind, "cleanup", "/x", "no room");
                                }),
                 Error);
  };
  fail(ErrorKind::kResource);
  fail(ErrorKind::kCancelled);
  ASSERT_THAT(Rows(), SizeIs(2));
  EXPECT_EQ(Rows()[0].outcome, RunOutcome::kCancelled);
  EXPECT_EQ(Rows()[1].outcome, RunOutcome::kFailed);
  EXPECT_EQ(Rows()[1].error, "/x: no room");
}

TEST_F(MaintenanceRunTest, ADatabaseThatCannotBeWrittenStopsNoWork) {
  class Ears : public Reporter {
   public:
    void Progress(std::string_view, double) override {}
    void Warn(std::string_view, std::string_view message) override { said.emplace_back(message); }
    void Info(std::string_view, std::string_view) override {}
    std::vector<std::string> said;
  } ears;
  RunContext context;
  context.reporter = &ears;
  MaintenanceRequest request = Request();
  request.database = folder_ / "not there" / "operations.sqlite3";
  bool done = false;
  RunMaintenance(request, context, [&](const RunContext& inner, nlohmann::ordered_json&) {
    inner.reporter->Progress("cleanup", 0.5);
    done = true;
    return RunOutcome::kOk;
  });
  EXPECT_TRUE(done);
  ASSERT_THAT(ears.said, SizeIs(1));
  EXPECT_THAT(ears.said[0], HasSubstr("this run is not on record"));
}

TEST_F(MaintenanceRunTest, ARunThatWasKilledIsClosedAtOnceAndOneThatLivesIsNot) {
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe(pipe.data()), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    RunMaintenance(Request(), RunContext{}, [&](const RunContext&, nlohmann::ordered_json&) -> RunOutcome {
      (void)!::write(pipe[1], "x", 1);
      for (;;) ::pause();
    });
  }
  char begun = 0;
  ASSERT_EQ(::read(pipe[0], &begun, 1), 1);
  EXPECT_EQ(CloseKilledRuns(folder_ / "operations.sqlite3"), 0);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_EQ(Rows().at(0).outcome, RunOutcome::kRunning);
  // Of another kind, and at once.
  MaintenanceRequest other = Request();
  other.kind = "backup";
  RunMaintenance(other, RunContext{}, [&](const RunContext&, nlohmann::ordered_json&) {
    EXPECT_EQ(CloseKilledRuns(folder_ / "operations.sqlite3"), 0);
    return RunOutcome::kOk;
  });
  ASSERT_THAT(Rows(), SizeIs(2));
  EXPECT_EQ(Rows()[0].outcome, RunOutcome::kOk);
  EXPECT_EQ(Rows()[1].outcome, RunOutcome::kFailed);
  EXPECT_EQ(Rows()[1].error, "its process ended without a word");
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
    EXPECT_NE(entry.path().extension(), ".lock") << entry.path();
  }
}

TEST_F(MaintenanceRunTest, ARunOfAnotherHostIsOverWhenItHasBeenSilentForLong) {
  const double now = UtcTime::Now().unix_s();
  state::MaintenanceStore store(folder_ / "operations.sqlite3");
  state::MaintenanceRow row;
  row.kind = "cleanup";
  row.host = "elsewhere";
  store.Begin(row, now - 7 * kSecondsPerHour);
  store.Begin(row, now - 5 * kSecondsPerHour);
  EXPECT_EQ(CloseKilledRuns(folder_ / "operations.sqlite3"), 1);
  EXPECT_EQ(Rows()[0].outcome, RunOutcome::kRunning);
  EXPECT_EQ(Rows()[1].outcome, RunOutcome::kFailed);
}

TEST_F(MaintenanceRunTest, TheLockNamesItsHolder) {
  const MaintenanceLock held(folder_.path(), "archive");
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    try {
      const MaintenanceLock second(folder_.path(), "cleanup");
      ::_exit(1);
    } catch (const Error& error) {
      const std::string said = error.what();
      ::_exit(error.kind() == ErrorKind::kBusy && said.find("archive, process") != std::string::npos ? 0 : 2);
    }
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace contimg::ops
