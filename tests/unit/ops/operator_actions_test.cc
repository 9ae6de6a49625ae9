#include "ops/records/operator_actions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "ops/records/input_review.h"
#include "tests/unit/ops/work_folders.h"

namespace contimg::ops {
namespace {

using state::GroupRow;
using state::GroupState;
using state::SubbandFileRow;
using ::testing::HasSubstr;

SubbandFileRow File(int subband, const std::string& path, const std::string& status) {
  SubbandFileRow row;
  row.subband = subband;
  row.path = path;
  row.status = status;
  return row;
}

TEST(ReviewInputs, TheFileThatIsLeftOfTwoTakesThePlace) {
  const auto review =
      ReviewInputs({File(0, "/in/a", "present"), File(1, "/in/b", "present"), File(1, "/in/c", "conflict")},
                   [](const auto& path) { return path != "/in/b"; });
  EXPECT_EQ(review.n_present, 2);
  EXPECT_TRUE(review.unresolved.empty());
  ASSERT_EQ(review.changed.size(), 2u);
  EXPECT_EQ(review.changed[0].path + " " + review.changed[0].status, "/in/b removed");
  EXPECT_EQ(review.changed[1].path + " " + review.changed[1].status, "/in/c present");
}

TEST(ReviewInputs, TheFirstStaysWhenTheSecondIsRemoved) {
  const auto review = ReviewInputs({File(1, "/in/b", "present"), File(1, "/in/c", "conflict")},
                                   [](const auto& path) { return path != "/in/c"; });
  EXPECT_EQ(review.n_present, 1);
  EXPECT_TRUE(review.unresolved.empty());
  ASSERT_EQ(review.changed.size(), 1u);
  EXPECT_EQ(review.changed[0].status, "removed");
}

TEST(ReviewInputs, TwoThatAreThereNeedAPerson) {
  const auto all = [](const auto&) { return true; };
  const auto review = ReviewInputs({File(1, "/in/b", "present"), File(1, "/in/c", "conflict")}, all);
  EXPECT_THAT(review.unresolved, ::testing::ElementsAre("sb01: /in/b or /in/c"));
  EXPECT_TRUE(review.changed.empty());
  // Of two that contradict a third which is gone, neither is chosen either.
  const auto orphans =
      ReviewInputs({File(1, "/in/b", "present"), File(1, "/in/c", "conflict"), File(1, "/in/d", "conflict")},
                   [](const auto& path) { return path != "/in/b"; });
  EXPECT_EQ(orphans.n_present, 0);
  EXPECT_THAT(orphans.unresolved, ::testing::ElementsAre("sb01: /in/c or /in/d"));
}

TEST(ReviewInputs, LateFilesWaitForTheOperatorsWord) {
  const auto review = ReviewInputs({File(1, "/in/b", "late")}, [](const auto&) { return true; });
  EXPECT_EQ(review.n_present, 0);
  EXPECT_TRUE(review.changed.empty());
}

TEST(FileIsThere, KnowsNothingOfAFileWhoseDirectoryIsGone) {
  const TemporaryFolder folder{"review"};
  EXPECT_FALSE(FileIsThere(folder.path() / "nothing"));
  EXPECT_THROW(FileIsThere(folder.path() / "unmounted" / "file"), Error);
}

class OperatorActions : public ::testing::Test {
 protected:
  OperatorActions() {
    settings.expected_subbands = 3;
    settings.min_subbands = 2;
    request.now = 1000;
    request.exists = [this](const std::filesystem::path& path) { return gone.count(path.string()) == 0; };
  }
  GroupRow Group(GroupState state, const std::vector<SubbandFileRow>& files) {
    GroupRow row;
    row.id = "2025-10-13T13:28:03";
    row.subbands_expected = 3;
    row.state = state;
    store.Create(row, "test", 1);
    store.AddFiles(row, files, "test", 1);
    return *store.Find(row.id);
  }
  GroupRow Now() { return *store.Find("2025-10-13T13:28:03"); }

  TemporaryFolder folder{"actions"};
  state::GroupStore store{folder.path() / "ingest.sqlite3"};
  IngestSettings settings;
  OperatorRequest request;
  std::set<std::string> gone;
};

TEST_F(OperatorActions, ReleaseTakesTheFileThatWasKept) {
  const GroupRow row = Group(GroupState::kHeld,
                             {File(0, "/in/a", "present"), File(1, "/in/b", "present"), File(1, "/in/c", "conflict")});
  EXPECT_THROW(ReleaseGroup(store, row, request, settings), Error);
  EXPECT_EQ(Now().state, GroupState::kHeld);
  gone = {"/in/b"};
  ReleaseGroup(store, row, request, settings);
  EXPECT_EQ(Now().state, GroupState::kReady);
  for (const SubbandFileRow& file : store.Files(row.id)) {
    const bool replaced = file.subband == 1 && file.path != "/in/c";
    EXPECT_EQ(file.status, replaced ? "removed" : "present") << file.path;
  }
}

// As `contimg queue requeue --all` asks for them: many in one transaction, and one that is refused does not stop it.
TEST_F(OperatorActions, ARefusedRequeueLeavesTheGroupAsItWas) {
  const GroupRow row = Group(GroupState::kDead, {File(0, "/in/a", "late"), File(1, "/in/b", "present")});
  gone = {"/in/a"};
  const std::size_t n_events = store.Events(row.id).size();
  store.database().Write([&] { EXPECT_THROW(RequeueGroup(store, row, request, settings), Error); });
  EXPECT_EQ(store.Files(row.id)[0].status, "late");
  EXPECT_EQ(Now().subbands_present, 1);
  EXPECT_EQ(store.Events(row.id).size(), n_events);
}

TEST_F(OperatorActions, ReleaseOfTooFewSubbandsCollectsAgain) {
  const GroupRow row = Group(GroupState::kHeld, {File(0, "/in/a", "present")});
  ReleaseGroup(store, row, request, settings);
  EXPECT_EQ(Now().state, GroupState::kCollecting);
}

TEST_F(OperatorActions, RequeueRefusesWhatIsBelowTheFewest) {
  const GroupRow row = Group(GroupState::kDead, {File(0, "/in/a", "present"), File(1, "/in/b", "present")});
  gone = {"/in/b"};
  try {
    RequeueGroup(store, row, request, settings);
    FAIL() << "must be refused";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_THAT(error.what(), HasSubstr("has 1 of 3 subbands and at least 2 are needed (ingest.min_subbands)"));
  }
  EXPECT_EQ(Now().state, GroupState::kDead);
  gone.clear();
  RequeueGroup(store, row, request, settings);
  EXPECT_EQ(Now().state, GroupState::kReady);
}

TEST_F(OperatorActions, RequeueTakesLateFilesAlong) {
  const GroupRow row = Group(GroupState::kDead, {File(0, "/in/a", "present"), File(1, "/in/b", "late")});
  RequeueGroup(store, row, request, settings);
  EXPECT_EQ(Now().state, GroupState::kReady);
  EXPECT_EQ(Now().subbands_present, 2);
}

TEST_F(OperatorActions, AMarkedGroupIsFoundAmongTheLateOnes) {
  const GroupRow row = Group(GroupState::kDone, {File(0, "/in/a", "present")});
  state::GroupQuery late;
  late.late_files = true;
  EXPECT_EQ(store.Count(late), 0);
  store.Mark(row.id, "sb00 was sent again", "watcher", 5);
  EXPECT_EQ(store.Count(late), 1);
  EXPECT_EQ(Now().error, "sb00 was sent again");
  EXPECT_FALSE(Now().error_kind.has_value());
}

}  // namespace
}  // namespace contimg::ops
