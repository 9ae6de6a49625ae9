#include "ops/migration/tree_mover.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <set>

#include "config/error.h"
#include "config/os.h"
#include "config/unfinished.h"
#include "ops/base/checksum.h"
#include "ops/base/link_target.h"
#include "ops/migration/stage_name.h"
#include "ops/migration/tree_stamp.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kBatch = 64;  // items whose folders and lines are synced together

Error Changed(const fs::path& path, const char* what) {
  return Error(ErrorKind::kBadInput, kMigrateStage, path.string(), what);
}

// Mode and times of change of `from`, for what CopyFile and CreateDirectories made.
void CopyTimes(const fs::path& from, const fs::path& to) {
  struct stat status {};
  if (::stat(from.c_str(), &status) != 0) throw SystemError(kMigrateStage, from.string(), "cannot look at", errno);
  const struct timespec times[2] = {status.st_atim, status.st_mtim};
  if (::chmod(to.c_str(), status.st_mode & 07777) != 0 || ::utimensat(AT_FDCWD, to.c_str(), times, 0) != 0) {
    throw SystemError(kMigrateStage, to.string(), "cannot set mode and times", errno);
  }
}

void MakeTree(Os& os, const fs::path& from, const fs::path& to, bool link) {
  if (IsDirectory(from, os)) {
    os.CreateDirectories(to);
    for (const fs::path& entry : os.List(from)) MakeTree(os, entry, to / entry.filename(), link);
    CopyTimes(from, to);
  } else if (link) {
    os.HardLink(from, to);
  } else {
    os.CopyFile(from, to);
    CopyTimes(from, to);
  }
}

class Mover {
 public:
  Mover(Journal& journal, const RunContext& context)
      : journal_(journal), context_(context), os_(OsOr(context.os)), writer_(journal, os_) {}

  void Move(const std::function<bool(const JournalItem&)>& wanted) {
    for (std::size_t i = 0; i < journal_.items.size(); ++i) {
      const JournalItem& item = journal_.items[i];
      if (item.state != ItemState::kPlanned || !wanted(item)) continue;
      std::string checksum;
      Step(
          i, i,
          [&] {
            checksum = MoveOne(i);
            NameIt(item);
          },
          [&] { writer_.Moved(i, checksum); });
    }
    EndBatch();
  }

  void Undo() {
    if (!journal_.undo_begun) writer_.UndoBegun();
    for (std::size_t n = journal_.items.size(); n-- > 0;) {
      const JournalItem& item = journal_.items[n];
      if (item.state == ItemState::kUndone) continue;
      // One that was planned or failed may still have got its place: the run was killed before it could say so.
      if (InodeThere(item) == 0 && item.state != ItemState::kMoved && item.state != ItemState::kRecorded) {
        Sweep(item.to.parent_path());
        continue;
      }
      Step(
          n, journal_.items.size() - 1 - n, [&] { UndoOne(n); }, [&] { writer_.Set(n, ItemState::kUndone); });
    }
    EndBatch();
    RestoreFolders();
    writer_.UndoEnded();
  }

 private:
  // Does something about item `i` after `n_done` others, and notes it; what it throws becomes the item's reason, unless
  // it may pass.
  template <class Body, class Note>
  void Step(std::size_t i, std::size_t n_done, const Body& body, const Note& note) {
    context_.CheckCancelled(kMigrateStage);
    std::string error;
    try {
      body();
    } catch (const Error& failure) {
      if (failure.kind() == ErrorKind::kCancelled || failure.kind() == ErrorKind::kResource ||
          failure.kind() == ErrorKind::kBusy) {
        throw;
      }
      error = failure.what();
      context_.reporter->Warn(kMigrateStage, error);
    }
    // Outside: what fails in the journal is no fault of the item's. Going back, one that failed keeps its state: the
    // next attempt tries it again.
    if (error.empty()) {
      note();
    } else {
      writer_.Set(i, journal_.undo_begun ? journal_.items[i].state : ItemState::kFailed, error);
    }
    if (++n_in_batch_ >= kBatch) EndBatch();
    context_.reporter->Progress(kMigrateStage,
                                static_cast<double>(n_done + 1) / static_cast<double>(journal_.items.size()));
  }
  void EndBatch() {
    for (const fs::path& folder : folders_) {
      if (IsDirectory(folder, os_)) os_.SyncDirectory(folder);
    }
    folders_.clear();
    writer_.Sync();
    n_in_batch_ = 0;
  }
  // What stands under its new name, if that is what was put there.
  std::uint64_t InodeThere(const JournalItem& item) const {
    const std::uint64_t inode = item.inode_there == 0 ? 0 : InodeOf(item.to);
    return inode == item.inode_there ? inode : 0;
  }
  void Sweep(const fs::path& folder) {
    if (swept_.insert(folder).second && IsDirectory(folder, os_)) SweepUnfinished(folder, os_);
  }

  // The checksum of what is in its place now. It is taken here, where a service may run meanwhile: records are made in
  // seconds then.
  std::string MoveOne(std::size_t i) {
    const JournalItem& item = journal_.items[i];
    Sweep(item.to.parent_path());
    if (InodeThere(item) != 0) return Checksum(item.to);
    const std::string checksum = Checksum(item.from);
    const TreeStamp stamp = StampOf(item.from, os_);
    if (stamp.inode != item.inode || stamp.fingerprint != item.fingerprint) {
      throw Changed(item.from, "was changed since the plan was made: it stays, and the next run looks at it again");
    }
    const fs::path folder = item.to.parent_path();
    os_.CreateDirectories(folder);
    if (journal_.mode == TreeMode::kMove) {
      os_.RenameNew(item.from, item.to);
      folders_.insert(item.from.parent_path());
    } else {
      const Unfinished part(item.to, os_);
      MakeTree(os_, item.from, part.path(), journal_.mode == TreeMode::kLink);
      if (journal_.mode == TreeMode::kCopy && Checksum(part.path()) != checksum) {
        throw Changed(item.from, "was changed while it was copied: it stays, and the next run looks at it again");
      }
      SyncTree(os_, part.path());
      writer_.Made(i, InodeOf(part.path()));
      os_.RenameNew(part.path(), item.to);
    }
    folders_.insert(folder);
    return checksum;
  }
  std::string Checksum(const fs::path& path) { return ProductChecksum(path, context_.threads, os_); }
  // A name by which a calibrator is called is a convenience: without it, the set is in its place all the same.
  void NameIt(const JournalItem& item) {
    if (item.alias.empty()) return;
    try {
      if (IsTaken(item.alias)) return;
      os_.CreateDirectories(item.alias.parent_path());
      if (::symlink(AliasTarget(item).c_str(), item.alias.c_str()) != 0) {
        throw SystemError(kMigrateStage, item.alias.string(), "cannot make the link", errno);
      }
    } catch (const Error& error) {
      context_.reporter->Warn(kMigrateStage, error.what());
    }
  }
  static fs::path AliasTarget(const JournalItem& item) { return item.to.lexically_relative(item.alias.parent_path()); }

  void UndoOne(std::size_t i) {
    const JournalItem& item = journal_.items[i];
    Sweep(item.to.parent_path());
    if (InodeThere(item) == 0) {
      const bool back = InodeOf(item.from) == item.inode;
      if (!back) throw Changed(item.to, "is not what was put there any more: it stays, and is not given back");
    } else if (InodeOf(item.from) == 0) {  // moved; or the old one was removed and this is the last
      os_.CreateDirectories(item.from.parent_path());
      os_.RenameNew(item.to, item.from);
      folders_.insert(item.from.parent_path());
    } else if (journal_.mode == TreeMode::kMove) {
      throw Changed(item.from, "is taken by something else: nothing is put in its place");
    } else {
      if (StampOf(item.to, os_).fingerprint != item.fingerprint) {
        throw Changed(item.to, "was changed since it was made: it stays");
      }
      if (StampOf(item.from, os_).fingerprint != item.fingerprint) {
        throw Changed(item.from, "was changed since: what was made of it stays");
      }
      const Unfinished aside(item.to, os_);
      os_.Rename(item.to, aside.path());
      os_.RemoveAll(aside.path());
    }
    folders_.insert(item.to.parent_path());
    if (!item.alias.empty() && LinkTarget(item.alias) == AliasTarget(item)) os_.RemoveAll(item.alias);
  }
  // Folders get the times they had, unless something of theirs could not be given back; days that are empty now go.
  void RestoreFolders() {
    std::set<fs::path> incomplete, days;
    for (const JournalItem& item : journal_.items) {
      days.insert(item.to.parent_path());
      if (item.state == ItemState::kMoved || item.state == ItemState::kRecorded)
        incomplete.insert(item.from.parent_path());
    }
    for (const fs::path& day : days) {
      if (day.filename().string().size() == 10) (void)::rmdir(day.c_str());
    }
    for (const FolderTime& each : journal_.folders) {
      if (incomplete.count(each.folder) != 0) continue;
      struct timespec times[2] = {{0, UTIME_OMIT}, {each.mtime_ns / 1'000'000'000, each.mtime_ns % 1'000'000'000}};
      if (::utimensat(AT_FDCWD, each.folder.c_str(), times, 0) != 0) {
        context_.reporter->Warn(kMigrateStage,
                                SystemError(kMigrateStage, each.folder.string(), "cannot set its time", errno).what());
      }
    }
  }

  Journal& journal_;
  const RunContext& context_;
  Os& os_;
  JournalWriter writer_;
  std::set<fs::path> folders_, swept_;
  std::size_t n_in_batch_ = 0;
};

}  // namespace

void MoveItems(Journal& journal, const RunContext& context, const std::function<bool(const JournalItem&)>& wanted) {
  Mover(journal, context).Move(wanted);
}

void UndoItems(Journal& journal, const RunContext& context) { Mover(journal, context).Undo(); }

}  // namespace contimg::ops
