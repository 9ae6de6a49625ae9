// Letting products go in five steps, of which a kill between any two loses nothing:
//
//   1 on record as planned → 2 renamed to a hidden sibling (.<name>.purge-<id>), its folder synced → 3 on record as
//   gone (archived or removed) and hidden → 4 unlinked → 5 on record as removed
//
// Done for some dozens of products at a time, so that each step costs one commit for all of them. What a killed run
// left is put right before the next: planned ones get their name back, hidden ones are unlinked.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "config/product_paths.h"
#include "config/run_context.h"
#include "ops/retention/plan.h"
#include "state/group_store.h"
#include "state/retention_store.h"

namespace contimg::ops {

struct PurgeResult {
  std::int64_t n_removed = 0, bytes = 0;
  std::map<std::string, std::int64_t> bytes_of_class;
  std::int64_t n_gone = 0;            // were not there any more
  std::vector<std::string> failures;  // a sentence each; these stay
};

// `groups`: their trails get a sentence for each class; may be null. Nothing is touched that does not lie below one of
// `roots` (links followed), is a link itself, or holds another file system. What fails for one product stops no other,
// except Error{kCancelled} (between batches) and errors of the database.
PurgeResult Purge(const std::vector<Leaving>& leaving, state::RetentionStore& store, state::GroupStore* groups,
                  const DirectoryRoots& roots, const std::string& actor, const RunContext& context);

// Of killed runs. Returns how many purges were ended (either way). For the holder of the maintenance lock.
int RecoverPurges(state::RetentionStore& store, Os& os);

std::filesystem::path HiddenName(const state::PurgeRow& row);

}  // namespace contimg::ops
