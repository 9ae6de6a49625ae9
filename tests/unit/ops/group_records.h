// Groups on record, as databases that are moved about must still know them.
#pragma once

#include <filesystem>

#include "state/group_store.h"

namespace contimg::ops {

inline void AddGroup(const std::filesystem::path& database, const char* id) {
  state::GroupStore groups(database);
  state::GroupRow row;
  row.id = id;
  groups.Create(row, "test", 1);
}

inline bool HasGroup(const std::filesystem::path& database, const char* id) {
  return state::GroupStore(database, state::DatabaseOptions::ForOneLook()).Find(id).has_value();
}

}  // namespace contimg::ops
