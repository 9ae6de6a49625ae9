// A cleanup from beginning to end: inventory, guards, plan, purge.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "config/product_paths.h"
#include "config/run_context.h"
#include "config/settings.h"
#include "ops/retention/plan.h"
#include "ops/retention/purge.h"
#include "state/group_store.h"
#include "state/maintenance_store.h"
#include "state/product_store.h"

namespace contimg::ops {

struct CleanupRequest {
  ProductPaths paths;
  RetentionPolicy policy;
  CleanupSelection selection;  // free_bytes is measured
  bool apply = false;          // else nothing is changed
  bool force = false;          // past the guards of clock and share
  std::string actor;
};

struct CleanupOutcome {
  CleanupPlan plan;
  std::string refused;  // why nothing was done; empty: it was not refused
  int n_recovered = 0;  // purges of a killed run that were put right first
  PurgeResult purged;
};

// What there is of these classes: records, groups, folders of the tree. `groups` may be null: no queue yet. The
// inventory asks `products` on; within products.database().Read all of it is of one moment.
Inventory TakeInventory(const ProductPaths& paths, state::ProductStore& products, state::GroupStore* groups,
                        const std::vector<std::string>& classes, Os& os);
// Those of products, and of folders.
std::vector<std::string> AllHeldClasses();

// Plans, and with `apply` carries out. Guards (refused): the clock is before the newest record, or more than 60 days
// after it; there are products on disk that are newer than all records (an older state was put back); a root of the
// tree does not carry its marker (not mounted, another one); by age more of a class than policy.max_share would go. The
// holder of the maintenance lock calls it with `apply`.
CleanupOutcome RunCleanup(const CleanupRequest& request, state::ProductStore& products, state::GroupStore* groups,
                          const RunContext& context);

// The dry-run table, and the JSON object, of docs/operations/retention.md.
std::string CleanupTable(const CleanupOutcome& outcome, bool applied);
nlohmann::ordered_json CleanupJson(const CleanupOutcome& outcome, const CleanupRequest& request, double now);
// What goes into the row of the run: {items, bytes, removed: {class: bytes}, blocked: [{class, reason, bytes}],
// free_bytes, target_bytes, failures}.
nlohmann::ordered_json CleanupFigures(const CleanupOutcome& outcome);
// Why it was refused, what failed, or what keeps the target of pressure from being reached, in one sentence; else
// empty.
std::string TroubleOf(const CleanupOutcome& outcome);
state::RunOutcome OutcomeOf(const CleanupOutcome& outcome);  // kOk, kRefused, kFailed

}  // namespace contimg::ops
