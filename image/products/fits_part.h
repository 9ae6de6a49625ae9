// A part of a FITS image, without the rest of it: its pixels, fewer of them for a picture, or an image of its own.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "config/array_view.h"
#include "image/products/fits_image.h"

namespace contimg::image {

// Pixels x … x + nx − 1 of rows y … y + ny − 1 of an image. It may go beyond the image's edges.
struct PixelPart {
  std::ptrdiff_t x = 0, y = 0;
  std::size_t nx = 0, ny = 0;
};
// What of it an image of these pixels has; empty (nx = ny = 0) where they do not meet.
PixelPart WithinImage(const PixelPart& part, const ImageGeometry& geometry);
// Where the pixels of the part lie, about the same phase centre.
ImageGeometry GeometryOfPart(const ImageGeometry& geometry, const PixelPart& part);

// Its pixels, [ny][nx]; NaN beyond the edges. Reads these rows alone. Throws as ReadFitsImage.
std::vector<float> ReadFitsPart(const std::filesystem::path& path, const PixelPart& part);

// A part with fewer pixels, each for a block of those of the image.
struct ReducedPart {
  std::size_t nx = 0, ny = 0;
  std::vector<float> pixels;  // [ny][nx]; NaN: the whole block is blank
  ArrayView<const float, 2> view() const { return {pixels.data(), {ny, nx}}; }
};
// At most `most` pixels a side, as they are where there are no more. A block whose farthest value from 0 is more than
// `keep_beyond` away has that value, so that point sources stay; any other has its mean. One row of the part is in
// memory at a time. Throws as ReadFitsImage.
ReducedPart ReadReducedPart(const std::filesystem::path& path, const PixelPart& part, std::size_t most,
                            double keep_beyond);

// The part, cut off at the image's edges, as a plain FITS image with the cards of its header: CRPIX1 and CRPIX2 are
// moved, HISTORY says what it was cut from. A part that does not meet the image is Error{kUsage}.
// To `to`, which must not exist, a row at a time; not synced. Throws as ReadFitsImage, and Error{kIo, kResource}.
void WriteFitsCutout(const std::filesystem::path& from, const PixelPart& part, const std::filesystem::path& to);
// The same as bytes.
std::string FitsCutoutBytes(const std::filesystem::path& from, const PixelPart& part);

}  // namespace contimg::image
