// The dispatcher while things break: full disks, databases that somebody else holds, looks at the disk that fail. And a
// daemon may die at any of its steps, between a worker's report and the record of it above all.
#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "state/group_store.h"
#include "state/product_store.h"
#include "state/source_store.h"
#include "tests/faulty_os.h"
#include "tests/unit/ops/dispatcher_fixture.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using state::GroupState;
using testkit::FaultyOs;

class DispatcherFaultsTest : public DispatcherTest {};

TEST_F(DispatcherFaultsTest, AFullStateDiskDelaysRecordsAndLosesNone) {
  AddReadyGroup();
  auto life = Begin();
  life->dispatcher.Tick(true);
  // SQLite's own "disk full": the database may not grow by a single page.
  SQLite::Database& database = life->store.database().handle();
  const int pages = database.execAndGet("PRAGMA page_count").getInt();
  database.exec("PRAGMA max_page_count = " + std::to_string(pages));
  life->executor->Succeed(kGroup);
  // Many small records fill what is left of the last pages.
  for (int i = 0; i < 2000; ++i) {
    life->writes.Add("note", [](state::GroupStore& store) {
      state::EventRow event;
      event.group_id = kGroup;
      event.kind = "note";
      event.detail = std::string(200, 'x');
      store.AddEvent(event);
    });
  }
  Pass(*life, 3);
  EXPECT_FALSE(life->writes.trouble().empty());
  EXPECT_NE(life->writes.trouble().find("no space left"), std::string::npos) << life->writes.trouble();
  EXPECT_FALSE(life->writes.empty());
  database.exec("PRAGMA max_page_count = 1000000");
  Pass(*life, 2);
  EXPECT_TRUE(life->writes.empty());
  EXPECT_EQ(Row().state, GroupState::kDone);
  EXPECT_EQ(life->store.Events(kGroup).size(), 2000u + 6u);  // file, three transitions, product, done
}

// A database that somebody else holds for longer than a lease.
class BusyDatabase : public DispatcherTest, public ::testing::WithParamInterface<StateDatabase> {
 protected:
  static constexpr const char* kOther = "2025-10-13T13:33:12";
};

TEST_P(BusyDatabase, CostsNoWorkAndNoLease) {
  AddReadyGroup();
  AddReadyGroup(kOther);
  auto life = Begin();
  Pass(*life, 2);
  ASSERT_EQ(life->executor->n_running(), 2u);
  state::ProductStore(paths_->Database(StateDatabase::kProducts));
  state::SourceStore(paths_->Database(StateDatabase::kMasterSources));
  {
    const Lock lock(paths_->Database(GetParam()));
    life->executor->Succeed(kGroup);
    for (double passed = 0; passed < 2.5 * settings_.queue.lease_s; passed += 50) {
      steady_ += 50;
      system_ += 50;
      life->dispatcher.Tick(true);
    }
    const bool holds_up = GetParam() != StateDatabase::kMasterSources;
    EXPECT_EQ(!life->writes.empty(), holds_up);
    EXPECT_EQ(Row().state, holds_up ? GroupState::kRunning : GroupState::kDone);
    EXPECT_EQ(Row(kOther).state, GroupState::kRunning);
    if (GetParam() != StateDatabase::kIngest) {
      EXPECT_GT(Row(kOther).lease_expires_at, system_) << "its lease is not kept";
      EXPECT_TRUE(life->writes.settled());
    }
  }
  Pass(*life, 3);
  EXPECT_EQ(Trail(), (std::vector<std::string>{"collecting", "ready", "running", "done"}));
  EXPECT_FALSE(fs::exists(paths_->Jobs(kGroup)));
  EXPECT_EQ(state::ProductStore(paths_->Database(StateDatabase::kProducts)).JobsOf(kGroup).size(), 1u);
  EXPECT_TRUE(life->executor->stopped_.empty());
  life->executor->Succeed(kOther);
  Pass(*life, 2);
  EXPECT_EQ(Trail(kOther), (std::vector<std::string>{"collecting", "ready", "running", "done"}));
  EXPECT_EQ(life->executor->n_started_, 2);
}

TEST_P(BusyDatabase, AtTheStartIsWaitedFor) {
  AddReadyGroup();
  AddReadyGroup(kOther);
  {
    auto life = Begin();
    Pass(*life, 2);
    FakeExecutor::WriteReport(paths_->Jobs(kGroup));
  }  // died with both at work, one of them with its report
  state::ProductStore(paths_->Database(StateDatabase::kProducts));
  state::SourceStore(paths_->Database(StateDatabase::kMasterSources));
  std::unique_ptr<DispatcherLife> life;
  {
    const Lock lock(paths_->Database(GetParam()));
    life = Begin();
    Pass(*life, 3);
  }
  Pass(*life, 3);
  EXPECT_EQ(Row().state, GroupState::kDone);
  EXPECT_EQ(CountDone(), 1);
  EXPECT_EQ(Row(kOther).state, GroupState::kRunning);
  EXPECT_EQ(life->executor->n_started_, 1);
}

TEST_P(BusyDatabase, BeforeAJobCostsNoAttempt) {
  auto life = Begin();
  state::ProductStore(paths_->Database(StateDatabase::kProducts));
  state::SourceStore(paths_->Database(StateDatabase::kMasterSources));
  AddReadyGroup();
  {
    const Lock lock(paths_->Database(GetParam()));
    Pass(*life, 3);
  }
  Pass(*life, 3);
  EXPECT_EQ(Trail(), (std::vector<std::string>{"collecting", "ready", "running"}));
  EXPECT_EQ(Row().attempts, 1);
}

INSTANTIATE_TEST_SUITE_P(EachAlone, BusyDatabase,
                         ::testing::Values(StateDatabase::kIngest, StateDatabase::kCalRegistry,
                                           StateDatabase::kProducts, StateDatabase::kMasterSources));

// From a ready group to the last step after the record of its success, in a process of its own that is killed at the
// n-th call that changes a file. False when it was not killed.
bool LiveUntilKilled(const std::function<void(Os&)>& live, FaultyOs::Fault fault, int at) {
  const pid_t child = ::fork();
  if (child == 0) {
    FaultyOs os(fault, at);
    live(os);
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

TEST_F(DispatcherFaultsTest, KilledAtAnyStepTheNextLifeFinishesEachGroupOnce) {
  const auto live = [this](Os& os) {
    auto life = Begin(os);
    life->dispatcher.Tick(true);
    if (life->executor->n_running() == 1) life->executor->Succeed(kGroup);
    life->dispatcher.Tick(true);
  };
  int n_kills = 0;
  for (const auto fault : {FaultyOs::Fault::kKillBefore, FaultyOs::Fault::kKillAfter}) {
    for (int at = 1;; ++at) {
      SCOPED_TRACE("call " + std::to_string(at));
      AddReadyGroup();
      if (!LiveUntilKilled(live, fault, at)) break;
      ++n_kills;
      auto life = Begin();
      Pass(*life, 3);
      if (life->executor->n_running() == 1) life->executor->Succeed(kGroup);
      Pass(*life, 3);
      EXPECT_EQ(Row().state, GroupState::kDone);
      EXPECT_EQ(CountDone(), 1);
      life.reset();
      ForgetEverything();
    }
    ForgetEverything();
  }
  EXPECT_GT(n_kills, 8);
}

// Each look at the disk fails in turn, from the group's start to its record: it is tried again and done once.
TEST_F(DispatcherFaultsTest, ALookThatFailsDelaysAndLosesNothing) {
  for (int n = 1;; ++n) {
    SCOPED_TRACE("look " + std::to_string(n));
    ASSERT_LT(n, 100);
    ForgetEverything();
    AddReadyGroup();
    FaultyOs os;
    auto life = Begin(os);
    os.FailReads(n);
    for (int turn = 0; turn < 60 && Row().state != GroupState::kDone; ++turn) {
      EXPECT_NO_THROW(Pass(*life, 2)) << os.read_fault_at();
      if (life->executor->n_running() == 1) life->executor->Succeed(kGroup);
    }
    EXPECT_EQ(CountDone(), 1) << os.read_fault_at();
    EXPECT_FALSE(fs::exists(paths_->Jobs(kGroup))) << os.read_fault_at();
    if (os.read_fault_at().empty()) {
      EXPECT_EQ(n, 4) << "the input file, the job's file and what is in it are looked at";
      break;
    }
  }
}

// Between the record and its log the daemon was killed, or the disk was full.
TEST_F(DispatcherFaultsTest, AGroupThatWasGivenUpHasItsLogAfterTheNextStart) {
  AddReadyGroup();
  {
    auto life = Begin();
    life->dispatcher.Tick(true);
    life->executor->Fail(kGroup, ErrorKind::kBadInput, "the subbands contradict each other");
    life->dispatcher.Tick(true);
  }
  ASSERT_EQ(Row().state, GroupState::kDead);
  const fs::path log = paths_->FailedLog(kGroup);
  ASSERT_TRUE(fs::remove(log));
  auto life = Begin();
  std::ostringstream text;
  text << std::ifstream(log).rdbuf();
  EXPECT_NE(text.str().find("the subbands contradict each other (bad_input)"), std::string::npos) << text.str();
  EXPECT_NE(text.str().find("after 1 attempt"), std::string::npos) << text.str();
}

TEST_F(DispatcherFaultsTest, KilledBetweenReportAndRecordTheReportIsTakenOver) {
  AddReadyGroup();
  {
    auto life = Begin();
    life->dispatcher.Tick(true);
    FakeExecutor::WriteReport(paths_->Jobs(kGroup));
  }  // died: nothing recorded
  ASSERT_EQ(Row().state, GroupState::kRunning);
  auto life = Begin();
  EXPECT_EQ(life->executor->strays_, std::vector<std::string>{"contimg-group-2025-10-13T13:28:03-1"});
  EXPECT_EQ(Row().state, GroupState::kDone);
  EXPECT_EQ(CountDone(), 1);
  Pass(*life, 3);
  EXPECT_EQ(life->executor->n_started_, 0);
}

TEST_F(DispatcherFaultsTest, AReportOfAnEarlierAttemptIsNotTakenOver) {
  AddReadyGroup();
  {
    auto life = Begin();
    life->dispatcher.Tick(true);
    FakeExecutor::WriteReport(paths_->Jobs(kGroup));
    state::GroupStore(paths_->Database(StateDatabase::kIngest))
        .database()
        .handle()
        .exec("UPDATE groups SET attempts = attempts + 1");
  }
  auto life = Begin();
  EXPECT_EQ(Row().state, GroupState::kReady);
}

}  // namespace
}  // namespace contimg::ops
