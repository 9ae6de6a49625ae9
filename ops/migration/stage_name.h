// How errors of a migration name their origin.
#pragma once

namespace contimg::ops {

inline constexpr const char* kMigrateStage = "migrate";

}  // namespace contimg::ops
