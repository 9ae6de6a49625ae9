// Products that were let go, or lost, come back from any copy of theirs: fetched by themselves, compared, and given
// their names in one step.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "config/product_paths.h"
#include "config/run_context.h"
#include "ops/archive/archiver.h"
#include "ops/archive/remote.h"
#include "state/archive_store.h"
#include "state/group_store.h"
#include "state/product_store.h"

namespace contimg::ops {

struct RestoreItem {
  state::ProductRow product;
  std::filesystem::path place;            // where the product itself goes
  std::filesystem::path to;               // where the first copy goes: there, or beside it when it is lossy (LossyName)
  std::vector<state::ArchiveRow> copies;  // in the order in which they are tried
  std::uint64_t bytes = 0;                // that are fetched
  bool is_there = false;                  // already: only its record is missing
  bool lossy() const { return to != place; }
};

struct RestoreRequest {
  std::vector<std::int64_t> products;  // ids
  std::filesystem::path to;  // a folder of the caller's: <to>/<root>/<path>, nothing is recorded; empty: their place
  std::string remote;        // only copies there; empty: any
};

// What would come from where. Error{kUsage}: the target is there already; Error{kBadInput}: no copy is on record.
std::vector<RestoreItem> PlanRestore(const RestoreRequest& request, const DirectoryRoots& roots,
                                     state::ProductStore& products);

struct RestoredProduct {
  std::int64_t product = 0;
  std::filesystem::path path;
  std::string from;   // REMOTE:OBJECT
  std::string lossy;  // LossyWords; empty: it is what was made
  std::uint64_t bytes = 0;
};

// `object`: the object of the first copy, where it was brought here already (FetchedObjects).
// What comes of a lossy copy (only when there is no other) goes beside the product's place and is recorded as a product
// of its own, made of the one that is not there any more; that one's record stays what it is.
// Fetches one product into its place. A copy that is damaged or gone is recorded as lost, told to `damaged`, and the
// next one is tried; a remote that does not answer is passed over. With `record` the product becomes present, its purge
// restored, and the trail of its group says so. Error{kBadInput}: no copy is whole; Error{kIo}: none could be reached;
// Error{kUsage}: the target is there already.
RestoredProduct Restore(const RestoreItem& item, bool record, const std::vector<Remote>& remotes,
                        state::ProductStore& products, state::GroupStore* groups, const ReportDamage& damaged,
                        const RunContext& context, const std::optional<std::filesystem::path>& object = std::nullopt);

}  // namespace contimg::ops
