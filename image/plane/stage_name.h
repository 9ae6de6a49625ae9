// How errors of imaging name their origin.
#pragma once

namespace contimg::image {

inline constexpr const char* kStage = "image";

}  // namespace contimg::image
