#pragma once

namespace contimg {

inline constexpr const char* kConfigStage =
    "config";  // how errors of settings, and of the paths they give, name their origin

}  // namespace contimg
