#include "ingest/file_intake.h"

#include <gtest/gtest.h>

namespace contimg::ingest {
namespace {

const IntakeRules kRules{.settle_s = 2, .first_retry_s = 1, .longest_retry_s = 8, .give_up_s = 60};
const FileVersion kSmall{10, 1}, kLarge{20, 2};

TEST(FileIntake, LooksIntoAFinishedFileAtOnce) {
  FileIntake intake(kRules);
  intake.Finished("a", 5);
  EXPECT_EQ(intake.NextDue(5), "a");
  EXPECT_TRUE(intake.Settled("a", kSmall, 5));
  intake.Accepted("a", kSmall);
  EXPECT_FALSE(intake.NextDue(1000));
  EXPECT_EQ(intake.n_pending(), 0u);
}

TEST(FileIntake, WaitsUntilAListedFileStopsGrowing) {
  FileIntake intake(kRules);
  intake.Listed("a", kSmall, 0);
  EXPECT_FALSE(intake.NextDue(1.9));
  ASSERT_EQ(intake.NextDue(2), "a");
  EXPECT_FALSE(intake.Settled("a", kLarge, 2));  // it grew
  EXPECT_FALSE(intake.NextDue(3.9));
  ASSERT_EQ(intake.NextDue(4), "a");
  EXPECT_TRUE(intake.Settled("a", kLarge, 4));
}

TEST(FileIntake, DoesNotLookAgainIntoAnAcceptedVersion) {
  FileIntake intake(kRules);
  intake.Remember("a", kSmall);
  intake.Listed("a", kSmall, 0);
  EXPECT_FALSE(intake.NextDue(1000));
  intake.Listed("a", kLarge, 1000);  // rewritten
  EXPECT_EQ(intake.NextDue(1002), "a");
}

TEST(FileIntake, RetriesWithGrowingDelayAndGivesUpWhenUnchanged) {
  FileIntake intake(kRules);
  intake.Finished("a", 0);
  double now = 0;
  std::vector<double> tries;
  for (;;) {
    for (; intake.NextDue(now) != "a"; ++now) ASSERT_LT(now, 1000);
    tries.push_back(now);
    if (!intake.Unreadable("a", kSmall, now)) break;
    ASSERT_LT(tries.size(), 100u);
  }
  EXPECT_EQ(tries, (std::vector<double>{0, 1, 3, 7, 15, 23, 31, 39, 47, 55, 60}));
}

TEST(FileIntake, KeepsTryingAFileThatChanges) {
  FileIntake intake(kRules);
  intake.Finished("a", 0);
  double now = 0;
  for (std::uint64_t size = 0; size < 200; ++size) {
    for (; intake.NextDue(now) != "a"; ++now) ASSERT_LT(now, 1e6);
    ASSERT_TRUE(intake.Unreadable("a", {size, 0}, now));
  }
}

TEST(FileIntake, LooksAgainAfterAnEventThatCameWhileReading) {
  FileIntake intake(kRules);
  intake.Finished("a", 0);
  ASSERT_EQ(intake.NextDue(0), "a");
  intake.Finished("a", 1);
  intake.Accepted("a", kSmall);
  EXPECT_EQ(intake.NextDue(1), "a");
}

TEST(FileIntake, CountsFilesThatFailedAndFilesNotYetSeen) {
  FileIntake intake({});
  for (const char* name : {"a", "b", "c"}) intake.Finished(name, 0);
  EXPECT_EQ(intake.n_unseen(), 3u);
  for (int i = 0; i < 3; ++i) intake.NextDue(0);
  intake.Unreadable("a", {1, 1}, 0);
  intake.Unreadable("b", {1, 1}, 0);
  EXPECT_EQ(intake.n_unseen(), 1u);
  EXPECT_EQ(intake.n_retrying(), 2u);
  intake.Unreadable("a", {2, 2}, 1);  // changed: counted once all the same
  EXPECT_EQ(intake.n_retrying(), 2u);
  intake.Accepted("a", {2, 2});
  intake.Gone("b");
  intake.Gone("b");
  EXPECT_EQ(intake.n_retrying(), 0u);
  EXPECT_EQ(intake.n_unseen(), 1u);
}

TEST(FileIntake, ForgetsWhatALaterListingLacks) {
  FileIntake intake({});
  intake.Remember("a", {1, 1});
  intake.Remember("b", {1, 1});
  intake.Finished("c", 0);
  intake.KeepOnly({"b"});
  EXPECT_FALSE(intake.Knows("a"));
  EXPECT_TRUE(intake.Knows("b"));
  EXPECT_TRUE(intake.Knows("c"));  // still to be looked into
  EXPECT_EQ(intake.n_accepted(), 1u);
}

TEST(FileIntake, ForgetsAFileThatIsGone) {
  FileIntake intake(kRules);
  intake.Finished("a", 0);
  ASSERT_EQ(intake.NextDue(0), "a");
  intake.Gone("a");
  EXPECT_FALSE(intake.Knows("a"));
  EXPECT_FALSE(intake.NextDue(1e9));
}

}  // namespace
}  // namespace contimg::ingest
