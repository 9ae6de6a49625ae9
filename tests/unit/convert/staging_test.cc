#include "convert/staging.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "config/error.h"
#include "tests/temporary_folder.h"

namespace contimg::convert {
namespace {

namespace fs = std::filesystem;

class StagingTest : public ::testing::Test {
 protected:
  TemporaryFolder folder_{"staging"};
  const fs::path root_ = folder_.path();
};

TEST_F(StagingTest, FolderExistsWhileOwnedAndLeavesNothing) {
  {
    const StagingArea area(root_, "g1", RealOs());
    EXPECT_TRUE(fs::is_directory(root_ / "g1"));
    std::ofstream(area.path() / "file") << "x";
    EXPECT_EQ(SweepStaging(root_, RealOs()), 0) << "a living owner's folder stays";
    EXPECT_TRUE(fs::exists(root_ / "g1" / "file"));
  }
  EXPECT_TRUE(fs::is_empty(root_));
}

TEST_F(StagingTest, SecondOwnerIsRefused) {
  const StagingArea area(root_, "g1", RealOs());
  try {
    const StagingArea second(root_, "g1", RealOs());
    FAIL() << "two owners";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBusy);
  }
}

TEST_F(StagingTest, FolderOfAKilledOwnerIsSwept) {
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    const StagingArea area(root_, "g1", RealOs());
    std::ofstream(area.path() / "half") << "x";
    (void)!write(ready[1], "x", 1);
    pause();
    _exit(0);
  }
  char byte;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  EXPECT_EQ(SweepStaging(root_, RealOs()), 0);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_EQ(SweepStaging(root_, RealOs()), 1);
  EXPECT_TRUE(fs::is_empty(root_));
}

TEST_F(StagingTest, SweepOfAMissingRootIsNothing) { EXPECT_EQ(SweepStaging(root_ / "absent", RealOs()), 0); }

TEST_F(StagingTest, FallsBackWhenThereIsNoRoomAndSaysWhy) {
  const StagingChoice fits = ChooseStagingRoot(root_ / "a", root_ / "b", 1 << 20, 0, RealOs());
  EXPECT_EQ(fits.root, root_ / "a");
  EXPECT_EQ(fits.fallback_reason, "");
  const fs::path memory = "/dev/shm/contimg-staging-test";
  const StagingChoice large = ChooseStagingRoot(memory, root_ / "b", 1 << 20, std::uint64_t{1} << 60, RealOs());
  fs::remove_all(memory);
  EXPECT_EQ(large.root, root_ / "b");
  EXPECT_NE(large.fallback_reason.find("needed"), std::string::npos);
  std::ofstream(root_ / "file") << "x";
  const StagingChoice blocked = ChooseStagingRoot(root_ / "file" / "sub", root_ / "b", 1, 0, RealOs());
  EXPECT_EQ(blocked.root, root_ / "b");
  EXPECT_NE(blocked.fallback_reason, "");
}

TEST_F(StagingTest, RefusesWhenNeitherPlaceHasRoom) {
  try {
    ChooseStagingRoot(root_ / "a", root_ / "b", std::uint64_t{1} << 60, 0, RealOs());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kResource);
    EXPECT_EQ(error.subject(), (root_ / "b").string());
  }
}

}  // namespace
}  // namespace contimg::convert
