// The operating system's file calls behind an interface, so that tests can make any of them fail or stop the process at
// any of them, anywhere, without special mounts or privileges.
//
// Everything that publishes a product, moves an input, measures free space or asks what is on a disk goes through Os.
// Failures are thrown as Error (SystemError's kinds) with the path as subject, never as another type. Thread-safe as
// the system calls are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace contimg {

struct DiskSpace {
  std::uint64_t free_bytes = 0;  // available to this user
  std::uint64_t total_bytes = 0;
};

// What a name stands for, links followed.
struct FileStatus {
  enum class Type { kNone, kFile, kDirectory, kOther };
  Type type = Type::kNone;    // kNone: there is nothing of the name
  std::uint64_t size = 0;     // bytes, of a file
  std::int64_t mtime_ns = 0;  // of its content, since 1970
  std::uint64_t device = 0, inode = 0;
};

// What a write past the page cache consists of: no disk has larger blocks.
inline constexpr std::size_t kDirectBlock = 4096;

// An open file. Closed on destruction (errors there are dropped: call Close when they matter).
class OsFile {
 public:
  virtual ~OsFile() = default;
  virtual void WriteAt(const void* data, std::size_t size, std::uint64_t offset) = 0;  // all of it, or throws
  // From now on whole blocks of kDirectBlock bytes in memory aligned to them go to the disk past the page cache, where
  // the file system can do that: without a copy, and what is in the cache stays there.
  virtual void BypassCache() = 0;
  virtual void Resize(std::uint64_t size) = 0;
  // Reserves room so that a full disk shows now; a file system that cannot reserve accepts silently.
  virtual void Reserve(std::uint64_t size) = 0;
  virtual void Sync() = 0;  // data and size are on the disk
  virtual void Close() = 0;
};

class Os {
 public:
  using Path = std::filesystem::path;
  virtual ~Os() = default;

  virtual std::unique_ptr<OsFile> Create(const Path& path) = 0;         // fails when it exists
  virtual std::unique_ptr<OsFile> OpenForUpdate(const Path& path) = 0;  // must exist
  virtual void CreateDirectories(const Path& path) = 0;
  // rename(2): replaces an existing file. RenameNew fails with Error{kUsage} when `to` exists.
  virtual void Rename(const Path& from, const Path& to) = 0;
  virtual void RenameNew(const Path& from, const Path& to) = 0;
  // Swaps two existing names in one step (two renames where the file system cannot).
  virtual void Exchange(const Path& a, const Path& b) = 0;
  virtual void HardLink(const Path& from, const Path& to) = 0;
  virtual void CopyFile(const Path& from, const Path& to) = 0;  // contents and mode; not synced
  virtual void RemoveAll(const Path& path) = 0;                 // no error when absent
  virtual void SyncFile(const Path& path) = 0;
  virtual void SyncDirectory(const Path& path) = 0;
  virtual DiskSpace Space(const Path& path) = 0;  // of the file system that holds `path`

  // Looks. A name that cannot be looked at (an I/O error, no permission) is an Error, not one that does not exist.
  virtual FileStatus Status(const Path& path) = 0;
  virtual std::vector<Path> List(const Path& directory) = 0;  // what is in it, in no order
  virtual std::string ReadFile(const Path& path) = 0;         // all of it: for small files
};

// The real one.
Os& RealOs();
// `os`, or the real one when null.
inline Os& OsOr(Os* os) { return os != nullptr ? *os : RealOs(); }

// Helpers made of the calls above.

bool Exists(const std::filesystem::path& path, Os& os = RealOs());
bool IsDirectory(const std::filesystem::path& path, Os& os = RealOs());        // false when there is nothing
bool IsFile(const std::filesystem::path& path, Os& os = RealOs());             // likewise
std::uint64_t FileSize(const std::filesystem::path& path, Os& os = RealOs());  // Error{kIo} unless it is a file
// The files (no directories) in a directory and all below it, sorted. Linked files count, linked directories do not.
std::vector<std::filesystem::path> FilesBelow(const std::filesystem::path& directory, Os& os = RealOs());
// True when something has the name, be it a link to nothing.
bool IsTaken(const std::filesystem::path& path);
// From the root, without "." and "..".
std::filesystem::path Absolute(const std::filesystem::path& path);

// True when both (existing) paths are on one file system, so that rename works between them.
bool SameFileSystem(const std::filesystem::path& a, const std::filesystem::path& b, Os& os = RealOs());
// Throws Error{kResource} about `subject` when the file system of `folder` has less than `bytes` free: for what does
// not survive a disk that fills up under it.
void CheckRoom(Os& os, const std::filesystem::path& folder, std::uint64_t bytes, const std::string& stage,
               const std::string& subject);
// Writes `text` to `path` by temporary sibling, sync, rename and sync of the directory.
void WriteFileAtomically(Os& os, const std::filesystem::path& path, std::string_view text);
// Syncs every file below `path`, then the directories, deepest first.
void SyncTree(Os& os, const std::filesystem::path& path);
// Copies a file or directory tree; `to` must not exist.
void CopyTree(Os& os, const std::filesystem::path& from, const std::filesystem::path& to);

// Gives the finished file or directory `staged` its final name: on one file system sync (when `durable`) and rename;
// across file systems copy to an unfinished name beside `final_path` (config/unfinished.h), sync, rename, then remove
// `staged`. The final name never holds a partial product. Throws Error{kUsage} when `final_path` exists.
struct PublishOptions {
  bool durable = true;  // sync before the rename and sync the directory after it
};
void Publish(Os& os, const std::filesystem::path& staged, const std::filesystem::path& final_path,
             const PublishOptions& options = {});

}  // namespace contimg
