#pragma once

namespace contimg::state {

inline constexpr const char* kStage = "state";  // how errors of the databases name their origin

}  // namespace contimg::state
