// Parts of images: the same pixels at the same places of the sky, and what a picture keeps of many.
#include "image/products/fits_part.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <limits>
#include <random>
#include <vector>

#include "config/error.h"
#include "image/plane/sky_coordinates.h"
#include "tests/temporary_folder.h"

namespace contimg::image {
namespace {

class FitsPartTest : public testing::Test {
 protected:
  static constexpr std::size_t kNx = 300, kNy = 220;

  FitsPartTest() : pixels_(kNx * kNy) {
    header_.geometry.nx = kNx;
    header_.geometry.ny = kNy;
    header_.geometry.cell_rad = Angle::Arcsec(3).rad();
    header_.geometry.projection = Projection::kZea;
    header_.geometry.shift_l = 1e-3;
    header_.geometry.shift_m = -2e-3;
    header_.centre = {Angle::Degrees(359.9).rad(), Angle::Degrees(85).rad()};
    header_.unit = "Jy/beam";
    header_.beam = GaussianBeam{Angle::Arcsec(15).rad(), Angle::Arcsec(9).rad(), 0.3};
    header_.frequency_hz = 1.4e9;
    header_.mosaic = MosaicFacts{7, 1, 3e-4};
    header_.history = {"one line", "another"};
    std::mt19937 random(5);
    std::normal_distribution<float> noise(0, 1e-3F);
    for (float& value : pixels_) value = noise(random);
    for (std::size_t y = 0; y < 40; ++y) std::fill_n(pixels_.begin() + static_cast<std::ptrdiff_t>(y * kNx), 90, NAN);
    pixels_[100 * kNx + 201] = 0.5F;
    pixels_[101 * kNx + 31] = -0.4F;
  }
  std::filesystem::path Write(bool rice) {
    const auto path = folder_ / (rice ? "i.fits.fz" : "i.fits");
    WriteFitsImage(RealOs(), path, {pixels_.data(), {kNy, kNx}}, header_, {rice});
    return path;
  }
  // Slow and obvious.
  float Expected(const FitsImage& whole, const PixelPart& part, std::size_t nx, std::size_t ny, std::size_t i,
                 std::size_t j, double keep) const {
    double sum = 0;
    int count = 0;
    float farthest = 0;
    for (std::size_t y = 0; y < part.ny; ++y) {
      if (y * ny / part.ny != j) continue;
      for (std::size_t x = 0; x < part.nx; ++x) {
        if (x * nx / part.nx != i) continue;
        const auto at_x = part.x + static_cast<std::ptrdiff_t>(x), at_y = part.y + static_cast<std::ptrdiff_t>(y);
        if (at_x < 0 || at_y < 0 || at_x >= static_cast<std::ptrdiff_t>(kNx) ||
            at_y >= static_cast<std::ptrdiff_t>(kNy)) {
          continue;
        }
        const float value = whole.view()(static_cast<std::size_t>(at_y), static_cast<std::size_t>(at_x));
        if (std::isnan(value)) continue;
        sum += value;
        ++count;
        if (std::abs(value) > std::abs(farthest)) farthest = value;
      }
    }
    if (count == 0) return NAN;
    return std::abs(farthest) > keep ? farthest : static_cast<float>(sum / count);
  }

  TemporaryFolder folder_{"part"};
  FitsHeader header_;
  std::vector<float> pixels_;
};

TEST_F(FitsPartTest, ReducesByBlocksAndKeepsWhatStandsOut) {
  for (const bool rice : {false, true}) {
    const auto path = Write(rice);
    const FitsImage whole = ReadFitsImage(path);
    for (const PixelPart& part :
         {PixelPart{0, 0, kNx, kNy}, {-50, -40, 200, 200}, {190, 90, 20, 20}, {250, 150, 99, 97}, {5000, 0, 60, 60}}) {
      const ReducedPart reduced = ReadReducedPart(path, part, 48, 5e-3);
      ASSERT_EQ(reduced.nx, std::min<std::size_t>(part.nx, 48));
      ASSERT_EQ(reduced.ny, std::min<std::size_t>(part.ny, 48));
      for (std::size_t j = 0; j < reduced.ny; ++j) {
        for (std::size_t i = 0; i < reduced.nx; ++i) {
          const float found = reduced.view()(j, i),
                      expected = Expected(whole, part, reduced.nx, reduced.ny, i, j, 5e-3);
          ASSERT_EQ(std::isnan(found), std::isnan(expected)) << i << " " << j;
          if (std::isnan(found)) continue;
          ASSERT_FLOAT_EQ(found, expected) << i << " " << j;
        }
      }
    }
    const ReducedPart all = ReadReducedPart(path, {0, 0, kNx, kNy}, 30, 5e-3);
    EXPECT_NEAR(all.view()(100 * 30 / kNy, 201 * 30 / kNx), 0.5, 1e-3);
    EXPECT_NEAR(all.view()(101 * 30 / kNy, 31 * 30 / kNx), -0.4, 1e-3);
  }
}

TEST_F(FitsPartTest, ACutoutIsAnImageOfTheSamePlacesAndCards) {
  for (const bool rice : {false, true}) {
    const auto path = Write(rice);
    const FitsImage whole = ReadFitsImage(path);
    const PixelPart wished{-20, 30, 111, 64};
    const auto cut = folder_ / (rice ? "c.fits" : "d.fits");
    WriteFitsCutout(path, wished, cut);
    const FitsImage part = ReadFitsImage(cut);
    const ImageGeometry& g = part.header.geometry;
    ASSERT_EQ(g.nx, 91U);  // up to the edge
    ASSERT_EQ(g.ny, 64U);
    const ImageGeometry expected = GeometryOfPart(whole.header.geometry, WithinImage(wished, whole.header.geometry));
    EXPECT_NEAR(g.shift_l, expected.shift_l, 1e-15);
    EXPECT_NEAR(g.shift_m, expected.shift_m, 1e-15);
    for (std::size_t y = 0; y < g.ny; ++y) {
      for (std::size_t x = 0; x < g.nx; ++x) {
        const float here = part.view()(y, x), there = whole.view()(y + 30, x);
        ASSERT_TRUE(here == there || (std::isnan(here) && std::isnan(there))) << x << " " << y;
      }
    }
    const DirectionCosines here = PixelToDirection(g, 17, 5), there = PixelToDirection(whole.header.geometry, 17, 35);
    EXPECT_NEAR(here.l, there.l, 1e-15);
    EXPECT_NEAR(here.m, there.m, 1e-15);
    EXPECT_EQ(part.header.centre.ra_rad, whole.header.centre.ra_rad);
    EXPECT_EQ(part.header.beam->minor_rad, whole.header.beam->minor_rad);
    EXPECT_EQ(part.header.mosaic->tiles, 7);
    EXPECT_EQ(part.header.frequency_hz, whole.header.frequency_hz);
    ASSERT_EQ(part.header.history.size(), 3U);
    EXPECT_EQ(part.header.history[1], "another");
    EXPECT_THAT(part.header.history[2], testing::HasSubstr("pixels 1:91,31:94"));
    // The same in memory.
    std::ifstream file(cut, std::ios::binary);
    EXPECT_EQ(FitsCutoutBytes(path, wished), std::string(std::istreambuf_iterator<char>(file), {}));
  }
}

TEST_F(FitsPartTest, WhatIsNotInTheImageIsRefused) {
  const auto path = Write(false);
  for (const PixelPart& part : {PixelPart{400, 0, 10, 10}, {-10, 0, 10, 10}, {0, 0, 0, 0}}) {
    EXPECT_EQ(WithinImage(part, header_.geometry).nx, 0U);
    EXPECT_THROW(FitsCutoutBytes(path, part), Error);
  }
  EXPECT_THROW(FitsCutoutBytes(folder_ / "absent.fits", {0, 0, 4, 4}), Error);
  EXPECT_THROW(ReadReducedPart(folder_ / "absent.fits", {0, 0, 4, 4}, 4, 1), Error);
  std::ofstream(folder_ / "there.fits") << "x";
  EXPECT_THROW(WriteFitsCutout(path, {0, 0, 4, 4}, folder_ / "there.fits"), Error);
}

}  // namespace
}  // namespace contimg::image
