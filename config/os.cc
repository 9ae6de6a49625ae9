#include "config/os.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "config/descriptor.h"
#include "config/error.h"
#include "config/unfinished.h"

namespace contimg {
namespace {

namespace fs = std::filesystem;
constexpr const char* kFilesStage = "files";

[[noreturn]] void Fail(const fs::path& path, std::string_view doing, int error_number) {
  throw SystemError(kFilesStage, path.string(), doing, error_number);
}

class RealFile final : public OsFile {
 public:
  RealFile(fs::path path, int fd) : path_(std::move(path)), fd_(fd) {}
  ~RealFile() override {
    if (fd_ >= 0) ::close(fd_);
  }
  RealFile(const RealFile&) = delete;
  RealFile& operator=(const RealFile&) = delete;

  void WriteAt(const void* data, std::size_t size, std::uint64_t offset) override {
    const char* p = static_cast<const char*>(data);
    const std::size_t whole = size;
    while (size > 0) {
      const bool direct = direct_works_ && size % kDirectBlock == 0 && offset % kDirectBlock == 0 &&
                          reinterpret_cast<std::uintptr_t>(p) % kDirectBlock == 0;
      const ssize_t n = ::pwrite(direct ? direct_.get() : fd_, p, size, static_cast<off_t>(offset));
      if (n < 0) {
        if (errno == EINTR) continue;
        if (errno == EINVAL && direct) {  // a file system that wants other blocks
          direct_works_ = false;
          continue;
        }
        Fail(path_, "cannot write " + BytesInWords(whole), errno);
      }
      p += n;
      offset += static_cast<std::uint64_t>(n);
      size -= static_cast<std::size_t>(n);
    }
  }
  void BypassCache() override {
    direct_ = Descriptor(::open(path_.c_str(), O_WRONLY | O_DIRECT | O_CLOEXEC));  // a refusal costs speed only
    direct_works_ = direct_.open();
  }
  void Resize(std::uint64_t size) override {
    if (::ftruncate(fd_, static_cast<off_t>(size)) != 0) Fail(path_, "cannot resize", errno);
  }
  void Reserve(std::uint64_t size) override {
    if (size == 0) return;
    if (::fallocate(fd_, 0, 0, static_cast<off_t>(size)) != 0 && errno != EOPNOTSUPP && errno != ENOSYS) {
      Fail(path_, "cannot reserve " + BytesInWords(size), errno);
    }
  }
  void Sync() override {
    if (::fsync(fd_) != 0) Fail(path_, "cannot sync", errno);
  }
  void Close() override {
    const int fd = std::exchange(fd_, -1);
    if (fd >= 0 && ::close(fd) != 0) Fail(path_, "cannot close", errno);
  }

 private:
  fs::path path_;
  int fd_;
  Descriptor direct_;  // the same file, past the page cache
  std::atomic<bool> direct_works_{false};
};

// The kernel copies where it can (and shares blocks where the file system can), else a buffer does.
void CopyBytes(int in, const fs::path& from, int out, const fs::path& to, std::uint64_t size) {
  const std::string doing = fmt::format("cannot copy {} from {}", BytesInWords(size), from.string());
  bool by_kernel = true;
  std::vector<char> buffer;
  for (;;) {
    if (by_kernel) {
      const ssize_t n = ::copy_file_range(in, nullptr, out, nullptr, std::size_t{1} << 30, 0);
      if (n > 0) continue;
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && errno != EXDEV && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP) Fail(to, doing, errno);
      by_kernel = false;  // the end, or not between these two: reading tells which
      buffer.resize(std::size_t{1} << 20);
    }
    const ssize_t n = ::read(in, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) Fail(from, "cannot read", errno);
    if (n == 0) return;
    for (ssize_t done = 0; done < n;) {
      const ssize_t put = ::write(out, buffer.data() + done, static_cast<std::size_t>(n - done));
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) Fail(to, doing, errno);
      done += put;
    }
  }
}

class RealOperatingSystem final : public Os {
 public:
  std::unique_ptr<OsFile> Create(const Path& path) override { return Open(path, O_CREAT | O_EXCL, "cannot create"); }
  std::unique_ptr<OsFile> OpenForUpdate(const Path& path) override { return Open(path, 0, "cannot open for writing"); }

  void CreateDirectories(const Path& path) override {
    std::error_code error;
    fs::create_directories(path, error);
    if (error) Fail(path, "cannot create directory", error.value());
  }
  void Rename(const Path& from, const Path& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) Fail(to, "cannot rename into place", errno);
  }
  void RenameNew(const Path& from, const Path& to) override {
    if (::syscall(SYS_renameat2, AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return;
    if (errno == EINVAL || errno == ENOSYS) {  // a file system without the flag: check, then rename
      if (::access(to.c_str(), F_OK) != 0) return Rename(from, to);
      errno = EEXIST;
    }
    if (errno == EEXIST) throw Error(ErrorKind::kUsage, kFilesStage, to.string(), "exists already");
    Fail(to, "cannot rename into place", errno);
  }
  void Exchange(const Path& a, const Path& b) override {
    if (::syscall(SYS_renameat2, AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE) == 0) return;
    if (errno != EINVAL && errno != ENOSYS) Fail(b, "cannot exchange with " + a.string(), errno);
    Unfinished aside(Path(b.string() + ".old"), *this);
    aside.Keep();  // the only copy of b for a while
    Rename(b, aside.path());
    try {
      Rename(a, b);
    } catch (...) {
      ::rename(aside.path().c_str(), b.c_str());
      throw;
    }
    Rename(aside.path(), a);
  }
  void HardLink(const Path& from, const Path& to) override {
    if (::link(from.c_str(), to.c_str()) != 0) Fail(to, "cannot link", errno);
  }
  void CopyFile(const Path& from, const Path& to) override {
    // Not by std::filesystem: it says "Input/output error" when the disk is full.
    const Descriptor in(::open(from.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat info {};
    if (!in.open() || ::fstat(in.get(), &info) != 0) Fail(from, "cannot read", errno);
    const Descriptor out(::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, info.st_mode & 0777));
    if (!out.open()) Fail(to, "cannot create", errno);
    if (::fchmod(out.get(), info.st_mode & 07777) != 0) Fail(to, "cannot set the permissions", errno);
    CopyBytes(in.get(), from, out.get(), to, static_cast<std::uint64_t>(info.st_size));
  }
  void RemoveAll(const Path& path) override {
    std::error_code error;
    fs::remove_all(path, error);
    if (error) Fail(path, "cannot remove", error.value());
  }
  void SyncFile(const Path& path) override { SyncPath(path, O_RDONLY); }
  void SyncDirectory(const Path& path) override { SyncPath(path, O_RDONLY | O_DIRECTORY); }
  DiskSpace Space(const Path& path) override {
    struct statvfs info {};
    if (::statvfs(path.c_str(), &info) != 0) Fail(path, "cannot read free space", errno);
    return {std::uint64_t{info.f_bavail} * info.f_frsize, std::uint64_t{info.f_blocks} * info.f_frsize};
  }
  FileStatus Status(const Path& path) override {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) {
      if (errno == ENOENT || errno == ENOTDIR) return {};
      Fail(path, "cannot be looked at", errno);
    }
    FileStatus status;
    status.type = S_ISREG(info.st_mode)   ? FileStatus::Type::kFile
                  : S_ISDIR(info.st_mode) ? FileStatus::Type::kDirectory
                                          : FileStatus::Type::kOther;
    status.size = static_cast<std::uint64_t>(info.st_size);
    status.mtime_ns = std::int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec;
    status.device = info.st_dev;
    status.inode = info.st_ino;
    return status;
  }
  std::vector<Path> List(const Path& directory) override {
    std::vector<Path> entries;
    std::error_code error;
    for (fs::directory_iterator at(directory, error), end; !error && at != end; at.increment(error)) {
      entries.push_back(at->path());
    }
    if (error) Fail(directory, "cannot list", error.value());
    return entries;
  }
  std::string ReadFile(const Path& path) override {
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file.open()) Fail(path, "cannot open", errno);
    std::string text;
    std::array<char, 16384> buffer;
    for (;;) {
      const ssize_t n = ::read(file.get(), buffer.data(), buffer.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) Fail(path, "cannot read", errno);
      if (n == 0) return text;
      text.append(buffer.data(), static_cast<std::size_t>(n));
    }
  }

 private:
  std::unique_ptr<OsFile> Open(const Path& path, int flags, const char* doing) {
    const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC | flags, 0640);
    if (fd < 0) Fail(path, doing, errno);
    return std::make_unique<RealFile>(path, fd);
  }
  void SyncPath(const Path& path, int flags) {
    const Descriptor file(::open(path.c_str(), flags | O_CLOEXEC));
    if (!file.open()) Fail(path, "cannot open to sync", errno);
    if (::fsync(file.get()) != 0 && errno != EINVAL && errno != EROFS) Fail(path, "cannot sync", errno);
  }
};

}  // namespace

Os& RealOs() {
  static RealOperatingSystem os;
  return os;
}

bool Exists(const fs::path& path, Os& os) { return os.Status(path).type != FileStatus::Type::kNone; }
bool IsDirectory(const fs::path& path, Os& os) { return os.Status(path).type == FileStatus::Type::kDirectory; }
bool IsFile(const fs::path& path, Os& os) { return os.Status(path).type == FileStatus::Type::kFile; }

std::uint64_t FileSize(const fs::path& path, Os& os) {
  const FileStatus status = os.Status(path);
  if (status.type == FileStatus::Type::kFile) return status.size;
  throw Error(ErrorKind::kIo, kFilesStage, path.string(),
              status.type == FileStatus::Type::kNone ? "is not there" : "is not a file");
}

namespace {

bool IsLink(const fs::path& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0 && S_ISLNK(info.st_mode);
}

}  // namespace

std::vector<fs::path> FilesBelow(const fs::path& directory, Os& os) {
  std::vector<fs::path> files;
  const std::function<void(const fs::path&)> walk = [&](const fs::path& at) {
    for (fs::path& entry : os.List(at)) {
      switch (os.Status(entry).type) {
        case FileStatus::Type::kDirectory:
          if (!IsLink(entry)) walk(entry);
          break;
        case FileStatus::Type::kFile:
          files.push_back(std::move(entry));
          break;
        default:
          break;
      }
    }
  };
  walk(directory);
  std::sort(files.begin(), files.end());
  return files;
}

bool IsTaken(const fs::path& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) == 0) return true;
  if (errno != ENOENT && errno != ENOTDIR) Fail(path, "cannot be looked at", errno);
  return false;
}

fs::path Absolute(const fs::path& path) {
  if (path.empty()) throw Error(ErrorKind::kUsage, "os", "", "expected the name of a file or directory, found none");
  std::error_code error;
  const fs::path absolute = fs::absolute(path, error);
  if (error) Fail(path, "cannot be told from the root", error.value());
  return absolute.lexically_normal();
}

bool SameFileSystem(const fs::path& a, const fs::path& b, Os& os) {
  const FileStatus status_a = os.Status(a), status_b = os.Status(b);
  for (const auto& [path, status] : {std::pair(a, status_a), std::pair(b, status_b)}) {
    if (status.type == FileStatus::Type::kNone) Fail(path, "cannot read", ENOENT);
  }
  return status_a.device == status_b.device;
}

void CheckRoom(Os& os, const fs::path& folder, std::uint64_t bytes, const std::string& stage,
               const std::string& subject) {
  const std::uint64_t free = os.Space(folder.empty() ? fs::path(".") : folder).free_bytes;
  if (free >= bytes) return;
  throw Error(
      ErrorKind::kResource, stage, subject,
      fmt::format("no space left on the disk: {} are needed and {} are free", BytesInWords(bytes), BytesInWords(free)));
}

void WriteFileAtomically(Os& os, const fs::path& path, std::string_view text) {
  const Unfinished part(path, os);
  const auto file = os.Create(part.path());
  file->WriteAt(text.data(), text.size(), 0);
  file->Sync();
  file->Close();
  os.Rename(part.path(), path);
  os.SyncDirectory(path.parent_path().empty() ? "." : path.parent_path());
}

void SyncTree(Os& os, const fs::path& path) {
  if (!IsDirectory(path, os)) return os.SyncFile(path);
  for (const fs::path& entry : os.List(path)) SyncTree(os, entry);
  os.SyncDirectory(path);
}

void CopyTree(Os& os, const fs::path& from, const fs::path& to) {
  if (!IsDirectory(from, os)) return os.CopyFile(from, to);
  os.CreateDirectories(to);
  for (const fs::path& entry : os.List(from)) CopyTree(os, entry, to / entry.filename());
}

void Publish(Os& os, const fs::path& staged, const fs::path& final_path, const PublishOptions& options) {
  const fs::path parent = final_path.parent_path().empty() ? fs::path(".") : final_path.parent_path();
  if (Exists(final_path, os)) throw Error(ErrorKind::kUsage, kFilesStage, final_path.string(), "exists already");
  os.CreateDirectories(parent);
  if (SameFileSystem(staged, parent, os)) {
    if (options.durable) SyncTree(os, staged);
    os.RenameNew(staged, final_path);
  } else {
    const Unfinished part(final_path, os);
    CopyTree(os, staged, part.path());
    if (options.durable) SyncTree(os, part.path());
    os.RenameNew(part.path(), final_path);
    os.RemoveAll(staged);
  }
  if (options.durable) os.SyncDirectory(parent);
}

}  // namespace contimg
