#include "ops/daemon/watermarks.h"

#include <gtest/gtest.h>

#include <cstdint>

#include "tests/faulty_os.h"

namespace contimg::ops {
namespace {

constexpr std::uint64_t kGB = 1'000'000'000;

TEST(ScratchLevel, UsesAbsoluteLimitsOnALargeDisk) {
  const DiskSettings settings;  // warn below 200 GB, critical below 100 GB
  EXPECT_EQ(ScratchLevel({250 * kGB, 4000 * kGB}, settings), DiskLevel::kGood);
  EXPECT_EQ(ScratchLevel({150 * kGB, 4000 * kGB}, settings), DiskLevel::kWarning);
  EXPECT_EQ(ScratchLevel({99 * kGB, 4000 * kGB}, settings), DiskLevel::kCritical);
}

TEST(ScratchLevel, UsesRelativeLimitsOnASmallDisk) {
  const DiskSettings settings;  // warn above 90 %, critical above 95 %
  EXPECT_EQ(ScratchLevel({30 * kGB, 200 * kGB}, settings), DiskLevel::kGood);
  EXPECT_EQ(ScratchLevel({15 * kGB, 200 * kGB}, settings), DiskLevel::kWarning);
  EXPECT_EQ(ScratchLevel({9 * kGB, 200 * kGB}, settings), DiskLevel::kCritical);
}

TEST(StagingLevel, IsRelative) {
  const DiskSettings settings;
  EXPECT_EQ(StagingLevel({10, 100}, settings), DiskLevel::kWarning);
  EXPECT_EQ(StagingLevel({4, 100}, settings), DiskLevel::kCritical);
  EXPECT_EQ(StagingLevel({40, 100}, settings), DiskLevel::kGood);
}

TEST(LookAtDisks, StopsDispatchOnACriticalDiskAndSaysWhich) {
  testing::FaultyOs os;
  DirectoryRoots roots;
  roots.output = roots.state = roots.staging = "/tmp";
  os.SetSpace({1 * kGB, 100 * kGB});
  const DiskReport report = LookAtDisks(os, roots, DiskSettings());
  EXPECT_FALSE(report.dispatch_allowed);
  ASSERT_EQ(report.troubles.size(), 2u);  // scratch and staging; 1 GB is enough for the state
  EXPECT_EQ(report.troubles[0],
            "the scratch disk (/tmp) has 1.0 GB free of 100.0 GB: no new work starts until there is room");
}

}  // namespace
}  // namespace contimg::ops
