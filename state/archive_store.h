// Copies of products at other places (products.sqlite3): archived objects, one row for each remote, and their members.
//
//   staged → copied → verified, any of these → lost (gone or damaged) or retired (all its products were made anew)
//
// A copy of a product counts while it is copied or verified and its member is the product as it is now (view
// product_copies). Names of objects are never used again for other content. Times are UTC seconds since 1970 and come
// from the caller.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "state/database.h"

namespace contimg::state {

enum class ArchiveState { kStaged, kCopied, kVerified, kLost, kRetired };
std::string_view ToString(ArchiveState state);          // "staged", "copied", "verified", "lost", "retired"
ArchiveState ParseArchiveState(std::string_view word);  // Error{kUsage} for another word

struct ArchiveRow {
  std::int64_t id = 0;        // given by the store
  std::string remote;         // its name in archive.remotes
  std::string object;         // "images/2025-10-13/2025-10-13T132803.images.tar"
  std::string product_class;  // "images"
  std::string group_id;       // may be empty
  std::string format = "tar";
  std::int64_t bytes = 0;
  std::string sha256;
  bool lossy = false;  // any of its members; of CopiesOf: that product
  std::string manifest_json = "{}";
  ArchiveState state = ArchiveState::kStaged;
  int attempts = 0;
  std::string error;  // of the last attempt
  double made_at = 0;
  std::optional<double> copied_at, verified_at, checked_at;
};

struct ArchiveMember {
  std::int64_t product_id = 0;
  std::string member;  // its name in the object; of a product that is a folder, the folder's
  std::int64_t bytes = 0;
  std::string sha256;    // of these bytes of the object
  std::string checksum;  // the product's (XXH64) when it was read
  bool lossy = false;    // not what was read, bit for bit
};

struct ArchiveQuery {
  std::string remote, product_class, group_id;  // empty: any
  std::optional<ArchiveState> state;
  int limit = 0;            // newest first
  std::string object = {};  // of any remote; empty: any
};

// Number and bytes of objects or products.
struct ArchiveSum {
  std::int64_t n = 0, bytes = 0;
};

// An object that is lost although products as they are now have no copy at its remote but this one.
struct LostObject {
  std::string remote, object;
  std::int64_t n_gone = 0;  // products of it that are not on disk and have no copy anywhere
  double since = 0;         // unix_s
};

class ArchiveStore {
 public:
  explicit ArchiveStore(Database& products) : db_(products) {}  // that of a ProductStore

  // --- objects
  // A new row with its members, or, when (remote, object) is there, that row with everything but its id replaced.
  // Returns the id. Error{kUsage} when the name was used for other content (another SHA-256), unless that was only
  // staged.
  std::int64_t Save(const ArchiveRow& row, const std::vector<ArchiveMember>& members);
  void SetState(std::int64_t id, ArchiveState state, std::string_view error,
                double now);                                 // sets copied_at, verified_at
  void SetAttempt(std::int64_t id, std::string_view error);  // one more that failed
  void SetChecked(std::int64_t id, double now);
  // Objects none of whose members is a product as it is now become retired; returns how many.
  int RetireSuperseded();

  std::optional<ArchiveRow> Find(std::string_view remote, std::string_view object);
  std::optional<ArchiveRow> Find(std::int64_t id);
  // Lists have no manifests.
  std::vector<ArchiveRow> List(const ArchiveQuery& query);
  std::vector<ArchiveMember> Members(std::int64_t archive_id);
  // All of any remote and state, oldest first: their names are taken.
  std::vector<ArchiveRow> OfGroup(std::string_view group_id, std::string_view product_class);
  // Copied and verified objects, those first that were not read for the longest.
  std::vector<ArchiveRow> LeastRecentlyChecked();
  std::map<std::pair<std::string, ArchiveState>, ArchiveSum> Totals();  // (remote, state) → objects

  // --- products
  // A further product whose content is this piece of an object (what came back of a lossy copy).
  void AddMember(std::int64_t archive_id, const ArchiveMember& member);
  // The objects in which a product is as it is now: lossless ones first, of these verified ones, then by remote.
  // Without manifests.
  std::vector<ArchiveRow> CopiesOf(std::int64_t product_id);
  // Objects at other remotes in which there are products that are not on disk any more (archived, missing, or removed
  // with a lossy copy) and have no copy at this one: they can only come from there. Verified ones first.
  std::vector<ArchiveRow> SourcesFor(std::string_view remote);
  // kind → present products that have fewer than `copies` verified copies.
  std::map<std::string, ArchiveSum> Backlog(int copies, bool lossy_counts = false);
  // Losses that no later object has made good, newest first.
  std::vector<LostObject> NotMadeGood();
  // What was let go is back: its last purge becomes "restored".
  void MarkRestored(std::int64_t product_id, double now);

 private:
  Database& db_;
};

}  // namespace contimg::state
