#include "ops/records/watermarks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <stdexcept>

#include "tests/faulty_os.h"

namespace contimg::ops {
namespace {

constexpr std::uint64_t kGB = 1'000'000'000;

TEST(ScratchLevel, UsesAbsoluteDefaultsOnALargeDisk) {
  const DiskSettings settings;  // warn below 200 GB, critical below 100 GB
  EXPECT_EQ(ScratchLevel({250 * kGB, 4000 * kGB}, settings), DiskLevel::kGood);
  EXPECT_EQ(ScratchLevel({150 * kGB, 4000 * kGB}, settings), DiskLevel::kWarning);
  EXPECT_EQ(ScratchLevel({99 * kGB, 4000 * kGB}, settings), DiskLevel::kCritical);
}

TEST(ScratchLevel, UsesRelativeDefaultsOnASmallDisk) {
  const DiskSettings settings;  // warn above 90 %, critical above 95 %
  EXPECT_EQ(ScratchLevel({30 * kGB, 200 * kGB}, settings), DiskLevel::kGood);
  EXPECT_EQ(ScratchLevel({15 * kGB, 200 * kGB}, settings), DiskLevel::kWarning);
  EXPECT_EQ(ScratchLevel({9 * kGB, 200 * kGB}, settings), DiskLevel::kCritical);
}

TEST(ScratchLevel, ALimitThatIsSetHoldsOnEveryDisk) {
  for (const std::uint64_t total : {60 * kGB, 499 * kGB, 4000 * kGB}) {
    DiskSettings settings;
    settings.critical_free_bytes = static_cast<std::int64_t>(50 * kGB);
    EXPECT_EQ(ScratchLevel({49 * kGB, total}, settings), DiskLevel::kCritical) << total;
    EXPECT_NE(ScratchLevel({51 * kGB, total}, settings), DiskLevel::kCritical) << total;
    settings = {};
    settings.warn_free_bytes = static_cast<std::int64_t>(50 * kGB);
    settings.critical_free_bytes = 1;
    EXPECT_EQ(ScratchLevel({49 * kGB, total}, settings), DiskLevel::kWarning) << total;
    EXPECT_EQ(ScratchLevel({51 * kGB, total}, settings), DiskLevel::kGood) << total;
    settings = {};
    settings.critical_used_fraction = 0.5;
    EXPECT_EQ(ScratchLevel({total * 49 / 100, total}, settings), DiskLevel::kCritical) << total;
    EXPECT_NE(ScratchLevel({total * 51 / 100, total}, settings), DiskLevel::kCritical) << total;
    settings.critical_free_bytes = 1000;  // the stricter of two
    EXPECT_EQ(ScratchLevel({total * 49 / 100, total}, settings), DiskLevel::kCritical) << total;
  }
}

TEST(ScratchLimits, SayWhichRuleIsInForce) {
  DiskSettings settings;
  EXPECT_EQ(Describe(ScratchLimits(4000 * kGB, settings)),
            "alert below 200.0 GB free (default), no new work below 100.0 GB (default)");
  EXPECT_EQ(
      Describe(ScratchLimits(200 * kGB, settings)),
      "alert below 20.0 GB free (default: 10 % of the disk), no new work below 10.0 GB (default: 5 % of the disk)");
  settings.critical_free_bytes = static_cast<std::int64_t>(50 * kGB);
  settings.warn_used_fraction = 0.5;
  EXPECT_EQ(
      Describe(ScratchLimits(200 * kGB, settings)),
      "alert below 100.0 GB free (disk.warn_used_fraction), no new work below 50.0 GB (disk.critical_free_bytes)");
}

TEST(StagingLevel, IsRelative) {
  const DiskSettings settings;
  EXPECT_EQ(StagingLevel({10, 100}, settings), DiskLevel::kWarning);
  EXPECT_EQ(StagingLevel({4, 100}, settings), DiskLevel::kCritical);
  EXPECT_EQ(StagingLevel({40, 100}, settings), DiskLevel::kGood);
}

TEST(LookAtDisks, StopsDispatchOnACriticalDiskAndSaysWhich) {
  testkit::FaultyOs os;
  DirectoryRoots roots;
  roots.output = roots.state = roots.staging = "/tmp";
  os.SetSpace({1 * kGB, 100 * kGB});
  const DiskReport report = LookAtDisks(os, roots, DiskSettings());
  EXPECT_FALSE(report.dispatch_allowed);
  EXPECT_EQ(report.disks.at("scratch").level, DiskLevel::kCritical);
  EXPECT_EQ(report.disks.at("staging").level, DiskLevel::kCritical);
  EXPECT_EQ(report.disks.at("state").level, DiskLevel::kGood);  // 1 GB is enough for it
  EXPECT_THAT(
      report.disks.at("scratch").sentence,
      ::testing::StartsWith(
          "the scratch disk (that of /tmp) has 1.0 GB free of 100.0 GB: no new work starts until there is room"));
}

class BrokenOs final : public testkit::FaultyOs {
 public:
  DiskSpace Space(const Path&) override { throw std::runtime_error("of another kind"); }
};

TEST(LookAtDisks, WhateverFailsIsACriticalDiskAndNoException) {
  BrokenOs os;
  DirectoryRoots roots;
  roots.output = roots.state = roots.staging = roots.images = "/nowhere/at/all";
  const DiskReport report = LookAtDisks(os, roots, DiskSettings());
  EXPECT_FALSE(report.dispatch_allowed);
  for (const auto& [name, disk] : report.disks) {
    EXPECT_EQ(disk.level, DiskLevel::kCritical);
    EXPECT_THAT(disk.sentence, ::testing::HasSubstr("cannot be measured: of another kind")) << name;
  }
}

}  // namespace
}  // namespace contimg::ops
