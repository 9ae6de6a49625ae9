#include "state/task_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <SQLiteCpp/SQLiteCpp.h>

#include "state/group_store.h"
#include "state/schema/schemas.h"
#include "tests/unit/state/temporary_database.h"

namespace contimg::state {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using S = WorkState;

TransitionDetails ByActor(const std::string& actor) {
  TransitionDetails details;
  details.actor = actor;
  return details;
}

std::vector<std::string> Trail(WorkTable& store, const std::string& id) {
  std::vector<std::string> states;
  for (const EventRow& event : store.Events(id)) states.push_back(event.to_state);
  return states;
}

TEST(TaskStore, GoesThroughTheMachineOfStates) {
  TemporaryDatabase place;
  GroupStore groups(place.path());
  TaskStore tasks(groups.database());
  const TaskRow made = tasks.Create("backup", "2025-10-13T03:00:00", "daemon", "due", 100);
  EXPECT_EQ(made.id, "backup/2025-10-13T03:00:00");
  EXPECT_THROW(tasks.Create("backup", "2025-10-13T03:00:00", "daemon", "due", 101), Error);

  auto taken = tasks.TakeNext("daemon-1", QueueOrder::kOldest, 10, 100);
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->id, made.id);
  EXPECT_FALSE(tasks.TakeNext("daemon-2", QueueOrder::kOldest, 10, 100)) << "two runners on one task";
  EXPECT_TRUE(tasks.Heartbeat(made.id, "daemon-1", 10, 105));
  EXPECT_TRUE(tasks.SetProgress(made.id, "daemon-1", "copy", 0.5, 105));
  EXPECT_FALSE(tasks.Heartbeat(made.id, "daemon-2", 10, 105));
  EXPECT_EQ(tasks.Find(made.id)->stage, "copy");
  EXPECT_TRUE(tasks.ReclaimExpired("daemon", 114).empty());
  EXPECT_TRUE(tasks.ReclaimExpired("daemon", 116, {made.id}).empty());
  EXPECT_THAT(tasks.ReclaimExpired("daemon", 116), ElementsAre(made.id));

  ASSERT_TRUE(tasks.TakeNext("daemon-1", QueueOrder::kOldest, 10, 116));
  TransitionDetails failed = ByActor("runner");
  failed.error_kind = ErrorKind::kIo;
  failed.error = "no room";
  failed.next_attempt_at = 200;
  tasks.Transition(made.id, S::kFailed, failed, 120);
  EXPECT_FALSE(tasks.TakeNext("daemon-1", QueueOrder::kOldest, 10, 199));
  ASSERT_TRUE(tasks.TakeNext("daemon-1", QueueOrder::kOldest, 10, 200));
  tasks.Transition(made.id, S::kDone, ByActor("runner"), 210);
  EXPECT_EQ(tasks.Find(made.id)->attempts, 3);
  EXPECT_EQ(tasks.Find(made.id)->error, "");
  EXPECT_THAT(Trail(tasks, made.id),
              ElementsAre("ready", "running", "ready", "running", "failed", "ready", "running", "done"));
  EXPECT_THROW(tasks.Transition(made.id, S::kHeld, ByActor("operator"), 211), Error);
}

TEST(TaskStore, IsHeldReleasedAndCancelledLikeGroups) {
  TemporaryDatabase place;
  TaskStore tasks(place.path());
  const std::string id = tasks.Create("backup", "a", "test", "", 1).id;
  tasks.Transition(id, S::kHeld, ByActor("operator"), 2);
  EXPECT_FALSE(tasks.TakeNext("d", QueueOrder::kOldest, 10, 3));
  tasks.Transition(id, S::kReady, ByActor("operator"), 4);
  tasks.Transition(id, S::kCancelled, ByActor("operator"), 5);
  tasks.Transition(id, S::kReady, ByActor("operator"), 6);
  EXPECT_TRUE(tasks.TakeNext("d", QueueOrder::kOldest, 10, 7));
  // A task has no files to wait for.
  EXPECT_THROW(tasks.Transition(id, S::kAwaitingCalibration, ByActor("runner"), 8), Error);
  EXPECT_EQ(tasks.Find(id)->state, S::kRunning);
  try {
    tasks.Transition("backup/none", S::kHeld, ByActor("operator"), 9);
    FAIL() << "must be refused";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("no such task"));
  }
}

TEST(TaskStore, GroupsAndTasksKeepApart) {
  TemporaryDatabase place;
  GroupStore groups(place.path());
  TaskStore tasks(groups.database());
  GroupRow group;
  group.id = "2025-10-13T13:28:03";
  group.state = S::kReady;
  groups.Create(group, "test", 1);
  tasks.Create("backup", "2025-10-13T03:00:00", "test", "", 1);
  EXPECT_EQ(groups.AcquireNext("d", QueueOrder::kOldest, 10, 2)->id, group.id);
  EXPECT_FALSE(groups.AcquireNext("d", QueueOrder::kOldest, 10, 2));
  EXPECT_TRUE(tasks.Running("d").empty());
  EXPECT_EQ(groups.Running("d").size(), 1u);
  EXPECT_EQ(groups.Summary().counts[static_cast<std::size_t>(S::kReady)].second, 0);
  EXPECT_EQ(tasks.Counts().at("backup").at(S::kReady), 1);
  EXPECT_TRUE(TaskStore::IsTaskId("backup/2025-10-13T03:00:00"));
  EXPECT_FALSE(TaskStore::IsTaskId(group.id));
}

TEST(TaskStore, ListsAndFindsTheNewest) {
  TemporaryDatabase place;
  TaskStore tasks(place.path());
  EXPECT_FALSE(tasks.Newest("backup"));
  for (const char* subject : {"2025-10-13T03:00:00", "2025-10-14T03:00:00", "2025-10-12T03:00:00"}) {
    tasks.Create("backup", subject, "test", "", subject[9] == '4' ? 20 : 10);
  }
  EXPECT_EQ(tasks.Newest("backup")->subject, "2025-10-14T03:00:00");
  EXPECT_EQ(tasks.Newest("backup", 20)->subject, "2025-10-14T03:00:00");
  EXPECT_EQ(tasks.Newest("backup", 15)->subject, "2025-10-13T03:00:00") << "created by then";
  EXPECT_FALSE(tasks.Newest("backup", 5));
  TaskQuery query;
  query.subject_from = "2025-10-13";
  query.newest_first = false;
  std::vector<std::string> subjects;
  for (const TaskRow& row : tasks.List(query)) subjects.push_back(row.subject);
  EXPECT_THAT(subjects, ElementsAre("2025-10-13T03:00:00", "2025-10-14T03:00:00"));
  query.states = {S::kDead};
  EXPECT_TRUE(tasks.List(query).empty());
}

// A queue of the version before this one keeps its groups and learns of tasks.
TEST(TaskStore, ComesToAnOlderQueueByMigration) {
  TemporaryDatabase place;
  Schema before = IngestSchema();
  before.migrations.resize(2);
  {
    Database old(place.path(), before);
    old.handle().exec(
        "INSERT INTO groups VALUES ('2025-10-13T13:28:03', 'done', 0, 1, 0, NULL, '', 16, 16, 1, 2, 3, 4, 5, 6, 7, "
        "'local', 'process 1 1', '', 0, 'image', 1, '{}')");
  }
  GroupStore groups(place.path());
  const auto row = groups.Find("2025-10-13T13:28:03");
  ASSERT_TRUE(row);
  EXPECT_EQ(row->state, S::kDone);
  EXPECT_EQ(row->subbands_present, 16);
  EXPECT_EQ(row->first_file_at, 3);
  EXPECT_EQ(row->finished_at, 7);
  TaskStore tasks(groups.database());
  EXPECT_NO_THROW(tasks.Create("backup", "x", "test", "", 1));
}

}  // namespace
}  // namespace contimg::state
