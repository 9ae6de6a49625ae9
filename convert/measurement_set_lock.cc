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
#include "convert/measurement_set_reader.h"

namespace contimg::convert {
namespace {

namespace fs = std::filesystem;

// "process 4711 (contimg flag)"
std::string ProcessWords(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/cmdline", pid), std::ios::binary);
  const std::string line{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  std::vector<std::string> words;
  std::istringstream rest(line);
  for (std::string word; words.size() < 2 && std::getline(rest, word, '\0');) words.push_back(word);
  if (words.empty()) return fmt::format("process {}", pid);
  std::string name = fs::path(words[0]).filename().string();
  if (words.size() > 1 && !words[1].empty() && words[1].find_first_of("/-.") == std::string::npos)
    name += " " + words[1];
  // What another user's command line holds goes to a terminal.
  std::replace_if(
      name.begin(), name.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
  return fmt::format("process {} ({})", pid, name);
}

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

std::string LockHolder(const fs::path& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return "another process";
  // "3: FLOCK  ADVISORY  WRITE 4711 fe:01:396301 0 EOF"
  std::ifstream file("/proc/locks");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string number, kind, mode, type, where;
    pid_t pid = 0;
    if (!(words >> number >> kind >> mode >> type >> pid >> where) || kind != "FLOCK" || pid <= 0) continue;
    if (where.substr(where.rfind(':') + 1) == std::to_string(info.st_ino)) return ProcessWords(pid);
  }
  return "another process";
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
