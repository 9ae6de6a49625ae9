// Whose directory tree this is. A marker file at the root of the scratch tree, and of every other root on a disk of its
// own, holds the identity of the state directory that it belongs to:
//
//   <root>/.contimg-tree        {"identity": UUID, "state": directory, "host": name, "pid": number, "since": time}
//   <state>/identity.json       {"identity": UUID, "since": time, "complete": bool, "roots": [directory…]}
//
// A tree without the marker that the state expects is not mounted, or another one: nothing is made there. The daemon
// that works in the tree holds a lock (flock) on its marker. docs/operations/scratch.md.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/descriptor.h"
#include "config/os.h"

namespace contimg::ops {

std::filesystem::path TreeMarkerFile(const std::filesystem::path& root);
std::filesystem::path StateIdentityFile(const std::filesystem::path& state_directory);

struct TreeMarker {
  std::string identity;
  std::filesystem::path state;  // of the daemon that started last in this tree
  std::string host;
  int pid = 0;
  std::string since;  // when the tree was marked
};

struct StateIdentity {
  std::string identity;
  std::string since;
  bool complete = false;                     // every root has its marker; false: the first start was cut short
  std::vector<std::filesystem::path> roots;  // that carry a marker
};

// A random UUID (version 4).
std::string NewIdentity();

// The marker of this very directory; nothing when there is none. Throws Error{kIo} when it cannot be read and
// Error{kBadInput} when it is not one.
std::optional<TreeMarker> ReadTreeMarker(const std::filesystem::path& root);
// The marker of the directory or of the nearest one above it, and where.
std::optional<std::pair<std::filesystem::path, TreeMarker>> NearestTreeMarker(std::filesystem::path directory);
// Errors as above.
std::optional<StateIdentity> ReadStateIdentity(const std::filesystem::path& state_directory);
void WriteStateIdentity(Os& os, const std::filesystem::path& state_directory, const StateIdentity& identity);

// A marker under flock. The kernel drops the lock with the process.
class TreeLock {
 public:
  // Writes the marker of `root`, locked from its first moment, in place of an existing one. Throws Error{kBusy} when
  // another process holds the lock (its marker is read for the words), Error{kIo} when it cannot be written; the former
  // lock stays then.
  void Take(const std::filesystem::path& root, const TreeMarker& marker);
  // Locks the marker that is there, as it is: on a full disk.
  void TakeAsItIs(const std::filesystem::path& root);
  // True while the marker at `root` is the very file that is locked.
  bool Holds(const std::filesystem::path& root) const;
  void Release() { file_.Reset(); }

 private:
  Descriptor file_;
};
// True when a process (this one, too) holds the lock of the marker at `root`.
bool IsTreeLocked(const std::filesystem::path& root);
// "the state directory S of host H (process P works there now)"
std::string OwnerWords(const std::filesystem::path& root, const TreeMarker& marker);

// What a piece of work expects of the trees in which it makes products.
struct ExpectedTrees {
  std::string identity;                      // empty: nothing is expected
  std::vector<std::filesystem::path> roots;  // where the markers are
};
// Throws Error{kIo} with one sentence for the first root whose marker is not there or names another identity.
void RequireTrees(const ExpectedTrees& expected);

// An Os that makes nothing below an expected root unless its marker is there: what is not mounted stays empty.
class GuardedOs final : public Os {
 public:
  GuardedOs(Os& os, ExpectedTrees expected) : os_(os), expected_(std::move(expected)) {}
  void Expect(ExpectedTrees expected) { expected_ = std::move(expected); }

  std::unique_ptr<OsFile> Create(const Path& path) override { return Guard(path), os_.Create(path); }
  std::unique_ptr<OsFile> OpenForUpdate(const Path& path) override { return os_.OpenForUpdate(path); }
  void CreateDirectories(const Path& path) override { Guard(path), os_.CreateDirectories(path); }
  void Rename(const Path& from, const Path& to) override { Guard(to), os_.Rename(from, to); }
  void RenameNew(const Path& from, const Path& to) override { Guard(to), os_.RenameNew(from, to); }
  void Exchange(const Path& a, const Path& b) override { os_.Exchange(a, b); }
  void HardLink(const Path& from, const Path& to) override { Guard(to), os_.HardLink(from, to); }
  void CopyFile(const Path& from, const Path& to) override { Guard(to), os_.CopyFile(from, to); }
  void RemoveAll(const Path& path) override { os_.RemoveAll(path); }
  void SyncFile(const Path& path) override { os_.SyncFile(path); }
  void SyncDirectory(const Path& path) override { os_.SyncDirectory(path); }
  DiskSpace Space(const Path& path) override { return os_.Space(path); }
  FileStatus Status(const Path& path) override { return os_.Status(path); }
  std::vector<Path> List(const Path& directory) override { return os_.List(directory); }
  std::string ReadFile(const Path& path) override { return os_.ReadFile(path); }

 private:
  void Guard(const Path& path) const;

  Os& os_;
  ExpectedTrees expected_;
};

// True when `path` is `root` or below it, as the names say.
bool IsBelow(const std::filesystem::path& path, const std::filesystem::path& root);

}  // namespace contimg::ops
