#include "image/quality/png.h"

#include <png.h>

#include <vector>

#include "config/error.h"

namespace contimg::image {

std::string PngOf(cairo_surface_t* surface, const std::string& subject) {
  cairo_surface_flush(surface);
  const unsigned char* from = cairo_image_surface_get_data(surface);
  if (from == nullptr) throw Error(ErrorKind::kResource, "image", subject, "there is no memory for the picture");
  const auto width = static_cast<std::size_t>(cairo_image_surface_get_width(surface));
  const auto height = static_cast<std::size_t>(cairo_image_surface_get_height(surface));
  const auto stride = static_cast<std::size_t>(cairo_image_surface_get_stride(surface));
  std::vector<unsigned char> colours;  // cairo's without the fourth byte of a pixel
  colours.reserve(3 * width * height);
  for (std::size_t y = 0; y < height; ++y) {
    const unsigned char* pixel = from + y * stride;
    for (std::size_t x = 0; x < width; ++x, pixel += 4) colours.insert(colours.end(), pixel, pixel + 3);
  }
  // cairo's own writer filters rows and compresses well, which takes four times as long and makes maps of noise larger.
  png_image picture = {};
  picture.version = PNG_IMAGE_VERSION;
  picture.width = static_cast<png_uint_32>(width);
  picture.height = static_cast<png_uint_32>(height);
  picture.format = PNG_FORMAT_BGR;
  picture.flags = PNG_IMAGE_FLAG_FAST;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(picture);
  std::string bytes(size, '\0');
  if (png_image_write_to_memory(&picture, bytes.data(), &size, 0, colours.data(), 0, nullptr) == 0) {
    throw Error(ErrorKind::kResource, "image", subject,
                std::string("cannot draw the picture: ") + static_cast<const char*>(picture.message));
  }
  bytes.resize(size);
  return bytes;
}

}  // namespace contimg::image
