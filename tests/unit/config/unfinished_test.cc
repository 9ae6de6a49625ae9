#include "config/unfinished.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <functional>
#include <string>

#include "config/error.h"
#include "tests/temporary_folder.h"

namespace contimg {
namespace {

namespace fs = std::filesystem;

class UnfinishedTest : public ::testing::Test {
 protected:
  static std::string Tail() { return ".part-" + std::to_string(::getpid()); }
  std::size_t Names() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(root_), fs::directory_iterator()));
  }
  TemporaryFolder folder_{"unfinished"};
  const fs::path root_ = folder_.path();
};

TEST_F(UnfinishedTest, IsHiddenBesideTheFinalNameAndLeavesNothing) {
  {
    const Unfinished part(root_ / "b.ms/");
    EXPECT_EQ(part.path(), root_ / (".b.ms" + Tail()));
    EXPECT_TRUE(IsUnfinishedName(part.path()));
    EXPECT_FALSE(fs::exists(part.path()));
    fs::create_directories(part.path() / "within");
    for (const auto& entry : fs::directory_iterator(root_)) EXPECT_TRUE(IsUnfinishedName(entry.path())) << entry;
  }
  EXPECT_EQ(Names(), 0u);
  EXPECT_FALSE(IsUnfinishedName("/a/b.ms"));
  EXPECT_FALSE(IsUnfinishedName("/a/.hidden"));
  EXPECT_FALSE(IsUnfinishedName("/a/b.part-12"));
  const Unfinished bare("contimg-unfinished-test");  // casacore loses the dot of a bare name
  EXPECT_EQ(bare.path(), "./.contimg-unfinished-test" + Tail());
}

TEST_F(UnfinishedTest, TwoOwnersOfOneNameDoNotMeet) {
  const Unfinished first(root_ / "x"), second(root_ / "x");
  EXPECT_NE(first.path(), second.path());
}

TEST_F(UnfinishedTest, WhatALivingOwnerMakesStays) {
  const Unfinished part(root_ / "x");
  fs::create_directories(part.path());
  EXPECT_EQ(SweepUnfinished(root_, RealOs()), 0);
  EXPECT_TRUE(fs::exists(part.path()));
}

TEST_F(UnfinishedTest, WhatNobodyOwnsIsSwept) {
  fs::create_directories(root_ / ".x.ms.part-999999999");                         // of an earlier version
  fs::create_directories(root_ / (".y.ms.part-" + std::to_string(::getppid())));  // a number says nothing
  std::ofstream(root_ / ".z.part-7.lock") << "";
  fs::create_directories(root_ / "z.ms");
  EXPECT_EQ(SweepUnfinished(root_, RealOs()), 2);
  EXPECT_EQ(Names(), 1u);
  EXPECT_TRUE(fs::exists(root_ / "z.ms"));
  EXPECT_EQ(SweepUnfinished(root_ / "absent", RealOs()), 0);
}

TEST_F(UnfinishedTest, OfOneProductAloneIsSweptInFoldersOfOthers) {
  for (const char* name : {".x.part-1", ".x.y.part-1", ".y.part-1"}) std::ofstream(root_ / name) << "left";
  EXPECT_EQ(SweepUnfinishedOf(root_ / "x", RealOs()), 1);
  EXPECT_FALSE(fs::exists(root_ / ".x.part-1"));
  EXPECT_TRUE(fs::exists(root_ / ".x.y.part-1"));
  EXPECT_TRUE(fs::exists(root_ / ".y.part-1"));
}

TEST_F(UnfinishedTest, WhatAKilledOwnerLeftIsSweptAlsoBeforeItIsCollected) {
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const Unfinished part(root_ / "x");
    fs::create_directories(part.path());
    (void)!::write(ready[1], "x", 1);
    ::pause();
    ::_exit(0);
  }
  char byte;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  EXPECT_EQ(SweepUnfinished(root_, RealOs()), 0);
  ::kill(child, SIGKILL);
  siginfo_t info;
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT), 0);  // ended, a zombie
  EXPECT_EQ(SweepUnfinished(root_, RealOs()), 1);
  EXPECT_EQ(Names(), 0u);
  ::waitpid(child, nullptr, 0);
}

// A process that sees no other: as in a container beside ours. Returns what `work` does there, −1 when there is no such
// place.
int InOtherProcessSpace(const std::function<int()>& work) {
  const pid_t child = ::fork();
  if (child == 0) {
    const int own = ::geteuid() == 0 ? CLONE_NEWPID : CLONE_NEWUSER | CLONE_NEWPID;
    if (::unshare(own) != 0) ::_exit(255);
    const pid_t inside = ::fork();
    if (inside == 0) ::_exit(work());
    int status = 0;
    ::waitpid(inside, &status, 0);
    ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 254);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) != 255 ? WEXITSTATUS(status) : -1;
}

TEST_F(UnfinishedTest, WhatIsMadeInAnotherProcessSpaceStays) {
  const Unfinished part(root_ / "x");
  fs::create_directories(part.path());
  const int swept = InOtherProcessSpace([&] {
    if (::kill(::getppid() > 0 ? ::getppid() : 1, 0) == 0 && ::getpid() != 1) return 100;  // not a space of its own
    return SweepUnfinished(root_, RealOs());
  });
  if (swept == -1) GTEST_SKIP() << "this user may not make a PID name space (unshare): " << std::strerror(errno);
  EXPECT_EQ(swept, 0) << "its owner lives";
  EXPECT_TRUE(fs::exists(part.path()));
}

TEST_F(UnfinishedTest, AFolderThatCannotBeWrittenIsNamed) {
  try {
    const Unfinished part(root_ / "absent" / "x");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kIo);
    EXPECT_NE(error.message().find("cannot create"), std::string::npos) << error.message();
  }
}

}  // namespace
}  // namespace contimg
