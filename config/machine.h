// What this process may use of its machine: memory and processors, with the limits of the control groups it runs in.
// C++17-clean.
//
// A service runs in a group of systemd's, a container in one of its own: what /proc/meminfo and the number of
// processors say is the machine's, and a process that believes them is killed or throttled. Groups of version 2 and 1
// are read as the kernel shows them to this process (/proc/self/cgroup, /proc/self/mountinfo), its own and every one
// above it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace contimg {

struct MemoryRoom {
  std::uint64_t bytes = UINT64_MAX;  // that can still be taken; UINT64_MAX when nothing tells
  std::string bound;  // by what, for a sentence: "of the machine", "of the control group /x (memory.max)"
};

// The least of: what the kernel says can be allocated without swapping (MemAvailable); for every control group from
// this process's own to the root, its limit (memory.max and memory.high, v1 memory.limit_in_bytes) less its use, not
// counting the file cache and slabs that the kernel takes back first; and, when `own_limit_bytes` is not 0, that limit
// less what this process holds (resident). `root`: where /proc and /sys are, for tests.
MemoryRoom AvailableMemory(std::uint64_t own_limit_bytes = 0, const std::filesystem::path& root = "/");

// The processors this process may use: its affinity mask, then the least quota of its control groups (cpu.max, v1
// cpu.cfs_quota_us), rounded up; at least 1.
int AvailableProcessors(const std::filesystem::path& root = "/");

// Resident memory of a process, bytes; 0 when there is none.
std::uint64_t ResidentMemory(int pid);

}  // namespace contimg
