#include "ops/base/child_process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <clocale>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "config/error.h"
#include "tests/temporary_folder.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;

// Everything the child writes, and how it ends.
std::pair<std::string, ChildEnd> Collect(const Child& child) {
  std::string text;
  for (;;) {
    char buffer[4096];
    const ssize_t n = ::read(child.output, buffer, sizeof buffer);
    if (n > 0) {
      text.append(buffer, static_cast<std::size_t>(n));
    } else if (n == 0) {
      break;
    } else {
      pollfd ready{child.output, POLLIN, 0};
      ::poll(&ready, 1, 1000);
    }
  }
  ::close(child.output);
  for (;;) {
    if (const auto end = TryWait(child.pid)) return {text, *end};
    std::this_thread::yield();
  }
}

Child Shell(const std::string& script, const fs::path& error_file = {}) {
  ChildOptions options;
  options.arguments = {"/bin/sh", "-c", script};
  options.error_file = error_file;
  return StartChild(options);
}

std::size_t OpenDescriptors() {
  std::size_t n = 0;
  for (const auto& entry : fs::directory_iterator("/proc/self/fd")) n += entry.path().empty() ? 0 : 1;
  return n;
}

TEST(ChildProcess, HasNothingButItsThreeDescriptorsAndItsOwnGroup) {
  const int inherited = ::open("/dev/zero", O_RDONLY);  // without O_CLOEXEC
  const auto [text, end] = Collect(Shell("ls /proc/$$/fd; readlink /proc/$$/fd/0; cat /proc/$$/oom_score_adj"));
  ::close(inherited);
  EXPECT_EQ(text, "0\n1\n2\n/dev/null\n500\n");
  EXPECT_EQ(end.exit_status, 0);
}

TEST(ChildProcess, AProgramThatCannotBeExecutedSaysSoInItsErrorFile) {
  const TemporaryFolder folder("child");
  ChildOptions options;
  options.arguments = {(folder.path() / "nothing").string()};
  options.error_file = folder.path() / "errors";
  const auto [text, end] = Collect(StartChild(options));
  EXPECT_EQ(end.exit_status, 127);
  std::ostringstream said;
  said << std::ifstream(options.error_file).rdbuf();
  EXPECT_EQ(said.str(), "cannot execute " + options.arguments[0] + ": No such file or directory\n");
}

// UBSan's look at a virtual table needs descriptors of its own.
extern "C" __attribute__((weak)) void __ubsan_handle_dynamic_type_cache_miss();  // NOLINT

// Without descriptors for /dev/null the child would read the daemon's own input.
TEST(ChildProcess, IsNotStartedWithoutItsInput) {
  if (&__ubsan_handle_dynamic_type_cache_miss != nullptr) GTEST_SKIP() << "UBSan needs descriptors itself";
  const std::size_t before = OpenDescriptors();
  rlimit limit{}, few{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  std::vector<int> filled;
  few = limit;
  few.rlim_cur = 64;
  ::setrlimit(RLIMIT_NOFILE, &few);
  for (int fd = ::dup(0); fd >= 0; fd = ::dup(0)) filled.push_back(fd);
  for (int i = 0; i < 2; ++i) {  // room for the pipe alone
    ::close(filled.back());
    filled.pop_back();
  }
  try {
    Collect(Shell("true"));
    ADD_FAILURE() << "it was started";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kResource) << error.what();
  }
  for (const int fd : filled) ::close(fd);
  ::setrlimit(RLIMIT_NOFILE, &limit);
  EXPECT_EQ(OpenDescriptors(), before);
}

// Between fork and exec no lock of the C library may be asked for: here other threads hold those of malloc, the locale
// and stdio most of the time. A child that asks hangs, and this test with it.
TEST(ChildProcess, StartsWhileOtherThreadsHoldLocks) {
  const TemporaryFolder folder("child");
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] {
      while (!stop) {
        std::vector<std::string> texts;
        for (int n = 0; n < 100; ++n) texts.emplace_back(1000 + n, 'x');
        char text[64];
        std::snprintf(text, sizeof text, "%s %f", std::strerror(EIO), 1.5);
        (void)std::setlocale(LC_NUMERIC, nullptr);
      }
    });
  }
  for (int i = 0; i < 50; ++i) {
    ChildOptions options;
    options.arguments = {i % 2 == 0 ? "/bin/true" : (folder.path() / "nothing").string()};
    options.error_file = folder.path() / "errors";
    EXPECT_EQ(Collect(StartChild(options)).second.exit_status, i % 2 == 0 ? 0 : 127);
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
}

TEST(ChildProcess, AStrayIsKilledWithItsGroupAndTheOneOfAnotherTimeIsNot) {
  const Child child = Shell("sleep 1000 & wait");
  const std::uint64_t start = ProcessStartTime(child.pid);
  ASSERT_GT(start, 0u);
  EXPECT_TRUE(EndStrayProcess(child.pid, start + 1, 5));  // the number belongs to somebody else now
  EXPECT_EQ(ProcessStartTime(child.pid), start);
  EXPECT_TRUE(EndStrayProcess(child.pid, start, 60));
  EXPECT_EQ(ProcessStartTime(child.pid), 0u);
  EXPECT_EQ(Collect(child).second.signal, SIGKILL);
}

}  // namespace
}  // namespace contimg::ops
