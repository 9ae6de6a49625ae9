#include "image/quality/thumbnail.h"

#include <cairo.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>

#include "config/error.h"
#include "image/quality/png.h"
#include "image/quality/quick_look.h"

namespace contimg::image {
namespace {

constexpr std::string_view kSignature("\x89PNG\r\n\x1a\n", 8);
constexpr std::uint32_t kLargestSide = 8192;

struct SurfaceOwner {
  void operator()(cairo_surface_t* surface) const { cairo_surface_destroy(surface); }
};
using Surface = std::unique_ptr<cairo_surface_t, SurfaceOwner>;

Error NoPicture(const std::string& why) { return Error(ErrorKind::kBadInput, "image", "thumbnail", why); }

// Looked at before cairo allocates what the header asks for.
void CheckHeader(std::string_view png) {
  const auto number = [&](std::size_t at) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < 4; ++i) value = (value << 8U) | static_cast<unsigned char>(png[at + i]);
    return value;
  };
  if (png.size() < 33 || png.substr(0, 8) != kSignature) throw NoPicture("expected a PNG and found something else");
  const std::uint32_t width = number(16), height = number(20);
  if (width == 0 || height == 0 || width > kLargestSide || height > kLargestSide) {
    throw NoPicture(fmt::format("expected at most {0} × {0} pixels, found {1} × {2}", kLargestSide, width, height));
  }
}

cairo_status_t ReadSome(void* closure, unsigned char* data, unsigned int length) {
  auto& rest = *static_cast<std::string_view*>(closure);
  if (rest.size() < length) return CAIRO_STATUS_READ_ERROR;
  std::memcpy(data, rest.data(), length);
  rest.remove_prefix(length);
  return CAIRO_STATUS_SUCCESS;
}

struct Square {
  int x, y, width, height;
};

// Each pixel of `small` is the mean of what it covers of `box`, or the brightest of it where that stands out: a star
// must not fade because its picture is small.
void Shrink(cairo_surface_t* picture, const Square& box, cairo_surface_t* small) {
  constexpr int kStandsOut = 40;
  const unsigned char* from = cairo_image_surface_get_data(picture);
  unsigned char* to = cairo_image_surface_get_data(small);
  const int from_stride = cairo_image_surface_get_stride(picture), to_stride = cairo_image_surface_get_stride(small);
  const int size = cairo_image_surface_get_width(small);
  if (from == nullptr || to == nullptr) throw Error(ErrorKind::kResource, "image", "thumbnail", "no memory for it");
  for (int row = 0; row < size; ++row) {
    const int y0 = row * box.height / size, y1 = std::max(y0 + 1, (row + 1) * box.height / size);
    for (int column = 0; column < size; ++column) {
      const int x0 = column * box.width / size, x1 = std::max(x0 + 1, (column + 1) * box.width / size);
      int sum[3] = {0, 0, 0}, brightest = -1;
      const unsigned char* best = nullptr;
      for (int y = y0; y < y1; ++y) {
        for (int x = x0; x < x1; ++x) {
          const unsigned char* pixel =
              from + static_cast<std::ptrdiff_t>(box.y + y) * from_stride + static_cast<std::ptrdiff_t>(box.x + x) * 4;
          const int light = pixel[0] + pixel[1] + pixel[2];
          for (int c = 0; c < 3; ++c) sum[c] += pixel[c];
          if (light > brightest) brightest = light, best = pixel;
        }
      }
      const int n = (y1 - y0) * (x1 - x0);
      const bool star = brightest * n > sum[0] + sum[1] + sum[2] + 3 * kStandsOut * n;
      unsigned char* out = to + static_cast<std::ptrdiff_t>(row) * to_stride + static_cast<std::ptrdiff_t>(column) * 4;
      for (int c = 0; c < 3; ++c) out[c] = star ? best[c] : static_cast<unsigned char>(sum[c] / n);
    }
  }
}

}  // namespace

std::string ThumbnailPng(std::string_view png, int size) {
  CheckHeader(png);
  std::string_view rest = png;
  const Surface picture(cairo_image_surface_create_from_png_stream(ReadSome, &rest));
  if (cairo_surface_status(picture.get()) != CAIRO_STATUS_SUCCESS) throw NoPicture("the PNG is damaged");
  const cairo_format_t format = cairo_image_surface_get_format(picture.get());
  if (format != CAIRO_FORMAT_RGB24 && format != CAIRO_FORMAT_ARGB32) throw NoPicture("expected a PNG of 8-bit colours");
  const int width = cairo_image_surface_get_width(picture.get());
  const int height = cairo_image_surface_get_height(picture.get());
  int x = 0, y = 0, side = std::min(width, height);
  constexpr int kFormerHeight = 1320;  // of pictures made by 0.1; the sky stands where it stood
  if (width == kQuickLookWidth && (height == kQuickLookHeight || height == kFormerHeight)) {
    x = kQuickLookSkyX;
    y = kQuickLookSkyY;
    side = kQuickLookSkySize;
  } else {
    x = (width - side) / 2;
    y = (height - side) / 2;
  }

  const Surface small(cairo_image_surface_create(CAIRO_FORMAT_RGB24, size, size));
  Shrink(picture.get(), {x, y, side, side}, small.get());
  cairo_surface_mark_dirty(small.get());
  return PngOf(small.get(), "thumbnail");
}

}  // namespace contimg::image
