// How errors of this module name their origin.
#pragma once

namespace contimg::mosaic {

inline constexpr const char* kStage = "mosaic";

}  // namespace contimg::mosaic
