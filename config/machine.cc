#include "config/machine.h"

#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <memory>
#include <optional>
#include <sstream>
#include <thread>
#include <vector>

namespace contimg {
namespace {

namespace fs = std::filesystem;

// A folder of the control-group file system that bounds this process.
struct ControlGroup {
  fs::path folder;
  std::string name;  // as an operator knows it: "/system.slice/contimg-stream.service"
  bool version1 = false;
};

bool HasWord(const std::string& list, const std::string& word) {  // "rw,cpu,cpuacct"
  return ("," + list + ",").find("," + word + ",") != std::string::npos;
}

// The groups that bound `controller` ("memory", "cpu"): this process's own first, then those above it, as far as they
// are visible from here.
std::vector<ControlGroup> GroupsOf(const std::string& controller, const fs::path& root) {
  // "0::/system.slice/x.service" (version 2), "4:cpu,cpuacct:/docker/x" (version 1)
  std::string path1, path2;
  std::ifstream groups(root / "proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const std::size_t a = line.find(':'), b = line.find(':', a == std::string::npos ? a : a + 1);
    if (b == std::string::npos) continue;
    const std::string controllers = line.substr(a + 1, b - a - 1);
    if (controllers.empty()) path2 = line.substr(b + 1);
    if (HasWord(controllers, controller)) path1 = line.substr(b + 1);
  }
  std::vector<ControlGroup> found;
  // "30 23 0:26 /root /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate"
  std::ifstream mounts(root / "proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    const std::size_t dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    std::istringstream before(line.substr(0, dash)), after(line.substr(dash + 3));
    std::string word, mount_root, mount_point, type, source, options;
    before >> word >> word >> word >> mount_root >> mount_point;
    after >> type >> source >> options;
    const bool version1 = type == "cgroup" && HasWord(options, controller);
    if (!version1 && type != "cgroup2") continue;
    std::string path = version1 ? path1 : path2;
    if (path.empty()) continue;
    const std::string name = path;
    // What is mounted may be a part of the tree (a container sees its own group as the root of it).
    if (mount_root != "/" && (path + "/").compare(0, mount_root.size() + 1, mount_root + "/") == 0) {
      path.erase(0, mount_root.size());
    }
    const fs::path top = root / fs::path(mount_point).relative_path();
    fs::path relative = fs::path(path).relative_path().lexically_normal();
    if (relative == ".") relative.clear();
    std::error_code ignored;
    if (!fs::is_directory(top / relative, ignored)) relative.clear();  // from another name space: "/../x"
    for (std::string shown = name;; relative = relative.parent_path(), shown = fs::path(shown).parent_path().string()) {
      found.push_back({top / relative, shown, version1});
      if (relative.empty()) break;
    }
  }
  return found;
}

// The number in a file; nothing when there is no such file or it says "max".
std::optional<std::uint64_t> NumberIn(const fs::path& file) {
  std::ifstream stream(file);
  std::uint64_t value = 0;
  return stream >> value ? std::optional(value) : std::nullopt;
}

// Sum of the named lines of "key value" files.
std::uint64_t SumOf(const fs::path& file, const std::vector<std::string>& keys) {
  std::ifstream stream(file);
  std::string key;
  std::uint64_t value = 0, sum = 0;
  while (stream >> key >> value) {
    if (std::find(keys.begin(), keys.end(), key) != keys.end()) sum += value;
  }
  return sum;
}

std::uint64_t Less(std::uint64_t limit, std::uint64_t used) { return limit > used ? limit - used : 0; }

std::uint64_t ResidentIn(const fs::path& statm) {
  std::ifstream file(statm);
  std::uint64_t total = 0, resident = 0;
  file >> total >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

int ProcessorsInMask() {
  // More processors than a cpu_set_t has room for: the kernel wants a larger mask.
  for (int size = CPU_SETSIZE; size <= (1 << 20); size *= 4) {
    const std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> mask(CPU_ALLOC(size), [](cpu_set_t* m) { CPU_FREE(m); });
    const std::size_t bytes = CPU_ALLOC_SIZE(size);
    if (mask && ::sched_getaffinity(0, bytes, mask.get()) == 0) return CPU_COUNT_S(bytes, mask.get());
  }
  return static_cast<int>(std::thread::hardware_concurrency());
}

}  // namespace

MemoryRoom AvailableMemory(std::uint64_t own_limit_bytes, const fs::path& root) {
  MemoryRoom room;
  const auto bound = [&](std::uint64_t bytes, const std::string& what) {
    if (bytes < room.bytes) room = {bytes, what};
  };
  std::ifstream meminfo(root / "proc/meminfo");
  for (std::string line; std::getline(meminfo, line);) {
    std::istringstream words(line);
    std::string key;
    std::uint64_t kib = 0;
    if (words >> key >> kib && key == "MemAvailable:") bound(kib * 1024, "of the machine");
  }
  for (const ControlGroup& group : GroupsOf("memory", root)) {
    const auto apply = [&](const char* limit_file, const char* use_file, const std::vector<std::string>& cache) {
      const auto limit = NumberIn(group.folder / limit_file), used = NumberIn(group.folder / use_file);
      if (!limit || !used) return;
      const std::uint64_t held = Less(*used, SumOf(group.folder / "memory.stat", cache));
      bound(Less(*limit, held), fmt::format("of the control group {} ({})", group.name, limit_file));
    };
    if (group.version1) {
      apply("memory.limit_in_bytes", "memory.usage_in_bytes", {"total_active_file", "total_inactive_file"});
    } else {
      for (const char* limit : {"memory.max", "memory.high"}) {
        apply(limit, "memory.current", {"active_file", "inactive_file", "slab_reclaimable"});
      }
    }
  }
  if (own_limit_bytes > 0) {
    bound(Less(own_limit_bytes, ResidentIn(root / "proc/self/statm")), "of one worker (executor.memory_bytes)");
  }
  return room;
}

int AvailableProcessors(const fs::path& root) {
  double n = ProcessorsInMask();
  for (const ControlGroup& group : GroupsOf("cpu", root)) {
    double quota = 0, period = 0;
    if (group.version1) {
      std::ifstream quota_file(group.folder / "cpu.cfs_quota_us"), period_file(group.folder / "cpu.cfs_period_us");
      if (!(quota_file >> quota) || !(period_file >> period)) continue;  // −1: none
    } else {
      std::ifstream file(group.folder / "cpu.max");  // "max 100000"
      if (!(file >> quota >> period)) continue;
    }
    if (quota > 0 && period > 0) n = std::min(n, std::ceil(quota / period));
  }
  return std::max(1, static_cast<int>(n));
}

std::uint64_t ResidentMemory(int pid) { return ResidentIn(fmt::format("/proc/{}/statm", pid)); }

}  // namespace contimg
