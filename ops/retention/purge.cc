#include "ops/retention/purge.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <set>
#include <system_error>

#include "config/os.h"
#include "config/text.h"
#include "config/time.h"
#include "ops/base/words.h"
#include "ops/job/tree_marker.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using state::PurgeRow;
using state::PurgeState;

constexpr const char* kStage = "cleanup";
constexpr std::size_t kBatch = 64;

double Now() { return UtcTime::Now().unix_s(); }

struct Look {
  enum class Kind { kNone, kLink, kThere } kind = Kind::kNone;
  dev_t device = 0;
};
// Of the name itself. Throws Error{kIo}.
Look LookAt(const fs::path& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return {};
    throw SystemError(kStage, path.string(), "cannot look at", errno);
  }
  return {S_ISLNK(status.st_mode) ? Look::Kind::kLink : Look::Kind::kThere, status.st_dev};
}

bool IsRoot(const fs::path& path, const DirectoryRoots& roots) {
  for (const fs::path& root :
       {roots.scratch, roots.state, roots.input, roots.output, roots.images, roots.tmp, roots.staging}) {
    if (!root.empty() && fs::path(root / "").lexically_normal() == fs::path(path / "").lexically_normal()) return true;
  }
  return false;
}

// Whether it is there. Throws Error{kUsage} for what must not be touched.
bool CheckPlace(const fs::path& path, const DirectoryRoots& roots) {
  const auto refuse = [&](const std::string& why) { return Error(ErrorKind::kUsage, kStage, path.string(), why); };
  if (path != path.lexically_normal() || !path.is_absolute() || IsRoot(path, roots)) {
    throw refuse("is no name of something in the tree: it stays");
  }
  const Look look = LookAt(path);
  if (look.kind == Look::Kind::kNone) return false;
  if (look.kind == Look::Kind::kLink) throw refuse("is a link: it stays");
  std::error_code failed;
  const fs::path folder = fs::canonical(path.parent_path(), failed);
  if (failed) throw SystemError(kStage, path.string(), "cannot look at its folder", failed.value());
  bool below = false;
  for (const fs::path& root : {roots.scratch, roots.state, roots.input, roots.output, roots.images}) {
    if (root.empty()) continue;
    const fs::path real = fs::canonical(root, failed);
    below = below || (!failed && IsBelow(folder, real));
  }
  if (!below) throw refuse("lies outside of the tree, through a link: it stays");
  if (LookAt(folder).device != look.device) throw refuse("is a file system of its own: it stays");
  if (fs::is_directory(path, failed)) {
    for (fs::recursive_directory_iterator entry(path, fs::directory_options::none, failed), end;
         !failed && entry != end; entry.increment(failed)) {
      if (LookAt(entry->path()).device != look.device) throw refuse("holds another file system: it stays");
    }
  }
  if (failed) throw SystemError(kStage, path.string(), "cannot look into", failed.value());
  return true;
}

void RemoveEmptyFolders(const std::set<fs::path>& folders, const DirectoryRoots& roots) {
  for (const fs::path& folder : folders) {
    // Days alone: standing folders of the tree stay, and today's is about to be used.
    const std::string name = folder.filename().string();
    if (name.size() == 10 && name < UtcTime::FromUnix(Now() - 2 * kSecondsPerDay).Date() && !IsRoot(folder, roots)) {
      (void)::rmdir(folder.c_str());
    }
  }
}

class Purger {
 public:
  Purger(state::RetentionStore& store, state::GroupStore* groups, const DirectoryRoots& roots, std::string actor,
         Os& os)
      : store_(store), groups_(groups), roots_(roots), actor_(std::move(actor)), os_(os) {}

  void Batch(const Leaving* begin, const Leaving* end) {
    std::vector<PurgeRow> rows;
    for (const Leaving* each = begin; each != end; ++each) {
      if (!Try([&] { return CheckPlace(each->path, roots_); })) continue;
      PurgeRow row;
      row.product_id = each->product_id;
      row.product_class = each->product_class;
      row.path = each->path;
      row.bytes = each->bytes;
      row.rule = each->rule;
      row.actor = actor_;
      rows.push_back(std::move(row));
    }
    if (rows.empty()) return;
    store_.Plan(rows, Now());
    std::vector<PurgeRow> hidden, undone;
    std::set<fs::path> folders;
    for (const PurgeRow& row : rows) {
      const bool done = Try([&] {
        os_.Rename(row.path, HiddenName(row));
        return true;
      });
      (done ? hidden : undone).push_back(row);
      if (done) folders.insert(fs::path(row.path).parent_path());
    }
    for (const fs::path& folder : folders) os_.SyncDirectory(folder);
    if (!undone.empty()) store_.Advance(undone, PurgeState::kUndone, Now());
    store_.Advance(hidden, PurgeState::kHidden, Now());
    std::vector<PurgeRow> removed;
    for (const PurgeRow& row : hidden) {
      const bool done = Try([&] {
        os_.RemoveAll(HiddenName(row));
        return true;
      });
      if (done) removed.push_back(row);  // else the next run goes on with it
    }
    store_.Advance(removed, PurgeState::kRemoved, Now());
    for (const PurgeRow& row : removed) {
      ++result_.n_removed;
      result_.bytes += row.bytes;
      result_.bytes_of_class[row.product_class] += row.bytes;
    }
    RemoveEmptyFolders(folders, roots_);
  }

  // The trail of each group gets a sentence for each class and rule.
  void Tell(const Leaving* begin, const Leaving* end) {
    if (groups_ == nullptr) return;
    std::map<std::pair<std::string, std::string>, std::pair<std::int64_t, std::int64_t>> sums;
    for (const Leaving* each = begin; each != end; ++each) {
      if (each->group_id.empty() || LookAt(each->path).kind != Look::Kind::kNone) continue;
      auto& [n, bytes] = sums[{each->group_id, fmt::format("{}: {}", each->product_class, each->rule)}];
      ++n;
      bytes += each->bytes;
    }
    groups_->database().Write([&] {
      for (const auto& [of, sum] : sums) {
        state::EventRow event;
        event.at = Now();
        event.group_id = of.first;
        event.kind = "note";
        event.actor = actor_;
        event.detail = fmt::format("{} of {} left the disk; {}", Counted(sum.first, "product"),
                                   Bytes(static_cast<double>(sum.second)), of.second);
        groups_->AddEvent(event);
      }
    });
  }

  PurgeResult result_;

 private:
  // False: not there, or it failed and that is noted.
  template <class Body>
  bool Try(const Body& body) {
    try {
      if (body()) return true;
      ++result_.n_gone;
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::kCancelled) throw;
      result_.failures.emplace_back(error.what());
    }
    return false;
  }

  state::RetentionStore& store_;
  state::GroupStore* groups_;
  const DirectoryRoots& roots_;
  std::string actor_;
  Os& os_;
};

}  // namespace

fs::path HiddenName(const PurgeRow& row) {
  const fs::path path(row.path);
  return path.parent_path() / fmt::format(".{}.purge-{}", path.filename().string(), row.id);
}

PurgeResult Purge(const std::vector<Leaving>& leaving, state::RetentionStore& store, state::GroupStore* groups,
                  const DirectoryRoots& roots, const std::string& actor, const RunContext& context) {
  Purger purger(store, groups, roots, actor, OsOr(context.os));
  for (std::size_t at = 0; at < leaving.size(); at += kBatch) {
    context.CheckCancelled(kStage);
    const std::size_t end = std::min(at + kBatch, leaving.size());
    purger.Batch(leaving.data() + at, leaving.data() + end);
    purger.Tell(leaving.data() + at, leaving.data() + end);
    context.reporter->Progress(kStage, static_cast<double>(end) / static_cast<double>(leaving.size()));
  }
  return purger.result_;
}

int RecoverPurges(state::RetentionStore& store, Os& os) {
  const std::vector<PurgeRow> open = store.Open();
  for (const PurgeRow& row : open) {
    const fs::path hidden = HiddenName(row);
    const bool is_hidden = LookAt(hidden).kind != Look::Kind::kNone;
    const bool is_there = LookAt(row.path).kind != Look::Kind::kNone;
    if (row.state == PurgeState::kPlanned && !(is_hidden && is_there)) {
      if (is_hidden) {
        os.RenameNew(hidden, row.path);
        os.SyncDirectory(hidden.parent_path());
      }
      store.Advance({row}, PurgeState::kUndone, UtcTime::Now().unix_s());
      continue;
    }
    // Hidden, or made anew meanwhile: the hidden one is the old.
    os.RemoveAll(hidden);
    store.Advance({row}, is_there ? PurgeState::kUndone : PurgeState::kRemoved, UtcTime::Now().unix_s());
  }
  return static_cast<int>(open.size());
}

}  // namespace contimg::ops
