// How errors of settings, and of the paths they give, name their origin.
#pragma once

namespace contimg {

inline constexpr const char* kConfigStage = "config";

}  // namespace contimg
