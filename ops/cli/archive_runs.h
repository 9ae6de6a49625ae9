// What the commands about archives share.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "config/product_paths.h"
#include "config/settings.h"
#include "ops/archive/archiver.h"
#include "state/group_store.h"
#include "state/maintenance_store.h"
#include "state/product_store.h"

namespace contimg::ops {

// The databases of a command. For changes or for one look.
struct ArchiveDatabases {
  ArchiveDatabases(const ProductPaths& paths, bool for_changes);
  state::ProductStore products;
  std::optional<state::GroupStore> groups;  // when there is a queue
  state::GroupStore* groups_or_null() { return groups ? &*groups : nullptr; }
};

// Writes findings of damage into operations.sqlite3; one that cannot be written is a warning.
ReportDamage DamageReporter(const ProductPaths& paths, Reporter& reporter);

// The owner of parts at remotes: this installation.
std::string PartOwner(const ProductPaths& paths);

nlohmann::ordered_json FailuresJson(const std::vector<ArchiveFailure>& failures);
void PrintJsonObject(const nlohmann::ordered_json& value);

struct VerifyArgs {
  bool local = false, archive = false, failed = false, json = false;  // neither local nor archive: both
  double share = 0;                                                   // 0: integrity.share
};
// Reads again and prints. Throws Error{kBadInput} when anything was damaged, Error{kIo} when a remote did not answer.
void RunVerify(const VerifyArgs& args);

}  // namespace contimg::ops
