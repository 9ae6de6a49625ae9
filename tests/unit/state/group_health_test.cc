#include "state/group_health.h"

#include <gtest/gtest.h>

#include "tests/unit/state/temporary_database.h"

namespace contimg::state {
namespace {

class GroupHealthTest : public ::testing::Test {
 protected:
  void Create(const std::string& id, GroupState state = GroupState::kReady) {
    GroupRow row;
    row.id = id;
    row.state = state;
    row.subbands_expected = 16;
    row.first_file_at = 100;
    store_.Create(row, "test", 100);
  }
  void Move(const std::string& id, GroupState to, double now, std::optional<ErrorKind> kind = std::nullopt,
            const std::string& words = "", bool reset = false) {
    TransitionDetails details;
    details.actor = "test";
    details.detail = words;
    details.error_kind = kind;
    details.error = words;
    details.reset_attempts = reset;
    if (to == GroupState::kFailed) details.next_attempt_at = now + 50;
    store_.Transition(id, to, details, now);
  }
  void Fail(const std::string& id, double now) {
    ASSERT_TRUE(store_.Acquire(id, "test", 10, now));
    Move(id, GroupState::kFailed, now, ErrorKind::kIo, "no space");
  }

  TemporaryDatabase place_;
  GroupStore store_{place_.path()};
};

TEST_F(GroupHealthTest, AGroupFailsUntilItIsDone) {
  EXPECT_EQ(FailingGroups(store_).n, 0);
  Create("a");
  Create("b");
  Fail("a", 200);
  GroupTrouble failing = FailingGroups(store_);
  EXPECT_EQ(failing.n, 1);
  EXPECT_EQ(failing.most_attempts, 1);
  EXPECT_EQ(failing.newest, "a");
  EXPECT_EQ(failing.kind, ErrorKind::kIo);
  EXPECT_EQ(failing.cause, "no space");
  EXPECT_EQ(failing.next_attempt_at, 250);
  // Also while the next attempt runs, and while it waits after a stop of the service.
  ASSERT_TRUE(store_.Acquire("a", "test", 10, 300));
  failing = FailingGroups(store_);
  EXPECT_EQ(failing.n, 1);
  EXPECT_EQ(failing.most_attempts, 1);
  Move("a", GroupState::kReady, 301);
  EXPECT_EQ(FailingGroups(store_).n, 1);
  ASSERT_TRUE(store_.Acquire("a", "test", 10, 302));
  Move("a", GroupState::kDone, 303);
  EXPECT_EQ(FailingGroups(store_).n, 0);
}

TEST_F(GroupHealthTest, ARequeueStartsAfresh) {
  Create("a");
  Fail("a", 200);
  Move("a", GroupState::kReady, 201, std::nullopt, "requeue", true);
  EXPECT_EQ(FailingGroups(store_).n, 0);
  ASSERT_TRUE(store_.Acquire("a", "test", 10, 202));
  EXPECT_EQ(FailingGroups(store_).n, 0);
}

// What a service knows after a restart of workers that died before.
TEST_F(GroupHealthTest, WorkersThatDiedAreFoundInTheRecord) {
  for (const char* id : {"a", "b", "c", "d"}) Create(id);
  const auto attempt = [&](const char* id, GroupState to, double now, ErrorKind kind, const std::string& words) {
    ASSERT_TRUE(store_.Acquire(id, "test", 10, now - 1));
    Move(id, to, now, kind, words);
  };
  attempt("a", GroupState::kFailed, 200, ErrorKind::kCrash, "died of signal 9");
  attempt("a", GroupState::kDead, 300, ErrorKind::kCrash, "died of signal 9");
  attempt("b", GroupState::kFailed, 310, ErrorKind::kIo, "no space");  // no death
  attempt("c", GroupState::kFailed, 320, ErrorKind::kCrash, "died of signal 11");
  ASSERT_TRUE(store_.Acquire("c", "test", 10, 400));
  Move("c", GroupState::kDone, 410);  // overcome
  attempt("d", GroupState::kFailed, 420, ErrorKind::kTimeout, "took longer");
  const auto lost = LostWorkers(store_, 150);
  ASSERT_EQ(lost.size(), 3u);
  EXPECT_EQ(lost[0].at, 200);
  EXPECT_EQ(lost[1].id, "a");
  EXPECT_EQ(lost[1].cause, "died of signal 9");
  EXPECT_EQ(lost[2].id, "d");
  EXPECT_EQ(LostWorkers(store_, 250).size(), 2u);
  EXPECT_TRUE(LostWorkers(store_, 500).empty());
}

TEST_F(GroupHealthTest, CountsDeadAndHeldGroupsWithTheirCauses) {
  for (const char* id : {"a", "b", "c"}) Create(id);
  Move("a", GroupState::kDead, 200, ErrorKind::kBadInput, "garbage");
  Move("b", GroupState::kDead, 300, ErrorKind::kCrash, "signal 11");
  Move("c", GroupState::kHeld, 400, std::nullopt, "subband 3 came twice");
  const GroupTrouble dead = DeadGroups(store_);
  EXPECT_EQ(dead.n, 2);
  EXPECT_EQ(dead.newest, "b");
  EXPECT_EQ(dead.kind, ErrorKind::kCrash);
  EXPECT_EQ(dead.cause, "signal 11");
  EXPECT_EQ(dead.since, 200);
  EXPECT_EQ(CountDeadSince(store_, 0), 2);
  EXPECT_EQ(CountDeadSince(store_, 250), 1);
  const GroupTrouble held = HeldGroups(store_);
  EXPECT_EQ(held.n, 1);
  EXPECT_EQ(held.newest, "c");
  EXPECT_EQ(held.cause, "subband 3 came twice");
  EXPECT_EQ(held.since, 400);
}

TEST_F(GroupHealthTest, KnowsHowLongGroupsWait) {
  EXPECT_EQ(GroupsThatWait(store_, 1000).n, 0);
  Create("a");
  Create("b", GroupState::kCollecting);
  Create("c");
  Fail("c", 500);  // due at 550
  WaitingGroups waiting = GroupsThatWait(store_, 540);
  EXPECT_EQ(waiting.n, 1);
  EXPECT_EQ(waiting.longest_s, 440);
  waiting = GroupsThatWait(store_, 600);
  EXPECT_EQ(waiting.n, 2);
  EXPECT_EQ(waiting.longest_s, 500);
}

}  // namespace
}  // namespace contimg::state
