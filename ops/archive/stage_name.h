#pragma once

namespace contimg::ops {

inline constexpr const char* kArchiveStage = "archive";  // how errors of archives name their origin

}  // namespace contimg::ops
