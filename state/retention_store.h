// What leaves the disk and what must not (products.sqlite3): purges, pins, and all there is to know of a product to
// decide about it. Times are UTC seconds since 1970 ("unix_s") and come from the caller.
//
//   purge: planned → hidden → removed           undone: given up before anything was lost
//          (renamed)  (on record as gone)       restored: brought back from a copy
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "state/database.h"

namespace contimg::state {

enum class PurgeState { kPlanned, kHidden, kRemoved, kUndone, kRestored };
std::string_view ToString(PurgeState state);  // "planned", "hidden", "removed", "undone", "restored"

struct PurgeRow {
  std::int64_t id = 0;                     // given by the store
  std::optional<std::int64_t> product_id;  // nothing: not a product (a job's folder, a file in quarantine)
  std::string product_class;
  std::string path;
  std::int64_t bytes = 0;
  std::string rule;   // the policy by which it went, in words
  std::string actor;  // "operator", "timer", "daemon"
  PurgeState state = PurgeState::kPlanned;
  double at = 0;
  std::optional<double> finished_at;
};

struct PinRow {
  std::int64_t product_id = 0;
  std::string reason, actor;
  double at = 0;
};

// A product as the planner of a cleanup sees it.
struct StoredProduct {
  std::int64_t id = 0;
  std::string kind, path, group_id;
  double start_mjd = 0;
  std::int64_t bytes = 0;
  double created_at = 0, updated_at = 0;
  bool present = false;
  bool pinned = false;
};

struct VerifiedCopies {
  int n = 0;        // lossless ones, one for each remote
  std::string one;  // "<remote>:<object>"; empty: none
};

class RetentionStore {
 public:
  // Shares the connection of a ProductStore.
  explicit RetentionStore(Database& products) : db_(&products) {}

  // Those of these kinds that are on disk, by id.
  std::vector<StoredProduct> Present(const std::vector<std::string_view>& kinds);
  std::optional<StoredProduct> Find(std::int64_t id);
  std::optional<StoredProduct> FindByPath(std::string_view path);
  VerifiedCopies CopiesOf(std::int64_t id);
  std::vector<std::int64_t> Parents(std::int64_t id);
  std::vector<std::int64_t> Children(std::int64_t id);
  // Those that were recorded since then, whether they are here or not.
  std::vector<StoredProduct> RecordedSince(double since);
  // When a job or a purge ended last, or the newest product was recorded or changed; 0: there is nothing.
  double NewestChange();
  // The newest group of which something is on record: the greatest timestamp; empty: there is none.
  std::string NewestGroup();

  // --- purges
  // Adds the rows as planned and fills in their ids; one transaction.
  void Plan(std::vector<PurgeRow>& rows, double now);
  // All of them together; `hidden` sets the status of their products: archived, with `archive_path`, where a verified
  // copy counts, else removed. `undone` gives back the status present. One transaction.
  void Advance(const std::vector<PurgeRow>& rows, PurgeState to, double now);
  // Planned and hidden ones: of a run that was killed.
  std::vector<PurgeRow> Open();
  std::map<std::string, std::int64_t> RemovedBytes();  // class → bytes ever removed

  // --- pins
  void Pin(std::int64_t product_id, std::string_view reason, std::string_view actor,
           double now);                 // replaces the reason
  bool Unpin(std::int64_t product_id);  // false: it was not pinned
  std::vector<PinRow> Pins();

 private:
  Database* db_;
};

}  // namespace contimg::state
