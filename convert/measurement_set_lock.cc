#include "convert/measurement_set_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <iterator>
#include <sstream>
#include <thread>
#include <utility>
#include <vector>

#include "config/checksum.h"
#include "config/descriptor.h"
#include "config/error.h"
#include "config/stopwatch.h"
#include "convert/lock_holder.h"
#include "convert/measurement_set_reader.h"

namespace contimg::convert {
namespace {

namespace fs = std::filesystem;

enum class LockState { kOurs, kTaken, kNone };  // kNone: there is nothing to lock

// Locks the directory that stands under the name now, without waiting.
LockState TryLock(const fs::path& set, Descriptor& descriptor) {
  for (;;) {
    descriptor.Reset(::open(set.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!descriptor.open()) return LockState::kNone;
    if (::flock(descriptor.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EINTR) continue;
      const bool taken = errno == EWOULDBLOCK;
      descriptor.Reset();
      return taken ? LockState::kTaken : LockState::kNone;
    }
    // The holder before us may have put another directory under the name.
    struct stat ours {
    }, current{};
    if (::fstat(descriptor.get(), &ours) != 0 || ::stat(set.c_str(), &current) != 0 ||
        (ours.st_ino == current.st_ino && ours.st_dev == current.st_dev)) {
      return LockState::kOurs;
    }
  }
}

bool AddTree(Xxh64& hash, const fs::path& folder) {
  std::error_code failed;
  std::vector<fs::path> entries;
  for (fs::directory_iterator it(folder, failed), end; !failed && it != end; it.increment(failed)) {
    if (it->path().filename() != "table.lock") entries.push_back(it->path());
  }
  if (failed) return false;
  std::sort(entries.begin(), entries.end());
  for (const fs::path& entry : entries) {
    struct stat info {};
    if (::stat(entry.c_str(), &info) != 0) return false;
    const std::string name = entry.filename().string();
    hash.Add(name.c_str(), name.size() + 1);
    hash.AddNumber(info.st_ino);
    if (S_ISDIR(info.st_mode)) {
      if (!AddTree(hash, entry)) return false;
      continue;
    }
    hash.AddNumber(info.st_size);
    hash.AddNumber(info.st_mtim.tv_sec);
    hash.AddNumber(info.st_mtim.tv_nsec);
  }
  return true;
}

// The process that holds casacore's write lock on the table (the first byte of table.lock); 0 when none does.
pid_t CasacoreWriter(const fs::path& set) {
  const Descriptor lock(::open((set / "table.lock").c_str(), O_RDONLY | O_CLOEXEC));
  if (!lock.open()) return 0;
  struct flock query {};
  query.l_type = F_RDLCK;  // only a writer stands in a reader's way
  query.l_whence = SEEK_SET;
  query.l_len = 1;
  const bool held = ::fcntl(lock.get(), F_GETLK, &query) == 0 && query.l_type == F_WRLCK;
  return held ? query.l_pid : 0;
}

}  // namespace

MeasurementSetLock::MeasurementSetLock(const fs::path& set, const RunContext& context, double wait_s) {
  CheckChangeable(set);
  const Stopwatch watch;
  for (bool told = false;;) {
    if (TryLock(set, descriptor_) != LockState::kTaken) return;
    const std::string holder = LockHolder(set);
    if (watch.Seconds() >= wait_s) {
      throw Error(ErrorKind::kBusy, "convert", set.string(),
                  fmt::format("is being changed by {}; try again when that has ended", holder));
    }
    if (!told) context.reporter->Info("wait", fmt::format("{} is being changed by {}: waiting", set.string(), holder));
    told = true;
    context.CheckCancelled("wait");
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

std::string SetStamp(const fs::path& set) {
  struct stat info {};
  Xxh64 hash;
  if (::stat(set.c_str(), &info) != 0) return "";
  hash.AddNumber(info.st_dev);
  hash.AddNumber(info.st_ino);
  return AddTree(hash, set) ? hash.Hex() : "";
}

void CheckUnchanged(const fs::path& set, const std::string& stamp) {
  if (const pid_t writer = CasacoreWriter(set); writer != 0) {
    throw Error(ErrorKind::kBusy, "convert", set.string(),
                fmt::format("is locked for writing by {}; close the set there and try again", ProcessWords(writer)));
  }
  if (!stamp.empty() && SetStamp(set) != stamp) {
    throw Error(ErrorKind::kBusy, "convert", set.string(),
                "was changed by another program after it had been read; nothing was written, try again");
  }
}

}  // namespace contimg::convert
