// Small versions of quick-look pictures, for pages that show many.
#pragma once

#include <string>
#include <string_view>

namespace contimg::image {

// A PNG of `size` × `size` pixels with the sky of a quick-look picture (image/quality/quick_look.h); of any other
// picture its central square. Throws Error{kBadInput} when `png` is no PNG or larger than 8192 pixels on a side.
std::string ThumbnailPng(std::string_view png, int size);

}  // namespace contimg::image
