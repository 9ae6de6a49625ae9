#include "ops/records/cure.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace contimg::ops {
namespace {

using state::GroupRow;
using state::GroupState;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

GroupRow Row(GroupState state, std::optional<ErrorKind> kind = std::nullopt, const std::string& error = "") {
  GroupRow row;
  row.id = "2025-10-13T13:28:03";
  row.state = state;
  row.error_kind = kind;
  row.error = error;
  return row;
}

TEST(Cure, TryingAgainIsOfferedWhereItMayHelp) {
  EXPECT_THAT(CureOf(Row(GroupState::kDead, ErrorKind::kIo)).commands,
              ElementsAre("contimg queue requeue 2025-10-13T13:28:03"));
  EXPECT_THAT(CureOf(Row(GroupState::kDead, ErrorKind::kBadInput)).commands,
              ElementsAre("contimg queue show 2025-10-13T13:28:03", "contimg queue requeue 2025-10-13T13:28:03"));
  // Below the fewest subbands a requeue is refused: it is not offered.
  EXPECT_THAT(CureOf(Row(GroupState::kDead, ErrorKind::kIncomplete)).commands,
              ElementsAre("contimg queue cancel 2025-10-13T13:28:03"));
}

TEST(Cure, DoneGroupsNeedNothingUnlessTheirInputChanged) {
  EXPECT_THAT(CureOf(Row(GroupState::kDone)).commands, IsEmpty());
  EXPECT_TRUE(CureOf(Row(GroupState::kDone)).sentence.empty());
  EXPECT_THAT(CureOf(Row(GroupState::kDone, std::nullopt, "sb01 was sent again")).commands,
              ElementsAre("contimg queue requeue 2025-10-13T13:28:03"));
}

TEST(Cure, TasksHaveTheirsToo) {
  state::TaskRow task;
  task.id = "backup/2025-10-14T03:00:00";
  task.state = GroupState::kDone;
  EXPECT_THAT(CureOf(task).commands, IsEmpty());
  task.state = GroupState::kDead;
  EXPECT_THAT(CureOf(task).commands, ElementsAre("contimg queue show backup/2025-10-14T03:00:00",
                                                 "contimg queue requeue backup/2025-10-14T03:00:00"));
  task.state = GroupState::kHeld;
  EXPECT_THAT(CureOf(task).commands, ElementsAre("contimg queue release backup/2025-10-14T03:00:00"));
}

TEST(Cure, ManyAreCuredAtOnce) {
  EXPECT_THAT(CureOfMany(Row(GroupState::kDead, ErrorKind::kIo)).commands,
              ElementsAre("contimg queue requeue --state dead --error-kind io"));
  EXPECT_THAT(CureOfMany(Row(GroupState::kHeld)).commands, ElementsAre("contimg queue release --state held"));
}

TEST(Cure, EveryStateThatRestsSomewhereHasWords) {
  for (const GroupState state : {GroupState::kFailed, GroupState::kDead, GroupState::kHeld, GroupState::kCancelled,
                                 GroupState::kAwaitingCalibration}) {
    EXPECT_FALSE(CureOf(Row(state)).sentence.empty()) << ToString(state);
    EXPECT_FALSE(CureOf(Row(state)).commands.empty()) << ToString(state);
  }
}

}  // namespace
}  // namespace contimg::ops
