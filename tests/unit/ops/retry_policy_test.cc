#include "ops/job/retry_policy.h"

#include <gtest/gtest.h>

namespace contimg::ops {
namespace {

TEST(RetryDelay, GivesUpAtOnceWhenTheSameInputFailsAgain) {
  for (ErrorKind kind : {ErrorKind::kBadInput, ErrorKind::kIncomplete, ErrorKind::kUsage, ErrorKind::kCancelled}) {
    EXPECT_FALSE(RetryDelay(kind, 1, {}, 0.5)) << ToString(kind);
  }
}

TEST(RetryDelay, TriesSuspectFailuresTwice) {
  for (ErrorKind kind : {ErrorKind::kCrash, ErrorKind::kTimeout, ErrorKind::kBug, ErrorKind::kNumeric}) {
    EXPECT_TRUE(RetryDelay(kind, 1, {}, 0.5)) << ToString(kind);
    EXPECT_FALSE(RetryDelay(kind, 2, {}, 0.5)) << ToString(kind);
  }
}

TEST(RetryDelay, DoublesUpToTheLongestDelay) {
  const RetryRules rules{.first_delay_s = 10, .longest_delay_s = 60, .jitter = 0};
  for (ErrorKind kind : {ErrorKind::kIo, ErrorKind::kBusy, ErrorKind::kResource}) {
    EXPECT_EQ(RetryDelay(kind, 1, rules, 0), 10);
    EXPECT_EQ(RetryDelay(kind, 2, rules, 0), 20);
    EXPECT_EQ(RetryDelay(kind, 3, rules, 0), 40);
    EXPECT_EQ(RetryDelay(kind, 4, rules, 0), 60);
    EXPECT_EQ(RetryDelay(kind, 19, rules, 0), 60);
    EXPECT_FALSE(RetryDelay(kind, 20, rules, 0));
  }
}

TEST(RetryDelay, SpreadsDelaysByTheJitter) {
  const RetryRules rules{.first_delay_s = 100, .jitter = 0.2};
  EXPECT_DOUBLE_EQ(*RetryDelay(ErrorKind::kIo, 1, rules, 0.0), 80);
  EXPECT_DOUBLE_EQ(*RetryDelay(ErrorKind::kIo, 1, rules, 0.5), 100);
  EXPECT_LT(*RetryDelay(ErrorKind::kIo, 1, rules, 0.999), 120);
}

}  // namespace
}  // namespace contimg::ops
