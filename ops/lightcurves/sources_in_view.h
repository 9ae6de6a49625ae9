// Sources of our own on a part of the sky that is looked at.
#pragma once

#include <vector>

#include "mosaic/map/map_view.h"
#include "state/database.h"
#include "state/source_list.h"

namespace contimg::ops {

inline constexpr int kMostMapSources = 300;  // that a picture has rings for

// Those in the square, at most so many: the brightest by their mean flux, or by the one that is expected of them.
std::vector<state::ListedSource> SourcesInView(state::Database& sources, const mosaic::MapSquare& square, int most);
// Rings for them.
std::vector<mosaic::MapMark> MarksOf(const std::vector<state::ListedSource>& sources);

}  // namespace contimg::ops
