// The one place that makes PNGs of what cairo has drawn.
#pragma once

#include <cairo.h>

#include <string>

namespace contimg::image {

// The colours of an image surface in RGB24 or ARGB32 (whose opacity is left aside), as a file's bytes. `subject` is for
// errors. Throws Error{kResource}.
std::string PngOf(cairo_surface_t* surface, const std::string& subject);

}  // namespace contimg::image
