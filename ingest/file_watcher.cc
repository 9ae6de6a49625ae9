#include "ingest/file_watcher.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "config/error.h"
#include "config/product_paths.h"

namespace contimg::ingest {
namespace {

constexpr std::uint32_t kMask =
    IN_CLOSE_WRITE | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK;

std::string Reason(int error_number) { return std::strerror(error_number); }

}  // namespace

FileWatcher::FileWatcher(std::filesystem::path directory, WatcherOptions options)
    : directory_(std::move(directory)), options_(std::move(options)) {
  if (!options_.add_watch) options_.add_watch = ::inotify_add_watch;
}

FileWatcher::~FileWatcher() { Unwatch(); }

void FileWatcher::Unwatch() {
  inotify_.Reset();
  watch_ = -1;
}

bool FileWatcher::IsNetworkFileSystem() const {
  // Magic numbers of statfs(2). FUSE belongs here: its server may change files behind the kernel.
  constexpr std::array<std::uint32_t, 9> kNetwork = {0x6969,     0x517B,     0xFE534D42, 0xFF534D42, 0x65735546,
                                                     0x00C36400, 0x0BD00BD0, 0x47504653, 0x01021997};
  struct statfs info {};
  if (::statfs(directory_.c_str(), &info) != 0) return false;
  return std::find(kNetwork.begin(), kNetwork.end(), static_cast<std::uint32_t>(info.f_type)) != kNetwork.end();
}

WatchReport FileWatcher::Check() {
  WatchReport report;
  struct stat info {};
  if (::stat(directory_.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) {
    Unwatch();
    if (!missing_reported_) {
      report.warnings.push_back(
          fmt::format("{}: the incoming directory is missing; looking for it again", directory_.string()));
    }
    missing_reported_ = true;
    return report;
  }
  const bool returned = std::exchange(missing_reported_, false);
  const bool replaced = device_ != 0 && (info.st_dev != device_ || info.st_ino != inode_);
  if (watch_ >= 0 && !replaced) return report;

  if (replaced || returned) {
    Unwatch();
    polling_reported_ = false;
    report.warnings.push_back(
        fmt::format("{}: the incoming directory was replaced or mounted; listing it afresh", directory_.string()));
  }
  const bool first_look = device_ == 0;
  device_ = info.st_dev;
  inode_ = info.st_ino;
  if (first_look || replaced || returned) report.list_again = true;

  std::string why;
  if (options_.mode == WatchMode::kPoll) {
    polling_reported_ = true;  // asked for: no warning
    return report;
  }
  if (options_.mode == WatchMode::kAuto && IsNetworkFileSystem()) {
    why = "it is on a network file system";
  } else {
    if (!inotify_.open()) inotify_.Reset(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    if (!inotify_.open()) {
      why = "no inotify instance can be had: " + Reason(errno);
    } else {
      watch_ = options_.add_watch(inotify_.get(), directory_.c_str(), kMask);
      if (watch_ < 0) {
        why = errno == ENOSPC ? std::string("the limit of inotify watches is reached (fs.inotify.max_user_watches)")
                              : "no inotify watch can be set: " + Reason(errno);
        Unwatch();
      }
    }
  }
  if (watch_ >= 0) {
    if (std::exchange(polling_reported_, false)) {
      report.warnings.push_back(fmt::format("{}: watched by inotify again", directory_.string()));
    }
    report.list_again = true;  // what arrived before the watch was set
  } else if (!std::exchange(polling_reported_, true)) {
    report.warnings.push_back(fmt::format("{}: found by listing only (polling), because {}", directory_.string(), why));
    report.list_again = true;
  }
  return report;
}

WatchReport FileWatcher::Drain() {
  WatchReport report;
  if (!inotify_.open()) return report;
  alignas(inotify_event) std::array<char, std::size_t{64} * 1024> buffer;
  bool lost_directory = false;
  for (;;) {
    const ssize_t n = ::read(inotify_.get(), buffer.data(), buffer.size());
    if (n <= 0) break;  // EAGAIN: nothing left
    for (const char* p = buffer.data(); p < buffer.data() + n;) {
      const auto* event = reinterpret_cast<const inotify_event*>(p);
      p += sizeof(inotify_event) + event->len;
      if ((event->mask & IN_Q_OVERFLOW) != 0) {
        report.list_again = true;
        report.warnings.push_back(
            fmt::format("{}: the inotify queue overflowed; listing the directory", directory_.string()));
      } else if ((event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED)) != 0) {
        lost_directory = true;
      } else if (event->len > 0 && (event->mask & IN_ISDIR) == 0) {
        std::string name(event->name);
        if (IsSubbandFileName(name)) report.finished.push_back(std::move(name));
      }
    }
  }
  if (lost_directory) {
    Unwatch();
    device_ = 1;  // no directory has it: the next Check sees a replacement
    inode_ = 0;
    WatchReport again = Check();
    report.list_again = report.list_again || again.list_again;
    report.warnings.insert(report.warnings.end(), again.warnings.begin(), again.warnings.end());
  }
  return report;
}

std::vector<ListedFile> FileWatcher::List(const std::function<bool(const std::string& name)>& wanted) const {
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::opendir(directory_.c_str()), ::closedir);
  if (stream == nullptr) throw SystemError("ingest", directory_.string(), "cannot list", errno);
  std::vector<ListedFile> files;
  errno = 0;
  while (const dirent* entry = ::readdir(stream.get())) {
    std::string name(entry->d_name);
    if (!IsSubbandFileName(name) || !wanted(name)) continue;
    try {
      if (auto file = Stat(directory_ / name)) {
        file->name = std::move(name);
        files.push_back(std::move(*file));
      }
    } catch (const Error&) {  // the next listing may see it
    }
    errno = 0;
  }
  if (errno != 0) throw SystemError("ingest", directory_.string(), "cannot list", errno);
  std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return files;
}

std::optional<ListedFile> Stat(const std::filesystem::path& path, Os& os) {
  const FileStatus status = os.Status(path);
  if (status.type != FileStatus::Type::kFile) return std::nullopt;
  return ListedFile{path.filename().string(), status.size, status.mtime_ns};
}

bool IsSubbandFileName(const std::string& name) {
  const auto parsed = ParseIncomingName(name);
  return parsed && !parsed->incomplete;
}

}  // namespace contimg::ingest
