// What a cleanup would let go, and why it keeps the rest: a pure function of records, policy, room and time.
//
// By age: classes with a number of days, each product when its age is over and its requirement holds (archived,
// regenerable, none). Under pressure: classes in the order of retention.pressure_order, the oldest first, until enough
// is free. Whatever the policy says, kept are: what is pinned; what belongs to a group that is not at rest; tables with
// which something that is here was made; the last thing from which something that went as regenerable can be made; what
// is younger than retention.min_age_s (unless it can be made again of input with a verified copy).
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/product_paths.h"
#include "ops/retention/policy.h"
#include "state/retention_store.h"

namespace contimg::ops {

// A file or folder of the tree that is no product (class "quarantine", "jobs").
struct FolderItem {
  std::string product_class, path;
  std::int64_t bytes = 0;
  double since = 0;  // its last change, unix_s
};

struct GroupAtRest {
  bool at_rest = false;  // done, given up or cancelled: no attempt is to come
  bool done = false;
  double since = 0;  // unix_s
};

// How products hang together, and what is known of those that are not in the inventory: asked product by product, for
// the few that may leave.
class ProductRecords {
 public:
  virtual ~ProductRecords() = default;
  virtual std::optional<state::StoredProduct> Find(std::int64_t id) = 0;
  virtual std::optional<state::StoredProduct> FindByPath(const std::string& path) = 0;
  virtual state::VerifiedCopies CopiesOf(std::int64_t id) = 0;
  virtual std::vector<std::int64_t> Parents(std::int64_t id) = 0;
  virtual std::vector<std::int64_t> Children(std::int64_t id) = 0;
};

struct Inventory {
  std::vector<state::StoredProduct> products;  // on disk, of the classes that are asked for
  std::shared_ptr<ProductRecords> records;
  std::map<std::string, GroupAtRest> groups;
  std::vector<FolderItem> folders;
  DirectoryRoots roots;
  std::vector<std::filesystem::path> scratch_roots;  // of these: what lies on the scratch disk
};

struct CleanupSelection {
  std::vector<std::string> classes;  // empty: all
  std::uint64_t free_bytes = 0;      // of the scratch disk now
  std::int64_t limit = 0;            // items; 0: all
};

struct Leaving {
  std::optional<std::int64_t> product_id;
  std::string product_class, path, group_id;
  std::int64_t bytes = 0;
  double age_from = 0;  // unix_s
  std::string rule;     // "7 d after imaging; regenerable from archived input"
  bool by_age = false;  // else under pressure
  bool on_scratch = false;
};

struct ClassSums {
  std::int64_t items = 0, bytes = 0;
  double oldest = 0;  // unix_s
};

struct CleanupPlan {
  std::vector<Leaving> leaving;                                   // in the order in which they go
  std::map<std::pair<std::string, std::string>, ClassSums> kept;  // (class, reason) of what policy would let go
  std::map<std::string, ClassSums> present;                       // class → all there is
  std::uint64_t free_bytes = 0, target_bytes = 0;                 // target 0: no pressure
  std::int64_t bytes() const;
  std::uint64_t free_after() const;
  bool reached() const { return free_after() >= target_bytes; }
};

// Of all others nothing needs to be in the inventory.
std::vector<std::string> ClassesThatMayLeave(const RetentionPolicy& policy, const CleanupSelection& selection);

CleanupPlan PlanCleanup(const Inventory& inventory, const RetentionPolicy& policy, const CleanupSelection& selection,
                        double now);
// One plan for each of the policies, of the same things; `take` gets the number of the policy and the plan.
void PlanCleanups(const Inventory& inventory, const std::vector<RetentionPolicy>& policies, double now,
                  const std::function<void(std::size_t, const CleanupPlan&)>& take);

// Sentences about one product: what class, what age, which rules hold, whether it would leave. Empty: there is none of
// this id or path. Its class is in the inventory.
std::vector<std::string> Explain(const Inventory& inventory, const RetentionPolicy& policy,
                                 const CleanupSelection& selection, const std::string& id_or_path, double now);

// Of a class, by age: more than `share` of its bytes leaves (among 20 items or more); the class, or empty.
std::string BeyondShare(const CleanupPlan& plan, double share);

}  // namespace contimg::ops
