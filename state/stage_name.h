// How errors of the databases name their origin.
#pragma once

namespace contimg::state {

inline constexpr const char* kStage = "state";

}  // namespace contimg::state
