#include "ingest/file_watcher.h"
#include "tests/temporary_folder.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>

namespace contimg::ingest {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class FileWatcherTest : public ::testing::Test {
 protected:
  FileWatcherTest() { fs::create_directory(directory_); }
  void Write(const std::string& name) { std::ofstream(directory_ / name) << "x"; }
  static bool All(const std::string&) { return true; }

  TemporaryFolder folder_{"watch"};
  const fs::path root_ = folder_.path(), directory_ = root_ / "incoming";
};

constexpr const char* kName = "2025-10-13T13:28:03_sb07.hdf5";

TEST(IsSubbandFileName, AcceptsTheTwoFormsAndNothingElse) {
  EXPECT_TRUE(IsSubbandFileName("2025-10-13T13:28:03_sb00.hdf5"));
  EXPECT_TRUE(IsSubbandFileName("2025-10-13_13_28_03_sb15.hdf5"));
  for (const char* name : {"2025-10-13T13:28:03_sb00_incomplete.hdf5", ".2025-10-13T13:28:03_sb00.hdf5.Xy12ab",
                           ".2025-10-13T13:28:03_sb00.hdf5", "2025-10-13T13:28:03.hdf5", "2025-10-13T13:28:03_sb0.hdf5",
                           "2025-10-13T13:28:03_sb00.hdf5~", "2025-10-13T13:28:03_sb000.hdf5", "", "notes.txt"}) {
    EXPECT_FALSE(IsSubbandFileName(name)) << name;
  }
}

TEST_F(FileWatcherTest, ReportsClosedAndMovedFiles) {
  FileWatcher watcher(directory_, {});
  EXPECT_TRUE(watcher.Check().list_again);
  ASSERT_FALSE(watcher.polling());
  Write(kName);
  Write("2025-10-13T13:28:03_sb08_incomplete.hdf5");
  fs::rename(directory_ / "2025-10-13T13:28:03_sb08_incomplete.hdf5", directory_ / "2025-10-13T13:28:03_sb08.hdf5");
  pollfd readable{watcher.descriptor(), POLLIN, 0};
  ASSERT_EQ(::poll(&readable, 1, 1000), 1);
  const WatchReport report = watcher.Drain();
  EXPECT_THAT(report.finished, ElementsAre(kName, "2025-10-13T13:28:03_sb08.hdf5"));
  EXPECT_FALSE(report.list_again);
  EXPECT_FALSE(watcher.Check().list_again);
}

TEST_F(FileWatcherTest, DoesNotReportAFileStillOpenForWriting) {
  FileWatcher watcher(directory_, {});
  watcher.Check();
  std::ofstream open_file(directory_ / kName);
  open_file << "x" << std::flush;
  EXPECT_THAT(watcher.Drain().finished, IsEmpty());
  open_file.close();
  EXPECT_THAT(watcher.Drain().finished, ElementsAre(kName));
}

TEST_F(FileWatcherTest, WatchesADirectoryThatWasReplaced) {
  FileWatcher watcher(directory_, {});
  watcher.Check();
  fs::rename(directory_, root_ / "old");
  fs::create_directory(directory_);
  Write("2025-10-13T13:28:03_sb01.hdf5");
  const WatchReport lost = watcher.Drain();
  EXPECT_TRUE(lost.list_again);
  EXPECT_THAT(lost.warnings, ElementsAre(HasSubstr("replaced")));
  Write(kName);
  EXPECT_THAT(watcher.Drain().finished, ElementsAre(kName));
}

TEST_F(FileWatcherTest, WaitsForADirectoryThatIsMissing) {
  FileWatcher watcher(directory_, {});
  watcher.Check();
  fs::remove_all(directory_);
  EXPECT_THAT(watcher.Drain().warnings, ElementsAre(HasSubstr("missing")));
  EXPECT_THAT(watcher.Check().warnings, IsEmpty());  // said once
  EXPECT_THROW(watcher.List(All), std::exception);
  fs::create_directory(directory_);
  EXPECT_TRUE(watcher.Check().list_again);
  Write(kName);
  EXPECT_THAT(watcher.Drain().finished, ElementsAre(kName));
}

TEST_F(FileWatcherTest, FallsBackToPollingWhenTheWatchLimitIsReachedAndRecovers) {
  bool exhausted = true;
  FileWatcher watcher(directory_, {.mode = WatchMode::kAuto, .add_watch = [&](int fd, const char* path, auto mask) {
                                     if (!exhausted) return ::inotify_add_watch(fd, path, mask);
                                     errno = ENOSPC;
                                     return -1;
                                   }});
  const WatchReport report = watcher.Check();
  EXPECT_TRUE(watcher.polling());
  EXPECT_TRUE(report.list_again);
  EXPECT_THAT(report.warnings, ElementsAre(HasSubstr("max_user_watches")));
  EXPECT_THAT(watcher.Check().warnings, IsEmpty());
  Write(kName);
  EXPECT_THAT(watcher.List(All), SizeIs(1));
  exhausted = false;
  EXPECT_TRUE(watcher.Check().list_again);
  EXPECT_FALSE(watcher.polling());
}

TEST_F(FileWatcherTest, PollsWhenAsked) {
  FileWatcher watcher(directory_, {.mode = WatchMode::kPoll, .add_watch = {}});
  const WatchReport report = watcher.Check();
  EXPECT_TRUE(watcher.polling());
  EXPECT_TRUE(report.list_again);
  EXPECT_THAT(report.warnings, IsEmpty());
}

TEST_F(FileWatcherTest, ReportsAnOverflowOfTheQueue) {
  FileWatcher watcher(directory_, {});
  watcher.Check();
  // One event per file until the kernel's queue (fs.inotify.max_queued_events) is full. Equal consecutive events are
  // merged, so names alternate.
  std::ifstream limit_file("/proc/sys/fs/inotify/max_queued_events");
  int limit = 0;
  if (!(limit_file >> limit) || limit > 200000) GTEST_SKIP() << "the inotify queue is too long to fill: " << limit;
  Write("a");
  Write("b");
  for (int i = 0; i <= limit; ++i) ::close(::open((directory_ / (i % 2 == 0 ? "a" : "b")).c_str(), O_WRONLY));
  const WatchReport report = watcher.Drain();
  EXPECT_TRUE(report.list_again);
  EXPECT_THAT(report.warnings, ElementsAre(HasSubstr("overflowed")));
}

TEST_F(FileWatcherTest, ListsSubbandFilesByName) {
  Write("2025-10-13T13:28:03_sb01.hdf5");
  Write("2025-10-13T13:28:03_sb00.hdf5");
  Write("notes.txt");
  fs::create_directory(directory_ / "2025-10-13T13:28:03_sb02.hdf5");
  const auto files = FileWatcher(directory_, {}).List(All);
  ASSERT_THAT(files, SizeIs(2));
  EXPECT_EQ(files[0].name, "2025-10-13T13:28:03_sb00.hdf5");
  EXPECT_EQ(files[0].size, 1u);
}

}  // namespace
}  // namespace contimg::ingest
