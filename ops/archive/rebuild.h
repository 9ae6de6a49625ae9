// Records of copies from nothing but the manifests at the remotes: after the loss of the state, or for objects that
// another installation put there.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/product_paths.h"
#include "config/run_context.h"
#include "ops/archive/archiver.h"
#include "ops/archive/remote.h"
#include "state/product_store.h"

namespace contimg::ops {

struct RebuildResult {
  std::int64_t n_objects = 0;            // not on record so far
  std::int64_t n_products = 0;           // likewise; those that are not on disk become "archived"
  std::vector<ArchiveFailure> failures;  // manifests that are none, of another format, of objects that are not there
};

// Lists every remote, reads the manifests of objects that are not on record, and (unless `dry`) records them as copied,
// with their products and lineage. A product on record with another checksum keeps its record: then the object holds an
// earlier one. `archive --apply` or `verify --archive` makes verified copies of them.
RebuildResult RebuildArchives(const std::vector<Remote>& remotes, const DirectoryRoots& roots,
                              state::ProductStore& products, bool dry, const RunContext& context);

}  // namespace contimg::ops
