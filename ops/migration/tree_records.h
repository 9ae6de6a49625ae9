// The records of what a migration put into the tree: made by the rules of `contimg doctor --rebuild`
// (ops/migration/rebuild.h), and taken back when it is undone.
#pragma once

#include "config/product_paths.h"
#include "config/run_context.h"
#include "config/settings.h"
#include "ops/migration/rebuild.h"
#include "ops/migration/tree_journal.h"

namespace contimg::ops {

// Of the items that are in their places; they become recorded, and one of which there is no record all the same (its
// group is not known by anything else) says so in its `error`. The caller holds the InstanceLock and the
// MaintenanceLock.
RebuildFigures RecordItems(Journal& journal, const ProductPaths& paths, const Settings& settings,
                           const RunContext& context, double now);

// Before UndoItems: products become removed, tables retired. Their groups stay on record as done.
void ForgetItems(const Journal& journal, const ProductPaths& paths, const RunContext& context, double now);

}  // namespace contimg::ops
