#include "config/error.h"

#include <gtest/gtest.h>

#include <set>

namespace contimg {
namespace {

TEST(ErrorKind, WhatMayPassIsWhatIsTriedWithBackoff) {
  const std::set<ErrorKind> passing{ErrorKind::kIo, ErrorKind::kBusy, ErrorKind::kResource};
  for (int k = 0; k <= static_cast<int>(ErrorKind::kCancelled); ++k) {
    const auto kind = static_cast<ErrorKind>(k);
    EXPECT_EQ(MayPass(kind), passing.count(kind) == 1) << ToString(kind);
    EXPECT_EQ(ParseErrorKind(ToString(kind)), kind);
    // What the input or the user did is never tried again.
    if (ExitStatus(kind) != 1) {
      EXPECT_EQ(RetryOf(kind), Retry::kNever) << ToString(kind);
    }
  }
}

}  // namespace
}  // namespace contimg
