#include "image/clean/clean_masks.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "image/plane/sky_coordinates.h"

namespace contimg::image {
namespace {

const PhaseCentre kCentre{1.2, 0.4};

ImageGeometry Slant() {
  ImageGeometry g;
  g.nx = 128;
  g.ny = 96;
  g.cell_rad = 2e-3;
  g.slant_a = 0.1;
  g.slant_b = -0.4;
  return g;
}

TEST(MaskFromCatalogue, CoversDiscsAboutTheSources) {
  std::vector<std::uint8_t> mask(96 * 128, 0);
  const double l = 0.05, m = -0.04;
  const std::vector<CatalogueSource> sources = {{DirectionOfCosines(kCentre, l, m), 1.0}};
  MaskFromCatalogue(sources, 4.1 * 2e-3, Slant(), kCentre, {mask.data(), {96, 128}});
  const PixelPosition at = DirectionToPixel(Slant(), l, m);
  for (std::size_t y = 0; y < 96; ++y) {
    for (std::size_t x = 0; x < 128; ++x) {
      const double distance = std::hypot(static_cast<double>(x) - at.x, static_cast<double>(y) - at.y);
      EXPECT_EQ(mask[y * 128 + x], distance <= 4.1 ? 1 : 0);
    }
  }
}

TEST(MaskFromImage, LooksUpTheSkyOfAnotherPhaseCentre) {
  FitsImage fits;
  fits.header.geometry.nx = fits.header.geometry.ny = 100;
  fits.header.geometry.cell_rad = 3e-3;
  fits.header.centre = {1.23, 0.41};
  fits.pixels = Buffer<float>(100 * 100);
  fits.pixels[40 * 100 + 70] = 1;
  fits.pixels[41 * 100 + 70] = std::nanf("");
  std::vector<std::uint8_t> mask(96 * 128, 7);
  MaskFromImage(fits, Slant(), kCentre, {mask.data(), {96, 128}}, 2);
  std::size_t set = 0;
  for (std::size_t y = 0; y < 96; ++y) {
    for (std::size_t x = 0; x < 128; ++x) {
      if (mask[y * 128 + x] == 0) continue;
      ASSERT_EQ(mask[y * 128 + x], 1);
      ++set;
      const DirectionCosines here = PixelToDirection(Slant(), static_cast<double>(x), static_cast<double>(y));
      const auto there = CosinesOfDirection(fits.header.centre, DirectionOfCosines(kCentre, here.l, here.m));
      const PixelPosition p = DirectionToPixel(fits.header.geometry, there->l, there->m);
      EXPECT_LE(std::abs(p.x - 70), 0.51);
      EXPECT_LE(std::abs(p.y - 40), 0.51);
    }
  }
  // One pixel of 3e-3 holds 2.25 of 2e-3.
  EXPECT_GE(set, 1U);
  EXPECT_LE(set, 4U);
}

}  // namespace
}  // namespace contimg::image
