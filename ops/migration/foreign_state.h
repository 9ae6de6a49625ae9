// What the databases of another installation (dsa110-contimg: ingest_queue, caltables, images, ms_index, mosaics) know
// that ours does not: read from them, written as rows whose provenance is "migrated".
//
//   its row                              becomes
//   image, Measurement Set, mosaic       a job of the kind "migrated" that holds the row, given to the product's record
//     that is here                       that has no job; records that name theirs keep it
//     that is nowhere any more           a record with the status "removed", which says that there was one
//   group that was completed             a group that is done, when one of its products is on record
//   group that had failed                a group that is cancelled, with its error
//   group that was under way             nothing: its input makes it anew
//   table that was retired or failed     the table here is retired, with what was noted
//
// Things are found under the path it names, under the place a migration of the tree gave them, and under the place that
// their name has here. Doing it again changes nothing.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "config/product_paths.h"
#include "config/run_context.h"

namespace contimg::ops {

// One table of one database.
struct ForeignTable {
  std::filesystem::path database;
  std::string table;  // "images"
  std::int64_t rows = 0;
  std::int64_t known = 0;             // nothing to do: on record here in the same way, or under way there
  std::int64_t taken = 0;             // become, or became, records
  std::vector<std::string> troubles;  // a sentence each
};

// The databases of other programs that lie in `directory` and one folder below it and have one of the tables above.
// Error{kBadInput} when one cannot be read.
std::vector<std::filesystem::path> FindRawDatabases(const std::filesystem::path& directory, Os& os);

// Without `apply` nothing is written, and databases that are not there yet count as empty ones. The caller holds the
// InstanceLock and the MaintenanceLock otherwise. Reports progress as "migrate".
std::vector<ForeignTable> TakeForeignState(const std::vector<std::filesystem::path>& databases,
                                           const ProductPaths& paths, bool apply, const RunContext& context,
                                           double now);

}  // namespace contimg::ops
