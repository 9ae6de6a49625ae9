#pragma once

namespace contimg::image {

inline constexpr const char* kStage = "image";  // how errors of imaging name their origin

}  // namespace contimg::image
