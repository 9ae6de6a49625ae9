#include "convert/staging.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <optional>
#include <vector>

#include "config/error.h"
#include "convert/measurement_set_lock.h"

namespace contimg::convert {
namespace {

namespace fs = std::filesystem;

fs::path LockPath(const fs::path& root, const std::string& name) { return root / ("." + name + ".lock"); }

// The locked file's descriptor, or −1 when another process holds the lock.
int TryLock(const fs::path& path) {
  for (;;) {
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0) throw SystemError("convert", path.string(), "cannot make the staging lock", errno);
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
      ::close(fd);
      return -1;
    }
    // A previous owner may have removed the file between our open and our lock: then we hold a lock that nobody sees.
    struct stat ours {
    }, current{};
    if (::fstat(fd, &ours) == 0 && ::stat(path.c_str(), &current) == 0 && ours.st_ino == current.st_ino) return fd;
    ::close(fd);
  }
}

// False for a process that has ended, also while its parent has not collected it (a container's first process may
// never do so).
bool IsRunning(pid_t pid) {
  if (pid <= 0 || (::kill(pid, 0) != 0 && errno == ESRCH)) return false;
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string line;
  if (!std::getline(file, line)) return errno != ENOENT;
  const std::size_t after_name = line.rfind(") ");  // "pid (name) state …"
  const char state = after_name == std::string::npos ? '?' : line[after_name + 2];
  return state != 'Z' && state != 'X';
}

bool OnTmpfs(const fs::path& path) {
  struct statfs info {};
  return ::statfs(path.c_str(), &info) == 0 && info.f_type == TMPFS_MAGIC;
}

std::optional<std::uint64_t> AvailableMemory() {
  std::ifstream file("/proc/meminfo");
  std::string key, unit;
  std::uint64_t kib = 0;
  while (file >> key >> kib) {
    std::getline(file, unit);
    if (key == "MemAvailable:") return kib * 1024;
  }
  return std::nullopt;
}

std::string MiB(std::uint64_t bytes) { return fmt::format("{:.0f} MiB", static_cast<double>(bytes) / 1048576.0); }

}  // namespace

StagingArea::StagingArea(fs::path root, const std::string& name, Os& os)
    : path_(root / name), lock_path_(LockPath(root, name)) {
  os.CreateDirectories(root);
  lock_fd_ = TryLock(lock_path_);
  if (lock_fd_ < 0) {
    throw Error(
        ErrorKind::kBusy, "convert", path_.string(),
        fmt::format("{} is working in this staging folder; try again when that has ended", LockHolder(lock_path_)));
  }
  try {
    os.RemoveAll(path_);
    os.CreateDirectories(path_);
  } catch (...) {
    ::unlink(lock_path_.c_str());
    ::close(lock_fd_);
    throw;
  }
}

StagingArea::~StagingArea() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
  fs::remove(lock_path_, ignored);
  ::close(lock_fd_);
}

int SweepStaging(const fs::path& root, Os& os) {
  if (!Exists(root, os)) return 0;
  std::vector<fs::path> folders, locks;
  for (const fs::path& entry : os.List(root)) {
    const std::string name = entry.filename().string();
    if (name.front() != '.' && IsDirectory(entry, os)) folders.push_back(entry);
    if (name.front() == '.' && entry.extension() == ".lock") locks.push_back(entry);
  }
  int swept = 0;
  for (const fs::path& folder : folders) {
    const fs::path lock_path = LockPath(root, folder.filename().string());
    const int fd = TryLock(lock_path);
    if (fd < 0) continue;  // its owner lives
    os.RemoveAll(folder);
    ::unlink(lock_path.c_str());
    ::close(fd);
    ++swept;
  }
  for (const fs::path& lock_path : locks) {  // locks whose folder is gone
    if (!Exists(lock_path, os)) continue;
    const int fd = TryLock(lock_path);
    if (fd < 0) continue;
    ::unlink(lock_path.c_str());
    ::close(fd);
  }
  return swept;
}

int SweepUnfinished(const fs::path& directory, Os& os) {
  if (!IsDirectory(directory, os)) return 0;
  std::vector<fs::path> dead;
  for (const fs::path& entry : os.List(directory)) {
    if (!IsUnfinishedName(entry)) continue;
    const std::string name = entry.filename().string();
    const pid_t pid = static_cast<pid_t>(std::atol(name.c_str() + name.rfind('-') + 1));
    if (pid != ::getpid() && !IsRunning(pid)) dead.push_back(entry);
  }
  for (const fs::path& path : dead) os.RemoveAll(path);
  return static_cast<int>(dead.size());
}

StagingChoice ChooseStagingRoot(const fs::path& preferred, const fs::path& fallback, std::uint64_t bytes,
                                std::uint64_t memory_bytes, Os& os) {
  const std::uint64_t needed = bytes + bytes / 50 + (4u << 20);
  // A disk that turns out full in the middle of a table is worse than one that is found full now.
  const auto fall_back = [&](const std::string& reason) -> StagingChoice {
    os.CreateDirectories(fallback);
    const std::uint64_t free = os.Space(fallback).free_bytes;
    if (free < needed) {
      throw Error(ErrorKind::kResource, "convert", fallback.string(),
                  fmt::format("no space left on the disk: {} are needed for staging and {} are free{}{}", MiB(needed),
                              MiB(free), reason.empty() ? "" : "; ", reason));
    }
    return {fallback, reason};
  };
  if (preferred.empty()) return fall_back("");
  std::string reason;
  try {
    os.CreateDirectories(preferred);
    const std::uint64_t free = os.Space(preferred).free_bytes;
    const auto memory = AvailableMemory();
    if (::access(preferred.c_str(), W_OK | X_OK) != 0) {
      reason = fmt::format("{} is not writable", preferred.string());
    } else if (free < needed) {
      reason = fmt::format("{} has {} free and {} are needed", preferred.string(), MiB(free), MiB(needed));
    } else if (memory && OnTmpfs(preferred) && *memory < needed + memory_bytes) {
      reason = fmt::format("{} is memory, of which {} are free and {} are needed", preferred.string(), MiB(*memory),
                           MiB(needed + memory_bytes));
    } else {
      return {preferred, ""};
    }
  } catch (const Error& error) {
    reason = error.what();
  }
  return fall_back(reason);
}

}  // namespace contimg::convert
