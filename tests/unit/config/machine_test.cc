#include "config/machine.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "tests/temporary_folder.h"

namespace contimg {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;

// A /proc and a /sys as a kernel shows them.
class MachineTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Write("proc/meminfo", "MemTotal: 33554432 kB\nMemFree: 1 kB\nMemAvailable: 16777216 kB\nHugePages_Total: 0\n");
    Write("proc/self/statm", "1000 262144 10 1 0 1 0\n");  // 1 GiB resident with pages of 4 KiB
  }
  void Write(const fs::path& name, const std::string& text) {
    fs::create_directories((root_ / name).parent_path());
    std::ofstream(root_ / name) << text;
  }
  void Mount(const std::string& line) { std::ofstream(Made("proc/self/mountinfo"), std::ios::app) << line << '\n'; }
  fs::path Made(const fs::path& name) {
    fs::create_directories((root_ / name).parent_path());
    return root_ / name;
  }
  void Version2(const std::string& group) {
    Mount("22 1 8:1 / / rw - ext4 /dev/sda1 rw");
    Mount("30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate");
    Write("proc/self/cgroup", "0::" + group + "\n");
  }
  void Group(const std::string& group, std::uint64_t limit, std::uint64_t used, const std::string& stat = "") {
    const std::string folder = "sys/fs/cgroup" + group;
    Write(folder + "/memory.max", limit == 0 ? "max\n" : std::to_string(limit) + "\n");
    Write(folder + "/memory.current", std::to_string(used) + "\n");
    Write(folder + "/memory.stat", stat.empty() ? "anon 1\n" : stat);
  }

  TemporaryFolder folder_{"machine"};
  const fs::path root_ = folder_.path();
};

TEST_F(MachineTest, WithoutControlGroupsTheMachineBounds) {
  EXPECT_EQ(AvailableMemory(0, root_).bytes, 16 * kGiB);
  EXPECT_EQ(AvailableMemory(0, root_).bound, "of the machine");
  EXPECT_GE(AvailableProcessors(root_), 1);
  EXPECT_EQ(AvailableMemory(0, root_ / "absent").bytes, UINT64_MAX);
}

TEST_F(MachineTest, AServiceIsBoundByItsUnit) {
  Version2("/system.slice/contimg-stream.service");
  Group("", 0, 20 * kGiB);
  Group("/system.slice", 0, 10 * kGiB);
  Group("/system.slice/contimg-stream.service", 8 * kGiB, 3 * kGiB);
  const MemoryRoom room = AvailableMemory(0, root_);
  EXPECT_EQ(room.bytes, 5 * kGiB);
  EXPECT_EQ(room.bound, "of the control group /system.slice/contimg-stream.service (memory.max)");
}

TEST_F(MachineTest, FileCacheIsGivenBack) {
  Version2("/a");
  Group("/a", 8 * kGiB, 7 * kGiB,
        "anon 1073741824\nfile 6442450944\nshmem 1073741824\ninactive_file 2147483648\nactive_file 1073741824\n"
        "slab_reclaimable 1024\n");
  EXPECT_EQ(AvailableMemory(0, root_).bytes, 4 * kGiB + 1024) << "files in memory (shmem) are not given back";
}

TEST_F(MachineTest, AGroupAboveBoundsToo) {
  Version2("/machine.slice/outer/inner");
  Group("/machine.slice/outer/inner", 0, 1 * kGiB);
  Group("/machine.slice/outer", 4 * kGiB, 2 * kGiB);
  Group("/machine.slice", 12 * kGiB, 11 * kGiB);
  const MemoryRoom room = AvailableMemory(0, root_);
  EXPECT_EQ(room.bytes, 1 * kGiB);
  EXPECT_EQ(room.bound, "of the control group /machine.slice (memory.max)");
}

TEST_F(MachineTest, TheLimitFromWhichTheKernelThrottlesBounds) {
  Version2("/a");
  Group("/a", 8 * kGiB, 1 * kGiB);
  Write("sys/fs/cgroup/a/memory.high", std::to_string(6 * kGiB) + "\n");
  const MemoryRoom room = AvailableMemory(0, root_);
  EXPECT_EQ(room.bytes, 5 * kGiB);
  EXPECT_EQ(room.bound, "of the control group /a (memory.high)");
}

TEST_F(MachineTest, AGroupThatIsFullLeavesNothing) {
  Version2("/a");
  Group("/a", 2 * kGiB, 3 * kGiB);
  EXPECT_EQ(AvailableMemory(0, root_).bytes, 0u);
}

TEST_F(MachineTest, AContainerSeesItsOwnGroupAsTheRoot) {
  Version2("/");
  Group("", 3 * kGiB, 1 * kGiB);
  EXPECT_EQ(AvailableMemory(0, root_).bytes, 2 * kGiB);
}

TEST_F(MachineTest, APartOfTheTreeIsMounted) {
  // The name space of groups is the host's, what is mounted the container's own group.
  Mount("30 23 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw");
  Write("proc/self/cgroup", "0::/docker/abc/init\n");
  Group("", 3 * kGiB, 1 * kGiB);
  Group("/init", 0, 1 * kGiB);
  EXPECT_EQ(AvailableMemory(0, root_).bytes, 2 * kGiB);
}

TEST_F(MachineTest, AGroupOutsideWhatIsMountedIsTakenForItsRoot) {
  Version2("/../other");
  Group("", 3 * kGiB, 1 * kGiB);
  EXPECT_EQ(AvailableMemory(0, root_).bytes, 2 * kGiB);
}

TEST_F(MachineTest, Version1) {
  Mount("33 32 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory");
  Mount("34 32 0:30 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct");
  Write("proc/self/cgroup", "9:memory:/user\n4:cpu,cpuacct:/user\n1:name=systemd:/user.slice\n");
  const std::string folder = "sys/fs/cgroup/memory/user";
  Write(folder + "/memory.limit_in_bytes", std::to_string(6 * kGiB));
  Write(folder + "/memory.usage_in_bytes", std::to_string(4 * kGiB));
  Write(folder + "/memory.stat", "inactive_file 5\ntotal_inactive_file 1073741824\ntotal_active_file 0\n");
  Write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712");
  Write("sys/fs/cgroup/memory/memory.usage_in_bytes", std::to_string(20 * kGiB));
  EXPECT_EQ(AvailableMemory(0, root_).bytes, 3 * kGiB);
  Write("sys/fs/cgroup/cpu,cpuacct/user/cpu.cfs_quota_us", "50000");
  Write("sys/fs/cgroup/cpu,cpuacct/user/cpu.cfs_period_us", "100000");
  EXPECT_EQ(AvailableProcessors(root_), 1);
}

TEST_F(MachineTest, OwnLimitCountsWhatIsHeldAlready) {
  if (::sysconf(_SC_PAGESIZE) != 4096) GTEST_SKIP() << "the figures are of pages of 4 KiB";
  const MemoryRoom room = AvailableMemory(3 * kGiB, root_);
  EXPECT_EQ(room.bytes, 2 * kGiB);
  EXPECT_EQ(room.bound, "of one worker (executor.memory_bytes)");
  EXPECT_EQ(AvailableMemory(100 * kGiB, root_).bytes, 16 * kGiB);
}

TEST_F(MachineTest, ProcessorsFollowTheLeastQuota) {
  Version2("/a/b");
  const int all = AvailableProcessors(root_ / "absent");
  Write("sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
  EXPECT_EQ(AvailableProcessors(root_), all);
  Write("sys/fs/cgroup/a/cpu.max", "70000 100000\n");
  EXPECT_EQ(AvailableProcessors(root_), 1);
}

TEST_F(MachineTest, ProcessorsFollowTheAffinity) {
  const pid_t child = ::fork();
  if (child == 0) {
    cpu_set_t all, one;
    ::sched_getaffinity(0, sizeof all, &all);
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++cpu) {
      if (CPU_ISSET(cpu, &all)) CPU_SET(cpu, &one);
    }
    ::sched_setaffinity(0, sizeof one, &one);
    ::_exit(AvailableProcessors(root_));
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 1);
}

// The kernel's own files: a group with a limit, made by this test, and a process within.
TEST(Machine, AGroupOfTheKernelBounds) {
  const bool version2 = fs::exists("/sys/fs/cgroup/cgroup.controllers");
  const fs::path top = version2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
  const std::string limit_file = version2 ? "memory.max" : "memory.limit_in_bytes";
  const fs::path group = top / ("contimg-test-" + std::to_string(::getpid()));
  std::error_code error;
  if (!version2 && !fs::exists(top / limit_file)) GTEST_SKIP() << "no control groups of memory are mounted here";
  if (!fs::create_directory(group, error)) {
    GTEST_SKIP() << "this user may not make a control group: " << error.message();
  }
  const auto write = [&](const std::string& name, std::uint64_t value) {  // never makes a file
    const int fd = ::open((group / name).c_str(), O_WRONLY | O_CLOEXEC);
    const std::string text = std::to_string(value);
    const bool written = fd >= 0 && ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    if (fd >= 0) ::close(fd);
    return written;
  };
  const bool limited = write(limit_file, 2 * kGiB);
  const pid_t child = ::fork();
  if (child == 0) {
    if (!write("cgroup.procs", static_cast<std::uint64_t>(::getpid()))) ::_exit(3);
    const MemoryRoom room = AvailableMemory();
    const bool bound = room.bytes <= 2 * kGiB && room.bytes > kGiB && room.bound.find(limit_file) != std::string::npos;
    ::_exit(bound ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  fs::remove(group, error);
  if (!limited || WEXITSTATUS(status) == 3) GTEST_SKIP() << "the memory controller is not available to this user";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace contimg
