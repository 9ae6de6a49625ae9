#pragma once

namespace contimg::ops {

inline constexpr const char* kMigrateStage = "migrate";  // how errors of a migration name their origin

}  // namespace contimg::ops
