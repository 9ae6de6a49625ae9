// How errors of archives name their origin.
#pragma once

namespace contimg::ops {

inline constexpr const char* kArchiveStage = "archive";

}  // namespace contimg::ops
