// What a tile's image is worth, for people: its grade and why, every gate with its limit, the figures that are asked
// for first, where the noise is high, and all other figures folded.
#pragma once

#include "ops/web/html.h"
#include "ops/web/tile_quality.h"

namespace contimg::ops {

void DrawQuality(const TileQuality& quality, Html& html);
// What an image or mosaic had to hold, from its figures ("gates"); nothing where they tell none.
void DrawGates(const nlohmann::json& figures, Html& html);
// All figures but those, folded.
void DrawOtherFigures(const nlohmann::json& figures, const char* title, Html& html);

// "every gate holds", "a gate is missed by up to 1.5 times its limit"…: what a grade means; empty for other words.
std::string_view GradeMeaning(std::string_view grade);

}  // namespace contimg::ops
