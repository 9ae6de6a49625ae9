#include "config/unfinished.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <set>
#include <string>
#include <utility>

#include "config/error.h"

namespace contimg {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMark = ".part-";
constexpr const char* kLock = ".lock";

// Open for writing, as network file systems want it; for reading where the file is another user's. −1: errno says why.
int OpenLockFile(const fs::path& file) {
  const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  return fd >= 0 || errno != EACCES ? fd : ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
}

fs::path Named(const fs::path& final_path, int number) {
  const fs::path clean = final_path.has_filename() ? final_path : final_path.parent_path();
  // With a folder always: casacore takes the dot of a bare ".name" for one and makes "name".
  const fs::path folder = clean.has_parent_path() ? clean.parent_path() : fs::path(".");
  return folder / fmt::format(".{}{}{}{}", clean.filename().string(), kMark, ::getpid(),
                              number > 1 ? fmt::format("-{}", number) : "");
}

fs::path LockOf(const fs::path& part) { return part.string() + kLock; }

}  // namespace

OwnerLock::OwnerLock(fs::path file) : file_(std::move(file)) {
  for (;;) {
    Descriptor descriptor(OpenLockFile(file_));
    if (!descriptor.open()) {
      error_number_ = errno;
      return;
    }
    if (::flock(descriptor.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EINTR) continue;
      error_number_ = errno;
      if (errno == EWOULDBLOCK) answer_ = Answer::kTaken;
      return;
    }
    // The previous owner may have removed the file between our open and our lock: then nobody else would see ours.
    struct stat ours {
    }, current{};
    if (::fstat(descriptor.get(), &ours) == 0 && ::stat(file_.c_str(), &current) == 0 &&
        ours.st_ino == current.st_ino && ours.st_dev == current.st_dev) {
      descriptor_ = std::move(descriptor);
      answer_ = Answer::kOurs;
      return;
    }
  }
}

OwnerLock& OwnerLock::operator=(OwnerLock&& other) noexcept {
  Release();
  file_ = std::move(other.file_);
  descriptor_ = std::move(other.descriptor_);
  answer_ = std::exchange(other.answer_, Answer::kUnknown);
  error_number_ = other.error_number_;
  return *this;
}

OwnerLock::~OwnerLock() { Release(); }

void OwnerLock::Release() noexcept {
  if (answer_ == Answer::kOurs && descriptor_.open()) ::unlink(file_.c_str());
  descriptor_.Reset();
}

Unfinished::Unfinished(const fs::path& final_path, Os& os) {
  constexpr int kTries = 1000;
  for (int number = 1;; ++number) {
    path_ = Named(final_path, number);
    lock_ = OwnerLock(LockOf(path_));
    if (lock_.answer() == OwnerLock::Answer::kOurs) break;
    const bool no_locks = lock_.error_number() == ENOLCK || lock_.error_number() == ENOSYS ||
                          lock_.error_number() == EOPNOTSUPP || lock_.error_number() == EINVAL;
    if (no_locks) break;  // nothing is swept on such a file system
    if (lock_.answer() == OwnerLock::Answer::kUnknown) {
      throw SystemError("files", path_.string(), "cannot create", lock_.error_number());
    }
    if (number == kTries) {
      throw Error(ErrorKind::kBusy, "files", final_path.string(), "is being made by too many processes");
    }
  }
  if (IsTaken(path_)) os.RemoveAll(path_);  // of an owner that is gone
}

Unfinished::~Unfinished() {
  std::error_code ignored;
  if (!keep_) fs::remove_all(path_, ignored);
}

namespace {

template <typename Test>
int Sweep(const fs::path& directory, Os& os, const Test& test) {
  if (!IsDirectory(directory, os)) return 0;
  std::set<fs::path> parts;
  for (const fs::path& entry : os.List(directory)) {
    if (test(entry)) parts.insert(entry.extension() == kLock ? entry.parent_path() / entry.stem() : entry);
  }
  int swept = 0;
  for (const fs::path& part : parts) {
    const OwnerLock lock(LockOf(part));
    if (lock.answer() != OwnerLock::Answer::kOurs) continue;
    if (!IsTaken(part)) continue;
    os.RemoveAll(part);
    ++swept;
  }
  return swept;
}

}  // namespace

bool IsUnfinishedName(const fs::path& path) {
  const std::string name = path.filename().string();
  return !name.empty() && name.front() == '.' && name.find(kMark) != std::string::npos;
}

int SweepUnfinished(const fs::path& directory, Os& os) { return Sweep(directory, os, IsUnfinishedName); }

int SweepUnfinishedOf(const fs::path& final_path, Os& os) {
  const std::string start = fmt::format(".{}{}", final_path.filename().string(), kMark);
  return Sweep(final_path.has_parent_path() ? final_path.parent_path() : fs::path("."), os,
               [&](const fs::path& entry) { return entry.filename().string().rfind(start, 0) == 0; });
}

}  // namespace contimg
