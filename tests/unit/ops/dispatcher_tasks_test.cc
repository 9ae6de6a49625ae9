// Tasks, which are no groups, go the way of groups: done beside them, tried again, held, given up, taken up by the next
// daemon.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "ops/records/operator_actions.h"
#include "state/task_store.h"
#include "tests/unit/ops/dispatcher_fixture.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using state::GroupState;

class TaskTest : public DispatcherTest {
 protected:
  std::string AddTask(const std::string& subject = "2025-10-14T03:00:00") {
    return state::TaskStore(paths_->Database(StateDatabase::kIngest)).Create("backup", subject, "test", "", system_).id;
  }
  state::TaskRow Task(const std::string& id) {
    return *state::TaskStore(paths_->Database(StateDatabase::kIngest)).Find(id);
  }
  void Act(const std::string& id, GroupState to) {
    state::TransitionDetails details;
    details.actor = "operator";
    state::TaskStore(paths_->Database(StateDatabase::kIngest)).Transition(id, to, details, system_);
  }
  static void SucceedTask(DispatcherLife& life, const std::string& id) {
    JobReport report;
    report.job = id;
    report.attempt = 1;
    report.ok = true;
    report.stages.push_back({"backup", 1, 0, 0, {{"summary", "3 databases, 1.0 MB, in /b"}}});
    JobOutcome outcome;
    outcome.job = JobId::Parse(id);
    outcome.ok = true;
    outcome.report = report;
    life.executor->End(outcome);
  }
};

TEST_F(TaskTest, IsDoneBesideTheGroupsAndOneAtATime) {
  settings_.executor.jobs = 1;
  AddReadyGroup();
  const std::string first = AddTask(), second = AddTask("2025-10-15T03:00:00");
  auto life = Begin();
  life->dispatcher.Tick(true);
  EXPECT_EQ(life->executor->n_running(), 2u);
  const fs::path job = JobFile(paths_->TaskJob("backup", "2025-10-14T03:00:00"));
  const auto parsed = ReadJsonFile(job);
  EXPECT_EQ(parsed.at("job"), first);
  EXPECT_EQ(parsed.at("threads"), 3) << "the executor's decision";
  EXPECT_EQ(parsed.at("memory_bytes"), 1000000);
  Pass(*life, 2);
  EXPECT_EQ(Task(first).executor_id, "contimg-backup-2025-10-14T03:00:00-1");
  EXPECT_EQ(Task(first).executor, "fake");
  EXPECT_EQ(Task(second).state, GroupState::kReady);
  SucceedTask(*life, first);
  Pass(*life, 2);
  EXPECT_EQ(Task(first).state, GroupState::kDone);
  EXPECT_EQ(Trail(first), (std::vector<std::string>{"ready", "running", "done"}));
  EXPECT_EQ(life->store.Events(first).back().detail, "3 databases, 1.0 MB, in /b");
  EXPECT_FALSE(fs::exists(job.parent_path()));
  EXPECT_EQ(Task(second).state, GroupState::kRunning);
}

TEST_F(TaskTest, GoesOnWhereAFullDiskStopsTheImaging) {
  AddReadyGroup();
  const std::string id = AddTask();
  auto life = Begin();
  life->dispatcher.Tick(false);
  EXPECT_EQ(Row().state, GroupState::kReady);
  EXPECT_EQ(Task(id).state, GroupState::kRunning);
}

TEST_F(TaskTest, IsTriedAgainAndGivenUpLikeAGroup) {
  const std::string id = AddTask();
  auto life = Begin();
  life->dispatcher.Tick(true);
  life->executor->Fail(id, ErrorKind::kIo, "no space");
  Pass(*life, 1);
  EXPECT_EQ(Task(id).state, GroupState::kFailed);
  Pass(*life, 40);
  EXPECT_EQ(Task(id).state, GroupState::kRunning);
  life->executor->Fail(id, ErrorKind::kCrash, "signal 11");  // the second failure of two
  Pass(*life, 2);
  EXPECT_EQ(Task(id).state, GroupState::kDead);
  EXPECT_EQ(Task(id).error_kind, ErrorKind::kCrash);
  state::TaskStore tasks(paths_->Database(StateDatabase::kIngest));
  ASSERT_EQ(tasks.Troubled().size(), 1u);
  RequeueTask(tasks, *tasks.Find(id), {"operator", "mended", system_, {}});
  Pass(*life, 2);
  EXPECT_EQ(Task(id).state, GroupState::kRunning);
}

TEST_F(TaskTest, IsHeldWhileAtWorkAndReleased) {
  const std::string id = AddTask();
  auto life = Begin();
  life->dispatcher.Tick(true);
  Act(id, GroupState::kHeld);
  Pass(*life, 2);
  EXPECT_EQ(life->executor->stopped_, std::vector<std::string>{id});
  life->executor->Fail(id, ErrorKind::kCancelled, "cancelled by the operator");
  Pass(*life, 2);
  EXPECT_EQ(Task(id).state, GroupState::kHeld);
  Act(id, GroupState::kReady);
  Pass(*life, 2);
  EXPECT_EQ(Task(id).state, GroupState::kRunning);
  EXPECT_EQ(Task(id).attempts, 2);
}

TEST_F(TaskTest, OfAKindThatThisProgramDoesNotKnowIsGivenUpWithItsReason) {
  const std::string id =
      state::TaskStore(paths_->Database(StateDatabase::kIngest)).Create("release", "x", "test", "", system_).id;
  auto life = Begin();
  Pass(*life, 2);
  EXPECT_EQ(Task(id).state, GroupState::kDead);
  EXPECT_NE(Task(id).error.find("is no kind of task that this program knows"), std::string::npos);
}

TEST_F(TaskTest, OfADeadDaemonIsTakenUpAgain) {
  const std::string id = AddTask();
  {
    auto life = Begin();
    life->dispatcher.Tick(true);
    EXPECT_EQ(Task(id).state, GroupState::kRunning);
  }
  auto life = Begin();
  EXPECT_EQ(life->executor->strays_, std::vector<std::string>{"contimg-backup-2025-10-14T03:00:00-1"});
  Pass(*life, 2);
  EXPECT_EQ(Task(id).state, GroupState::kRunning);
  EXPECT_EQ(Task(id).attempts, 2);
}

TEST_F(TaskTest, ThatHadFinishedWhenTheDaemonDiedIsDone) {
  const std::string id = AddTask();
  {
    auto life = Begin();
    life->dispatcher.Tick(true);
    JobReport report;
    report.job = id;
    report.attempt = 1;
    report.ok = true;
    WriteFileAtomically(RealOs(), ReportFile(paths_->TaskJob("backup", "2025-10-14T03:00:00")), ToJson(report).dump());
  }
  auto life = Begin();
  Pass(*life, 2);
  EXPECT_EQ(Task(id).state, GroupState::kDone);
  EXPECT_EQ(life->executor->n_started_, 0);
}

}  // namespace
}  // namespace contimg::ops
