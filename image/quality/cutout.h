// A small picture of the sky about one source.
#pragma once

#include <string>

#include "config/array_view.h"

namespace contimg::image {

inline constexpr int kCutoutSize = 160;  // pixels of the picture

// A PNG of the square `sky` {n, n}, north up, in the colours of the quick look from `low` to `high`; blanks are grey.
// A ring of `ring` pixels of the sky about (x, y) marks the source. Throws Error{kResource}.
std::string CutoutPng(ArrayView<const float, 2> sky, double low, double high, double x, double y, double ring);

}  // namespace contimg::image
