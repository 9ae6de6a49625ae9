#include "state/group_store.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <map>
#include <set>
#include <thread>

#include "state/query.h"
#include "tests/unit/state/temporary_database.h"

namespace contimg::state {
namespace {

using S = GroupState;

GroupRow Group(const std::string& id, S state = S::kReady, int priority = 0) {
  GroupRow row;
  row.id = id;
  row.state = state;
  row.priority = priority;
  row.subbands_expected = 16;
  row.first_file_at = 100;
  return row;
}

TransitionDetails By(const std::string& actor, const std::string& detail = "") {
  TransitionDetails details;
  details.actor = actor;
  details.detail = detail;
  return details;
}

TEST(GroupState, AllowsExactlyTheDocumentedTransitions) {
  const std::map<S, std::set<S>> legal{
      {S::kCollecting, {S::kReady, S::kFailed, S::kDead, S::kHeld, S::kCancelled}},
      {S::kReady, {S::kRunning, S::kHeld, S::kCancelled, S::kCollecting, S::kDead}},
      {S::kRunning, {S::kDone, S::kAwaitingCalibration, S::kFailed, S::kDead, S::kReady, S::kHeld, S::kCancelled}},
      {S::kAwaitingCalibration, {S::kReady, S::kRunning, S::kFailed, S::kDead, S::kHeld, S::kCancelled}},
      {S::kDone, {S::kReady}},
      {S::kFailed, {S::kReady, S::kDead, S::kHeld, S::kCancelled}},
      {S::kDead, {S::kReady, S::kHeld, S::kCancelled}},
      {S::kHeld, {S::kCollecting, S::kReady, S::kAwaitingCalibration, S::kCancelled}},
      {S::kCancelled, {S::kReady, S::kCollecting}},
  };
  ASSERT_EQ(AllGroupStates().size(), static_cast<std::size_t>(kWorkStateCount));
  for (const S from : AllGroupStates()) {
    for (const S to : AllGroupStates()) {
      EXPECT_EQ(IsLegalTransition(from, to), legal.at(from).count(to) == 1) << ToString(from) << " → " << ToString(to);
    }
    EXPECT_EQ(ParseGroupState(ToString(from)), from);
  }
  EXPECT_THROW(ParseGroupState("asleep"), Error);
}

// Every pair of states against the store: legal ones leave the state and one event, others leave nothing.
TEST(GroupStore, EnforcesTheTableForEveryPair) {
  TemporaryDatabase place;
  GroupStore store(place.path());
  int n = 0;
  for (const S from : AllGroupStates()) {
    for (const S to : AllGroupStates()) {
      const std::string id = "g" + std::to_string(n++);
      store.Create(Group(id, from == S::kRunning ? S::kReady : from), "test", 1);
      if (from == S::kRunning) {
        ASSERT_TRUE(store.Acquire(id, "owner", 10, 1));
      }
      const std::size_t events = store.Events(id).size();
      if (to != S::kRunning && IsLegalTransition(from, to)) {
        store.Transition(id, to, By("test", "why"), 2);
        EXPECT_EQ(store.Find(id)->state, to);
        const auto trail = store.Events(id);
        ASSERT_EQ(trail.size(), events + 1);
        EXPECT_EQ(trail.back().from_state, ToString(from));
        EXPECT_EQ(trail.back().to_state, ToString(to));
        EXPECT_EQ(trail.back().detail, "why");
      } else {
        EXPECT_THROW(store.Transition(id, to, By("test"), 2), Error);
        EXPECT_EQ(store.Find(id)->state, from);
        EXPECT_EQ(store.Events(id).size(), events);
      }
    }
  }
}

TEST(GroupStore, CollectsFilesAndFollowsTheEarliestStamp) {
  TemporaryDatabase place;
  GroupStore store(place.path());
  const GroupRow group = Group("2025-10-13T13:28:05", S::kCollecting);
  EXPECT_TRUE(store.AddFiles(group, {{"", 3, "/in/a", 10, 1.5, "c1", "present", 5}}, "watcher", 5));
  EXPECT_FALSE(store.AddFiles(
      group, {{"", 4, "/in/b", 10, 1.5, "c2", "present", 6}, {"", 4, "/in/c", 10, 1.5, "c2", "duplicate", 6}},
      "watcher", 6));
  EXPECT_FALSE(store.AddFiles(group, {{"", 3, "/in/a", 20, 2.5, "c3", "present", 7}}, "watcher", 7));
  EXPECT_EQ(store.Find(group.id)->subbands_present, 2);
  store.Rename(group.id, "2025-10-13T13:28:03", "watcher", 8);
  EXPECT_FALSE(store.Find(group.id));
  const auto files = store.Files("2025-10-13T13:28:03");
  ASSERT_EQ(files.size(), 3u);
  EXPECT_EQ(files[0].size_bytes, 20);
  EXPECT_EQ(files[0].checksum, "c3");
  EXPECT_EQ(store.FindFile("/in/b")->group_id, "2025-10-13T13:28:03");
  EXPECT_EQ(store.CountFiles("duplicate"), 1);
  EXPECT_EQ(store.Events("2025-10-13T13:28:03").size(), 6u);  // new, four files, rename
  EXPECT_TRUE(store.Events(group.id).empty());
  store.Transition("2025-10-13T13:28:03", S::kReady, By("watcher"), 9);
  EXPECT_THROW(store.Rename("2025-10-13T13:28:03", "x", "watcher", 10), Error);
}

TEST(GroupStore, HandsOutByPriorityThenOrder) {
  TemporaryDatabase place;
  GroupStore store(place.path());
  for (const char* id : {"b", "a", "c"}) store.Create(Group(id), "test", 1);
  store.Create(Group("0", S::kReady, 5), "test", 1);
  GroupRow later = Group("z");
  later.next_attempt_at = 1000;
  store.Create(later, "test", 1);
  EXPECT_EQ(store.AcquireNext("w", QueueOrder::kNewest, 10, 2)->id, "0");
  EXPECT_EQ(store.AcquireNext("w", QueueOrder::kNewest, 10, 2)->id, "c");
  EXPECT_EQ(store.AcquireNext("w", QueueOrder::kOldest, 10, 2)->id, "a");
  EXPECT_EQ(store.AcquireNext("w", QueueOrder::kOldest, 10, 2)->id, "b");
  EXPECT_FALSE(store.AcquireNext("w", QueueOrder::kNewest, 10, 2));
  EXPECT_EQ(store.AcquireNext("w", QueueOrder::kNewest, 10, 1000)->id, "z");
}

TEST(GroupStore, KeepsAndLosesLeases) {
  TemporaryDatabase place;
  GroupStore store(place.path());
  store.Create(Group("g"), "test", 1);
  const auto row = store.AcquireNext("daemon-1", QueueOrder::kNewest, 10, 100);
  ASSERT_TRUE(row);
  EXPECT_EQ(row->attempts, 1);
  EXPECT_EQ(row->lease_expires_at, 110);
  EXPECT_TRUE(store.Heartbeat("g", "daemon-1", 10, 105));
  EXPECT_FALSE(store.Heartbeat("g", "somebody", 10, 105));
  EXPECT_TRUE(store.SetProgress("g", "daemon-1", "convert", 0.5, 106));
  EXPECT_EQ(store.Find("g")->stage, "convert");
  EXPECT_TRUE(store.ReclaimExpired("daemon", 114).empty());
  TransitionDetails wrong = By("runner");
  wrong.lease_owner = "somebody";
  EXPECT_THROW(store.Transition("g", S::kDone, wrong, 114), Error);
  EXPECT_EQ(store.ReclaimExpired("daemon", 115), std::vector<std::string>{"g"});
  EXPECT_EQ(store.Find("g")->state, S::kReady);
  EXPECT_FALSE(store.Heartbeat("g", "daemon-1", 10, 116));
  ASSERT_TRUE(store.Acquire("g", "daemon-2:7", 10, 117));
  EXPECT_TRUE(store.ReclaimOwned("daemon-1", "daemon", 118).empty());
  EXPECT_EQ(store.ReclaimOwned("daemon-2:", "daemon", 118), std::vector<std::string>{"g"});
  EXPECT_EQ(store.Find("g")->attempts, 2);
}

TEST(GroupStore, RetriesFailuresAndForgetsThemWhenDone) {
  TemporaryDatabase place;
  GroupStore store(place.path());
  store.Create(Group("g"), "test", 1);
  ASSERT_TRUE(store.AcquireNext("w", QueueOrder::kNewest, 10, 2));
  TransitionDetails failure = By("runner", "worker said so");
  failure.error_kind = ErrorKind::kIo;
  failure.error = "disk full";
  failure.next_attempt_at = 50;
  store.Transition("g", S::kFailed, failure, 3);
  GroupQuery query;
  query.error_kind = ErrorKind::kIo;
  EXPECT_EQ(store.Count(query), 1);
  EXPECT_FALSE(store.AcquireNext("w", QueueOrder::kNewest, 10, 49));
  const auto again = store.AcquireNext("w", QueueOrder::kNewest, 10, 50);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->attempts, 2);
  TransitionDetails success = By("runner");
  success.timings_json = R"({"convert": 3.5})";
  success.lease_owner = "w";
  store.Transition("g", S::kDone, success, 60);
  const auto done = store.Find("g");
  EXPECT_FALSE(done->error_kind);
  EXPECT_EQ(done->error, "");
  EXPECT_EQ(done->progress, 1);
  EXPECT_EQ(done->finished_at, 60);
  EXPECT_EQ(done->timings_json, R"({"convert": 3.5})");
  TransitionDetails requeue = By("operator");
  requeue.reset_attempts = true;
  store.Transition("g", S::kReady, requeue, 70);
  EXPECT_EQ(store.Find("g")->attempts, 0);
}

TEST(GroupStore, AHeldGroupHasTheReasonAsItsCause) {
  TemporaryDatabase place;
  GroupStore store(place.path());
  store.Create(Group("a", S::kFailed), "test", 1);
  TransitionDetails failed = By("runner", "no disk");
  failed.error_kind = ErrorKind::kIo;
  failed.error = "no disk";
  store.Create(Group("b"), "test", 1);
  ASSERT_TRUE(store.Acquire("b", "owner", 10, 1));
  store.Transition("b", S::kFailed, failed, 2);
  for (const char* id : {"a", "b"}) {
    store.Transition(id, S::kHeld, By("watcher", "subband 3 came twice"), 3);
    EXPECT_EQ(store.Find(id)->error, "subband 3 came twice");
    EXPECT_FALSE(store.Find(id)->error_kind);
    store.Transition(id, S::kReady, By("operator", "release"), 4);
    EXPECT_EQ(store.Find(id)->error, "");
  }
}

TEST(GroupStore, ListsByStateTimeAndPage) {
  TemporaryDatabase place;
  GroupStore store(place.path());
  for (int i = 0; i < 20; ++i) {
    store.Create(Group("2025-10-13T13:00:" + std::to_string(10 + i), i % 2 == 0 ? S::kReady : S::kHeld), "test", 1);
  }
  GroupQuery query;
  query.states = {S::kHeld};
  query.id_from = "2025-10-13T13:00:15";
  query.id_before = "2025-10-13T13:00:25";
  EXPECT_EQ(store.Count(query), 5);
  query.limit = 2;
  query.offset = 1;
  const auto page = store.List(query);
  ASSERT_EQ(page.size(), 2u);
  EXPECT_EQ(page[0].id, "2025-10-13T13:00:21");
  query = {};
  query.newest_first = false;
  EXPECT_EQ(store.List(query).front().id, "2025-10-13T13:00:10");
  const GroupSummary summary = store.Summary();
  EXPECT_EQ(summary.counts[static_cast<std::size_t>(S::kReady)].second, 10);
  EXPECT_EQ(summary.counts[static_cast<std::size_t>(S::kDead)].second, 0);
  EXPECT_EQ(summary.oldest_unprocessed, "2025-10-13T13:00:10");
  EXPECT_EQ(summary.oldest_unprocessed_since, 100);
  EXPECT_EQ(summary.last_file_at, 0);
}

TEST(GroupStore, NeverEditsItsTrail) {
  TemporaryDatabase place;
  GroupStore store(place.path());
  store.Create(Group("g"), "test", 1);
  EXPECT_THROW(Query(store.database(), "DELETE FROM events").Run(), Error);
  EXPECT_THROW(Query(store.database(), "UPDATE events SET detail = 'x'").Run(), Error);
  EXPECT_EQ(store.Events("").size(), 1u);
}

// Threads with a connection each take all groups: each group goes out exactly once.
TEST(GroupStore, GivesEachGroupToOneTakerOnly) {
  TemporaryDatabase place;
  constexpr int kGroups = 60;
  {
    GroupStore store(place.path());
    for (int i = 0; i < kGroups; ++i) store.Create(Group("g" + std::to_string(100 + i)), "test", 1);
  }
  std::atomic<int> taken{0};
  std::vector<std::vector<std::string>> ids(4);
  {
    std::vector<std::jthread> threads;
    for (std::size_t t = 0; t < ids.size(); ++t) {
      threads.emplace_back([&, t] {
        GroupStore store(place.path());
        while (const auto row = store.AcquireNext("w" + std::to_string(t), QueueOrder::kOldest, 100, 2)) {
          ids[t].push_back(row->id);
          ++taken;
        }
      });
    }
  }
  std::set<std::string> all;
  for (const auto& list : ids) all.insert(list.begin(), list.end());
  EXPECT_EQ(taken, kGroups);
  EXPECT_EQ(all.size(), static_cast<std::size_t>(kGroups));
}

// The same with processes: each child takes groups until none is left and leaves its number as its exit status.
TEST(GroupStore, SharesTheQueueAmongProcesses) {
  TemporaryDatabase place;
  constexpr int kGroups = 30, kProcesses = 3;
  {
    GroupStore store(place.path());
    for (int i = 0; i < kGroups; ++i) store.Create(Group("g" + std::to_string(100 + i)), "test", 1);
  }
  std::vector<pid_t> children;
  for (int p = 0; p < kProcesses; ++p) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      int taken = 0;
      try {
        GroupStore store(place.path());
        while (store.AcquireNext("p" + std::to_string(p), QueueOrder::kNewest, 100, 2)) ++taken;
      } catch (...) {
        ::_exit(255);
      }
      ::_exit(taken);
    }
    children.push_back(child);
  }
  int total = 0;
  for (const pid_t child : children) {
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status));
    ASSERT_NE(WEXITSTATUS(status), 255);
    total += WEXITSTATUS(status);
  }
  EXPECT_EQ(total, kGroups);
  GroupStore store(place.path());
  for (const GroupRow& row : store.List({})) EXPECT_EQ(row.attempts, 1);
}

// A process that dies (SIGKILL) between two statements of a transaction leaves nothing of it.
TEST(GroupStore, SurvivesAKillBetweenStatements) {
  TemporaryDatabase place;
  {
    GroupStore store(place.path());
    store.Create(Group("g"), "test", 1);
  }
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    GroupStore store(place.path());
    store.database().Write([&] {
      store.Transition("g", S::kHeld, By("test"), 2);
      store.Create(Group("h"), "test", 2);
      ::kill(::getpid(), SIGKILL);
    });
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  GroupStore store(place.path());
  EXPECT_EQ(store.Find("g")->state, S::kReady);
  EXPECT_FALSE(store.Find("h"));
  EXPECT_EQ(store.Events("").size(), 1u);
  EXPECT_NO_THROW(store.database().Check());
}

}  // namespace
}  // namespace contimg::state
