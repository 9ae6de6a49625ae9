// From products to verified copies: what needs one is planned, made into objects, copied to every remote, and read
// back.
//
//   outbox (<scratch>/archive/…) → folder of parts at the remote → read back → final name, refused when it has other
//   bytes → manifest → on record as copied → read again → verified → outbox emptied
//
// Metadata first: an object is on record (staged) before anything of it leaves. A killed run leaves rows that say
// staged, parts in a folder of this installation alone, and files in the outbox; the next run makes the same bytes of
// the same products and goes on: a final name with the same bytes is taken as copied.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "config/product_paths.h"
#include "config/run_context.h"
#include "config/settings.h"
#include "ops/archive/remote.h"
#include "state/archive_store.h"
#include "state/group_store.h"
#include "state/product_store.h"

namespace contimg::ops {

struct ArchiveSelection {
  std::vector<std::string> classes, groups, remotes;  // empty: all
  double after_days = 0;
  bool lossy_counts = false;  // a lossy copy is one: archive.images = rice
  int limit = 0;              // objects; 0: all
};

struct PlannedObject {
  std::string product_class, group;
  std::vector<state::ProductRow> products;
  std::vector<std::string> remotes;  // that lack these
  std::uint64_t bytes() const;
};

// Of products that are not on disk any more a further copy comes from another remote: where one was lost, or the remote
// is new.
struct PlannedReplica {
  state::ArchiveRow source;  // without manifest
  std::string to;
};

struct ArchivePlan {
  std::vector<PlannedObject> objects;  // oldest data first
  std::vector<PlannedReplica> replicas;
  std::map<std::string, state::ArchiveSum> kept;  // reason → products that are not archived now
};

// `groups`: to tell which are at rest; null: all are. Pure but for reading the databases.
ArchivePlan PlanArchive(const ArchiveSelection& selection, const std::vector<ArchiveRemote>& remotes,
                        const DirectoryRoots& roots, state::ProductStore& products, state::GroupStore* groups,
                        double now);

// What waits for a copy: class → present products that have fewer verified copies than archive.copies. Of the classes
// that are archived; without remotes nothing is.
std::map<std::string, state::ArchiveSum> ArchiveBacklog(const Settings& settings, state::ProductStore& products);

// The remotes of the settings, ready for calls. Error{kUsage}: none is set, rclone is not installed.
std::vector<Remote> OpenRemotes(const Settings& settings, const std::atomic<bool>* cancelled);
// Whether calls could work: rclone is there, its configuration knows the remotes. Nothing is asked of them.
// Error{kUsage}; Error{kIo} when the configuration cannot be read by this user.
void CheckRemotes(const Settings& settings);
// Whether there should be objects at a remote: then its mark must be there, too (Remote::RequireMark).
bool HoldsCopies(state::ArchiveStore& store, const Remote& remote);
const Remote& FindRemote(const std::vector<Remote>& remotes, const std::string& name);  // Error{kUsage}

struct ArchiveFailure {
  std::string subject, sentence;
  ErrorKind kind = ErrorKind::kIo;
};
struct ArchiveResult {
  std::int64_t n_copied = 0;  // objects, one for each remote
  std::uint64_t bytes_copied = 0;
  std::int64_t n_products = 0;  // that have a further verified copy
  std::int64_t n_replicas = 0;  // of n_copied, from another remote
  std::int64_t n_verified = 0;  // objects of earlier runs that were read again
  std::int64_t n_retired = 0;
  std::int64_t n_changed = 0;  // sets of products that changed while they were read: another time
  std::vector<ArchiveFailure> failures;
};

struct ArchiveWork {
  ProductPaths paths;
  std::vector<Remote> remotes;
  int transfers = 1;
  std::string owner;  // of parts: this installation
  bool rice = false;  // images go lossy (object.h)
};

// Damage that was found: place ("local", "archive"), path or REMOTE:OBJECT, sentence.
using ReportDamage =
    std::function<void(const std::string& place, const std::string& subject, const std::string& detail)>;

// Carries the plan out, then reads what earlier runs left as copied. What fails for one object stops no other; a remote
// that does not answer is left alone for the rest of the run. Error{kCancelled}, and Error of the database.
ArchiveResult CarryOut(const ArchivePlan& plan, const ArchiveWork& work, state::ProductStore& products,
                       state::GroupStore* groups, const ReportDamage& damaged, const RunContext& context);

// Removes what killed runs left in the outbox. For the holder of the maintenance lock.
void SweepOutbox(const ProductPaths& paths, Os& os);

}  // namespace contimg::ops
