// The dispatcher while nothing breaks around it: what is recorded, what is tried again, when a lease ends.
#include "ops/daemon/dispatcher.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "config/product_class.h"
#include "ops/records/operator_actions.h"
#include "state/group_store.h"
#include "tests/unit/ops/dispatcher_fixture.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using state::GroupState;

TEST_F(DispatcherTest, WorksOffAReadyGroupAndExplainsIt) {
  AddReadyGroup();
  auto life = Begin();
  life->dispatcher.Tick(true);
  EXPECT_EQ(Row().state, GroupState::kRunning);
  EXPECT_EQ(life->executor->n_running(), 1u);
  life->executor->Succeed(kGroup);
  life->dispatcher.Tick(true);
  EXPECT_EQ(Row().state, GroupState::kDone);
  EXPECT_EQ(Trail(), (std::vector<std::string>{"collecting", "ready", "running", "done"}));
  EXPECT_FALSE(fs::exists(paths_->Jobs(kGroup)));
}

TEST_F(DispatcherTest, StartsNothingWhileADiskIsFull) {
  AddReadyGroup();
  auto life = Begin();
  for (int i = 0; i < 5; ++i) {
    steady_ += 1;
    life->dispatcher.Tick(false);
  }
  EXPECT_EQ(Row().state, GroupState::kReady);
  life->dispatcher.Tick(true);
  EXPECT_EQ(Row().state, GroupState::kRunning);
}

TEST_F(DispatcherTest, AGroupWhoseFilesWereTakenAwayIsGivenUpAtOnce) {
  AddReadyGroup();
  std::filesystem::remove(paths_->roots().input / (std::string(kGroup) + "_sb00.hdf5"));
  auto life = Begin();
  Pass(*life, 5);
  const auto row = Row();
  EXPECT_EQ(row.state, GroupState::kDead);
  EXPECT_EQ(row.error_kind, ErrorKind::kIncomplete);
  EXPECT_EQ(row.error, "0 of 1 subbands are there and at least 1 are needed (ingest.min_subbands)");
  EXPECT_EQ(row.subbands_present, 0);
}

TEST_F(DispatcherTest, TriesPassingTroubleAgainWithGrowingDelay) {
  AddReadyGroup();
  auto life = Begin();
  life->dispatcher.Tick(true);
  life->executor->Fail(kGroup, ErrorKind::kIo, "no space");
  life->dispatcher.Tick(true);
  EXPECT_EQ(Row().state, GroupState::kFailed);
  EXPECT_NEAR(Row().next_attempt_at - system_, 30, 0.2 * 30);
  Pass(*life, 20);
  EXPECT_EQ(Row().state, GroupState::kFailed);
  Pass(*life, 20);
  EXPECT_EQ(Row().state, GroupState::kRunning);
  life->executor->Fail(kGroup, ErrorKind::kIo, "no space");
  life->dispatcher.Tick(true);
  EXPECT_NEAR(Row().next_attempt_at - system_, 60, 0.2 * 60);
}

TEST_F(DispatcherTest, RetriesComeDueAlthoughTheClockStepsBack) {
  AddReadyGroup();
  auto life = Begin();
  life->dispatcher.Tick(true);
  life->executor->Fail(kGroup, ErrorKind::kIo, "no space");
  life->dispatcher.Tick(true);
  system_ -= 7200;
  Pass(*life, 40);
  EXPECT_EQ(Row().state, GroupState::kRunning);
}

TEST_F(DispatcherTest, AClockSetBackBetweenTwoLivesLeavesNoGroupWaitingForHours) {
  AddReadyGroup();
  {
    auto life = Begin();
    life->dispatcher.Tick(true);
    life->executor->Fail(kGroup, ErrorKind::kIo, "no space");
    life->dispatcher.Tick(true);
  }
  system_ -= 10 * 86400;
  auto life = Begin();
  Pass(*life, 2);
  EXPECT_EQ(Row().state, GroupState::kRunning);
}

TEST_F(DispatcherTest, CrashesTwiceThenWritesDownWhy) {
  AddReadyGroup();
  auto life = Begin();
  life->dispatcher.Tick(true);
  life->executor->Fail(kGroup, ErrorKind::kCrash, "signal 11");
  life->dispatcher.Tick(true);
  Pass(*life, 40);
  life->executor->Fail(kGroup, ErrorKind::kCrash, "signal 11");
  life->dispatcher.Tick(true);
  EXPECT_EQ(Row().state, GroupState::kDead);
  EXPECT_TRUE(fs::exists(paths_->FailedLog(kGroup)));
}

// A worker that fails in the image stage has published its Measurement Set.
TEST_F(DispatcherTest, TheSetOfAGroupThatIsGivenUpIsKeptForALookAndItBeginsAnew) {
  AddReadyGroup();
  auto life = Begin();
  const fs::path ms = paths_->ScienceMs(kGroup), kept = paths_->FailedMs(kGroup);
  life->dispatcher.Tick(true);
  fs::create_directories(ms);
  std::ofstream(ms / "table.dat") << "12345";
  life->executor->Fail(kGroup, ErrorKind::kCrash, "signal 11");
  life->dispatcher.Tick(true);
  EXPECT_TRUE(fs::exists(ms)) << "it is tried again";
  Pass(*life, 40);
  life->executor->Fail(kGroup, ErrorKind::kCrash, "signal 11");
  life->dispatcher.Tick(true);
  ASSERT_EQ(Row().state, GroupState::kDead);
  EXPECT_FALSE(fs::exists(ms));
  EXPECT_TRUE(fs::exists(kept / "table.dat"));
  EXPECT_NE(RealOs().ReadFile(paths_->FailedLog(kGroup)).find(kept.string()), std::string::npos);
  {
    state::ProductStore products(paths_->Database(StateDatabase::kProducts));
    const auto row = products.FindByPath(kept.string());
    ASSERT_TRUE(row);
    EXPECT_EQ(row->status, "present");
    EXPECT_EQ(ProductClass(ProductKind::kScienceMs, row->path, paths_->roots()), "failed");
  }
  OperatorRequest request;
  request.actor = "operator";
  request.now = system_;
  request.exists = [](const auto& path) { return fs::exists(path); };
  RequeueGroup(life->store, Row(), request, settings_.ingest);
  Pass(*life, 5);
  fs::create_directories(ms);
  life->executor->Succeed(kGroup);
  life->dispatcher.Tick(true);
  EXPECT_EQ(Row().state, GroupState::kDone);
  EXPECT_TRUE(fs::exists(ms));
  EXPECT_TRUE(fs::exists(kept / "table.dat")) << "what leaves, and when, is the retention's to say";
}

TEST_F(DispatcherTest, AttemptsThatTheDaemonCutShortAreNotTheGroupsFault) {
  AddReadyGroup();
  for (int i = 0; i < 5; ++i) {
    auto life = Begin();
    life->dispatcher.Tick(true);
    EXPECT_EQ(Row().state, GroupState::kRunning);
  }  // dies without a word
  auto life = Begin();
  life->dispatcher.Tick(true);
  life->executor->Fail(kGroup, ErrorKind::kCrash, "signal 11");
  life->dispatcher.Tick(true);
  EXPECT_EQ(Row().state, GroupState::kFailed);  // the first crash of two
}

TEST_F(DispatcherTest, NeverHasTwoWorkersOnOneGroup) {
  AddReadyGroup();
  auto life = Begin();
  life->dispatcher.Tick(true);
  ASSERT_EQ(life->executor->n_started_, 1);
  {  // cancelled and given back before the daemon has looked
    state::GroupStore operator_store(paths_->Database(StateDatabase::kIngest));
    state::TransitionDetails details;
    details.actor = "operator";
    operator_store.Transition(kGroup, GroupState::kCancelled, details, system_);
    operator_store.Transition(kGroup, GroupState::kReady, details, system_);
  }
  Pass(*life, 5);
  EXPECT_EQ(life->executor->n_started_, 1);
  EXPECT_FALSE(life->executor->stopped_.empty());
  // The old worker's success comes too late to count for the new attempt.
  life->executor->Succeed(kGroup);
  life->dispatcher.Tick(true);
  EXPECT_EQ(CountDone(), 0);
  Pass(*life, 5);
  EXPECT_EQ(life->executor->n_started_, 2);
  life->executor->Succeed(kGroup);
  life->dispatcher.Tick(true);
  EXPECT_EQ(Row().state, GroupState::kDone);
  EXPECT_EQ(CountDone(), 1);
}

TEST_F(DispatcherTest, StoppingHandsGroupsBack) {
  AddReadyGroup();
  auto life = Begin();
  life->dispatcher.Tick(true);
  life->dispatcher.StopAll();
  life->executor->Fail(kGroup, ErrorKind::kCancelled, "the daemon stops");
  life->dispatcher.Tick(true);
  EXPECT_EQ(Row().state, GroupState::kReady);
  EXPECT_FALSE(fs::exists(paths_->FailedLog(kGroup)));
}

TEST_F(DispatcherTest, StepsOfTheClockTakeNoRunningJobAway) {
  for (const double step : {600.0, 86400.0, -600.0, -86400.0}) {
    for (int phase = 0; phase < 120; phase += 15) {  // of the look for expired leases
      SCOPED_TRACE(step + phase);
      ForgetEverything();
      AddReadyGroup();
      auto life = Begin();
      Pass(*life, 1 + phase);
      system_ += step;
      steady_ += 1;
      life->dispatcher.Tick(true);
      Pass(*life, 130);
      EXPECT_TRUE(life->executor->stopped_.empty());
      life->executor->Succeed(kGroup);
      Pass(*life, 2);
      EXPECT_EQ(Trail(), (std::vector<std::string>{"collecting", "ready", "running", "done"}));
    }
  }
}

TEST_F(DispatcherTest, ALeaseThatNobodyHereHoldsIsTakenBack) {
  AddReadyGroup();
  auto life = Begin();
  state::GroupStore(paths_->Database(StateDatabase::kIngest))
      .Acquire(kGroup, "another runner", settings_.queue.lease_s, system_);
  Pass(*life, settings_.queue.lease_s - 20);
  EXPECT_EQ(life->executor->n_started_, 0);
  Pass(*life, 2 * settings_.queue.lease_s);
  EXPECT_EQ(life->executor->n_started_, 1);
}

TEST_F(DispatcherTest, ASuccessThatComesTooLateIsOnRecord) {
  AddReadyGroup();
  auto life = Begin();
  life->dispatcher.Tick(true);
  {
    state::GroupStore operators(paths_->Database(StateDatabase::kIngest));
    state::TransitionDetails details;
    details.actor = "operator";
    operators.Transition(kGroup, GroupState::kHeld, details, system_);
  }
  life->executor->Succeed(kGroup);
  life->dispatcher.Tick(true);
  EXPECT_EQ(Row().state, GroupState::kHeld);
  const auto events = life->store.Events(kGroup);
  EXPECT_EQ(events.back().kind, "note");
  EXPECT_EQ(events.back().detail, "attempt 1 had succeeded; not recorded, for the group is held");
  EXPECT_TRUE(fs::exists(paths_->Jobs(kGroup))) << "the folder may be a later attempt's";
}

TEST_F(DispatcherTest, ASuccessThatCannotBeRecordedIsAFailureAndLeavesNothingHalf) {
  AddReadyGroup();
  auto life = Begin();
  life->store.database().handle().exec(
      "CREATE TRIGGER no_done BEFORE UPDATE ON groups WHEN NEW.state = 'done' BEGIN SELECT RAISE(ABORT, 'no'); END");
  life->dispatcher.Tick(true);
  life->executor->Succeed(kGroup);
  Pass(*life, 2);
  EXPECT_EQ(Row().state, GroupState::kFailed);
  EXPECT_EQ(Row().error_kind, ErrorKind::kBug);
  EXPECT_NE(Row().error.find("its worker had succeeded, and that cannot be recorded"), std::string::npos);
  for (const state::EventRow& event : life->store.Events(kGroup)) EXPECT_NE(event.kind, "product");
  EXPECT_TRUE(fs::exists(ReportFile(paths_->Jobs(kGroup)))) << "what the worker said must stay";
}

}  // namespace
}  // namespace contimg::ops
