// The stages that a group's job can go through: whoever shows or counts them takes them from here.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>

namespace contimg::ops {

// In the order of the work; `write` is the end of writing the Measurement Set, which goes on beside the others.
inline constexpr std::array<std::string_view, 8> kJobStages{"convert", "flag",  "solve",   "apply",
                                                            "refine",  "image", "measure", "write"};

// Where a stage stands in that order; those that are not known come last.
inline std::size_t StageRank(std::string_view name) {
  return static_cast<std::size_t>(std::find(kJobStages.begin(), kJobStages.end(), name) - kJobStages.begin());
}

}  // namespace contimg::ops
