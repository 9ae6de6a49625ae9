#include "convert/staging.h"

#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <set>

#include "config/error.h"
#include "config/machine.h"
#include "convert/lock_holder.h"

namespace contimg::convert {
namespace {

namespace fs = std::filesystem;

fs::path LockPath(const fs::path& root, const std::string& name) { return root / ("." + name + ".lock"); }

bool OnTmpfs(const fs::path& path) {
  struct statfs info {};
  return ::statfs(path.c_str(), &info) == 0 && info.f_type == TMPFS_MAGIC;
}

std::string MiB(std::uint64_t bytes) { return fmt::format("{:.0f} MiB", static_cast<double>(bytes) / 1048576.0); }

}  // namespace

StagingArea::StagingArea(const fs::path& root, const std::string& name, Os& os) : path_(root / name) {
  os.CreateDirectories(root);
  const fs::path lock_path = LockPath(root, name);
  lock_ = OwnerLock(lock_path);
  if (lock_.answer() == OwnerLock::Answer::kTaken) {
    throw Error(
        ErrorKind::kBusy, "convert", path_.string(),
        fmt::format("{} is working in this staging folder; try again when that has ended", LockHolder(lock_path)));
  }
  if (lock_.answer() == OwnerLock::Answer::kUnknown) {
    throw SystemError("convert", lock_path.string(), "cannot lock the staging folder", lock_.error_number());
  }
  os.RemoveAll(path_);
  os.CreateDirectories(path_);
}

StagingArea::~StagingArea() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

int SweepStaging(const fs::path& root, Os& os) {
  if (!IsDirectory(root, os)) return 0;
  std::set<std::string> names;  // of folders, and of locks whose folder is gone
  for (const fs::path& entry : os.List(root)) {
    const std::string name = entry.filename().string();
    if (name.front() != '.' && IsDirectory(entry, os)) names.insert(name);
    if (name.front() == '.' && entry.extension() == ".lock") names.insert(entry.stem().string().substr(1));
  }
  int swept = 0;
  for (const std::string& name : names) {
    const OwnerLock lock(LockPath(root, name));
    if (lock.answer() != OwnerLock::Answer::kOurs || !IsDirectory(root / name, os)) continue;
    os.RemoveAll(root / name);
    ++swept;
  }
  return swept;
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
    const MemoryRoom memory = AvailableMemory();
    if (::access(preferred.c_str(), W_OK | X_OK) != 0) {
      reason = fmt::format("{} is not writable", preferred.string());
    } else if (free < needed) {
      reason = fmt::format("{} has {} free and {} are needed", preferred.string(), MiB(free), MiB(needed));
    } else if (OnTmpfs(preferred) && memory.bytes < needed + memory_bytes) {
      reason = fmt::format("{} is memory, of which {} {} are free and {} are needed", preferred.string(),
                           MiB(memory.bytes), memory.bound, MiB(needed + memory_bytes));
    } else {
      return {preferred, ""};
    }
  } catch (const Error& error) {
    reason = error.what();
  }
  return fall_back(reason);
}

}  // namespace contimg::convert
