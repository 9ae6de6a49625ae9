#include "ops/records/maintenance_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vector>

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
