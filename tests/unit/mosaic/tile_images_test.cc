#include "mosaic/tile/tile_images.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "config/error.h"
#include "mosaic/tile/edge_distance.h"
#include "mosaic/tile/image_reader.h"
#include "tests/unit/mosaic/made_up_tile.h"

namespace contimg::mosaic {
namespace {

using testing_tile::kCell;
using testing_tile::MadeUpTile;
using testing_tile::MakeTile;

TEST(ImageReader, ReadsABeamBetweenPixels) {
  MadeUpTile tile = MakeTile(128, 10, 16);
  AddSource(tile, {60.37, 61.81, 2});
  const ImageReader reader(tile.image.view(), BandOf(*tile.header.beam, kCell));
  for (double d = 0; d < 9; d += 0.37) {
    EXPECT_NEAR(reader.At(60.37 + d, 61.81 - d / 2), 2 * testing_tile::BeamValue(*tile.header.beam, d, -d / 2), 2e-4);
  }
  EXPECT_FLOAT_EQ(reader.At(std::vector<image::PixelPosition>{{60.37, 61.81}})[0], reader.At(60.37, 61.81));
  const ImageReader::Shape peak = reader.ShapeAt(60.37, 61.81);
  EXPECT_NEAR(peak.gx, 0, 1e-3);
  EXPECT_NEAR(peak.gy, 0, 1e-3);
  const double h = 0.05;  // −∂²/∂x² of the formula
  const auto value = [&](double x, double y) { return 2 * testing_tile::BeamValue(*tile.header.beam, x, y); };
  EXPECT_NEAR(peak.hxx, (value(h, 0) - 2 * value(0, 0) + value(-h, 0)) / (h * h), 2e-3);
  EXPECT_NEAR(peak.hyy, (value(0, h) - 2 * value(0, 0) + value(0, -h)) / (h * h), 2e-3);
  EXPECT_NEAR(peak.hxy, (value(h, h) - value(h, -h) - value(-h, h) + value(-h, -h)) / (4 * h * h), 2e-3);
}

// A beam of three pixels holds frequencies that 8 taps do not carry.
TEST(ImageReader, ABeamOfThreePixelsIsReadToo) {
  MadeUpTile tile = MakeTile(64, 10, 16);
  tile.header.beam = image::GaussianBeam{4 * kCell, 3 * kCell, 0};
  AddSource(tile, {30.5, 30.5, 1});
  const ImageReader reader(tile.image.view(), BandOf(*tile.header.beam, kCell));
  EXPECT_NEAR(reader.At(30.5, 30.5), 1, 1e-3);
  // Beside it there is nothing of it: taps that end on a source do not show it elsewhere.
  for (double d = -14; d <= 14; d += 0.37) {
    EXPECT_NEAR(reader.At(30.5 + d, 30.5), testing_tile::BeamValue(*tile.header.beam, d, 0), 1e-3) << d;
    EXPECT_NEAR(reader.At(30.5, 30.5 + d), testing_tile::BeamValue(*tile.header.beam, 0, d), 1e-3) << d;
  }
}

// The error that is told is the error that is made.
TEST(SourceError, IsWhatIsReadOfASource) {
  for (const double width : {2.4, 2.8, 4.0, 5.3, 9.6}) {
    const image::GaussianBeam beam{width * kCell, width * kCell, 0};
    const double band = BandOf(beam, kCell);
    double worst = 0;
    for (const double place : {32.0, 32.125, 32.25, 32.375, 32.5}) {
      MadeUpTile tile = MakeTile(64, 10, 16);
      tile.header.beam = beam;
      AddSource(tile, {place, 32, 1});
      const ImageReader reader(tile.image.view(), band);
      for (double x = 8; x < 56; x += 0.0625) {
        worst = std::max(worst, std::abs(reader.At(x, 32) - testing_tile::BeamValue(beam, x - place, 0)));
      }
    }
    const double told = SourceError(image::BandlimitedInterpolator(band, 1e-4), beam, kCell);
    EXPECT_NEAR(worst, told, 0.1 * told + 2e-6) << width;
  }
}

TEST(ImageReader, OutsideAndBlankAreBlank) {
  MadeUpTile tile = MakeTile(64, 10, 16);
  AddSource(tile, {30, 30, 1});
  tile.image.view()(40, 40) = std::numeric_limits<float>::quiet_NaN();
  const ImageReader reader(tile.image.view(), 0.2);
  EXPECT_TRUE(std::isnan(reader.At(-0.01, 30)));
  EXPECT_TRUE(std::isnan(reader.At(30, 63.01)));
  EXPECT_TRUE(std::isnan(reader.At(38.5, 40.2)));
  EXPECT_FALSE(std::isnan(reader.At(30, 30)));
}

TEST(TileImages, RightAscensionZeroAndPoleArePlacesLikeOthers) {
  for (const auto& [ra, dec] : {std::pair{0.0, 16.0}, {359.999, -30.0}, {123.0, 89.9}, {10.0, -89.99}}) {
    const MadeUpTile tile = MakeTile(1024, ra, dec);
    for (const auto& [x, y] : {std::pair{512.0, 512.0}, {3.25, 800.5}, {1000.0, 20.0}, {700.0, 511.0}}) {
      const SkyDirection direction = DirectionOf(tile.header, x, y);
      EXPECT_GE(direction.ra.deg(), 0);
      EXPECT_LT(direction.ra.deg(), 360);
      const auto back = PixelOf(tile.header, direction);
      ASSERT_TRUE(back);
      EXPECT_NEAR(back->x, x, 1e-5);
      EXPECT_NEAR(back->y, y, 1e-5);
    }
  }
  // East is to the left on both sides of 0 h.
  const MadeUpTile tile = MakeTile(1024, 0, 16);
  EXPECT_LT(PixelOf(tile.header, {Angle::Degrees(0.1), Angle::Degrees(16)})->x, 512);
  EXPECT_GT(PixelOf(tile.header, {Angle::Degrees(359.9), Angle::Degrees(16)})->x, 512);
  EXPECT_FALSE(PixelOf(tile.header, {Angle::Degrees(180), Angle::Degrees(-16)}));
}

TEST(TileImages, ResponseIsPrimaryBeamTimesSmearing) {
  MadeUpTile tile = MakeTile(64, 10, 16);
  for (std::size_t y = 0; y < 64; ++y) {
    for (std::size_t x = 0; x < 64; ++x) tile.pb.view()(y, x) = static_cast<float>(0.01 * static_cast<double>(x));
  }
  image::Plane smear(64, 64);
  for (float& v : smear.pixels) v = 0.5F;
  TileImages images = tile.images();
  EXPECT_NEAR(ResponseAt(images, 20.5, 30), 0.205, 1e-6);
  images.smear = smear.view();
  EXPECT_NEAR(ResponseAt(images, 20.5, 30), 0.1025, 1e-6);
  images.pb = images.smear = {};
  EXPECT_EQ(ResponseAt(images, 20.5, 30), 1);
}

TEST(TileImages, WhatIsNoRestoredImageIsRefused) {
  const auto refused = [](const MadeUpTile& tile, const TileImages& images) {
    try {
      CheckTileImages(images, "x.image.fits");
    } catch (const Error& error) {
      return error.kind() == ErrorKind::kBadInput && error.subject() == "x.image.fits";
    }
    return false && tile.header.unit.empty();
  };
  MadeUpTile tile = MakeTile(64, 10, 16);
  EXPECT_FALSE(refused(tile, tile.images()));
  tile.header.beam.reset();  // the beam is missing
  EXPECT_TRUE(refused(tile, tile.images()));
  tile = MakeTile(64, 10, 16);
  tile.header.unit = "Jy/pixel";
  EXPECT_TRUE(refused(tile, tile.images()));
  tile.header.unit = "JY/BEAM";
  EXPECT_FALSE(refused(tile, tile.images()));
  tile.header.beam = image::GaussianBeam{9 * kCell, 0.5 * kCell, 0};
  EXPECT_TRUE(refused(tile, tile.images()));
  tile.header.beam = image::GaussianBeam{90 * kCell, 5 * kCell, 0};
  EXPECT_TRUE(refused(tile, tile.images()));
  tile.header.beam = image::GaussianBeam{5 * kCell, 9 * kCell, 0};
  EXPECT_TRUE(refused(tile, tile.images()));
  tile = MakeTile(64, 10, 16);
  const image::Plane other(32, 64);
  TileImages images = tile.images();
  images.residual = other.view();
  EXPECT_TRUE(refused(tile, images));
}

TEST(EdgeDistance, IsToTheBorderOrTheNearestBlank) {
  MadeUpTile tile = MakeTile(600, 10, 16);
  const BeamPixels beam(*tile.header.beam, kCell);
  EXPECT_NEAR(EdgeBeams(tile.image.view(), beam, 17.8, 300), 1, 1e-9);
  EXPECT_EQ(EdgeBeams(tile.image.view(), beam, 300, 300), kFarFromEdge);
  for (std::size_t y = 280; y < 600; ++y) {
    for (std::size_t x = 0; x < 600; ++x) tile.image.view()(y, x) = std::numeric_limits<float>::quiet_NaN();
  }
  EXPECT_NEAR(EdgeBeams(tile.image.view(), beam, 300, 260), 20 / 17.8, 0.15);
}

}  // namespace
}  // namespace contimg::mosaic
