#include "image/quality/canvas.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "config/error.h"
#include "tests/temporary_folder.h"

namespace contimg::image {
namespace {

cairo_status_t TakeBytes(void* rest, unsigned char* data, unsigned int length) {
  auto& bytes = *static_cast<std::string_view*>(rest);
  if (bytes.size() < length) return CAIRO_STATUS_READ_ERROR;
  std::memcpy(data, bytes.data(), length);
  bytes.remove_prefix(length);
  return CAIRO_STATUS_SUCCESS;
}

// Blue, green, red of a pixel as another program reads it.
std::array<int, 3> PixelIn(std::string_view png, int x, int y) {
  cairo_surface_t* picture = cairo_image_surface_create_from_png_stream(TakeBytes, &png);
  EXPECT_EQ(cairo_surface_status(picture), CAIRO_STATUS_SUCCESS);
  const unsigned char* at = cairo_image_surface_get_data(picture) + y * cairo_image_surface_get_stride(picture) + x * 4;
  const std::array<int, 3> colours{at[0], at[1], at[2]};
  cairo_surface_destroy(picture);
  return colours;
}

TEST(Canvas, IsTheSamePngInMemoryAndOnTheDisk) {
  const TemporaryFolder folder("canvas");
  Canvas canvas(37, 21, {0, 0, 0, 1});
  canvas.Fill({5, 3, 8, 4}, {1, 0.2, 0, 1});
  const std::string png = canvas.Png();
  EXPECT_EQ(PixelIn(png, 6, 4), (std::array<int, 3>{0, 51, 255}));
  EXPECT_EQ(PixelIn(png, 36, 20), (std::array<int, 3>{0, 0, 0}));
  canvas.WritePng(folder / "a.png");
  std::ifstream file(folder / "a.png", std::ios::binary);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), png);
  EXPECT_THROW(canvas.WritePng("/proc/nowhere/a.png"), Error);
}

}  // namespace
}  // namespace contimg::image
