// Any place of an image: the square about it, what the images say there, the picture of it.
#include "mosaic/map/map_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "config/error.h"
#include "config/os.h"
#include "tests/temporary_folder.h"

namespace contimg::mosaic {
namespace {

using testing::HasSubstr;

image::FitsHeader HeaderAt(double ra_deg, double dec_deg, image::Projection projection, std::size_t nx = 1200,
                           std::size_t ny = 800) {
  image::FitsHeader header;
  header.geometry.nx = nx;
  header.geometry.ny = ny;
  header.geometry.cell_rad = Angle::Arcsec(6).rad();
  header.geometry.projection = projection;
  header.geometry.shift_l = Angle::Degrees(0.3).rad();
  header.centre = {Angle::Degrees(ra_deg).rad(), Angle::Degrees(dec_deg).rad()};
  header.unit = "Jy/beam";
  header.beam = image::GaussianBeam{Angle::Arcsec(36).rad(), Angle::Arcsec(20).rad(), 0.4};
  return header;
}

SkyDirection Degrees(double ra, double dec) { return {Angle::Degrees(ra), Angle::Degrees(dec)}; }

std::string RefusalOf(const image::FitsHeader& header, const SkyDirection& place, Angle size) {
  try {
    SquareAbout(header, "x.image.fits", place, size);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    return error.what();
  }
  return "";
}

TEST(MapView, ASquareLiesAboutItsPlaceOverHourZeroAndAtThePole) {
  for (const image::Projection projection : {image::Projection::kZea, image::Projection::kSin}) {
    for (const auto& [ra, dec] : {std::pair{0.0, 16.0}, {359.9, 16.0}, {120.0, 85.0}, {10.0, 89.9}, {200.0, -89.9}}) {
      const image::FitsHeader header = HeaderAt(ra, dec, projection);
      const GridAxes whole({header.centre, header.geometry});
      for (const auto& [x, y] : {std::pair{600.0, 400.0}, {3.3, 7.7}, {1190.0, 790.6}}) {
        const auto there = whole.DirectionAt(x, y);
        ASSERT_TRUE(there);
        const PhaseCentre at = DirectionOfVector(*there);
        const SkyDirection place{Angle::Radians(at.ra_rad), Angle::Radians(at.dec_rad)};
        const MapSquare square = SquareAbout(header, "", place, Angle::Arcsec(6 * 301));
        EXPECT_EQ(square.part.nx, 302U);  // even, and no smaller by more than a pixel
        EXPECT_EQ(square.part.ny, 302U);
        const auto middle = square.DirectionAt(0.5, 0.5), corner = square.DirectionAt(0, 0);
        ASSERT_TRUE(middle && corner);
        EXPECT_LT(Separation(*middle, place).arcsec(), 6 * std::sqrt(2.0) + 0.01);  // a pixel beside it at most
        // Right and up of the picture are those of the image.
        const auto in_whole = whole.PixelAt(UnitVector({corner->ra.rad(), corner->dec.rad()}));
        ASSERT_TRUE(in_whole);
        EXPECT_NEAR(in_whole->x, static_cast<double>(square.part.x) - 0.5, 1e-6);
        EXPECT_NEAR(in_whole->y, static_cast<double>(square.part.y) + 301.5, 1e-6);
        for (const auto& [u, v] : {std::pair{0.2, 0.9}, {0.77, 0.01}, {0.5, 0.5}}) {
          const auto direction = square.DirectionAt(u, v);
          ASSERT_TRUE(direction);
          const auto back = square.PlaceOf(*direction);
          ASSERT_TRUE(back);
          EXPECT_NEAR((*back)[0], u, 1e-9);
          EXPECT_NEAR((*back)[1], v, 1e-9);
        }
      }
    }
  }
}

TEST(MapView, PlacesAndSizesThatAnImageDoesNotHaveAreRefusedInOneSentence) {
  const image::FitsHeader header = HeaderAt(0, 16, image::Projection::kZea);
  for (const SkyDirection& place : {Degrees(0.3, 18), Degrees(180, -16), Degrees(3, 16), Degrees(NAN, NAN)}) {
    EXPECT_THAT(RefusalOf(header, place, Angle::Degrees(0.1)), HasSubstr("expected a place in the image"));
  }
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double size : {7.1, 1e9, infinity, std::nan(""), 0.0, -1.0}) {
    EXPECT_THAT(RefusalOf(header, Degrees(0.3, 16), Angle::Degrees(size)),
                HasSubstr("expected a size of at most 7 deg"));
  }
  EXPECT_EQ(RefusalOf(header, Degrees(0.3, 16), Angle::Degrees(7)), "");
  EXPECT_EQ(SquareAbout(header, "", Degrees(0.3, 16), Angle::Arcsec(1)).part.nx, kFewestMapPixels);
  image::FitsHeader fine = header;
  fine.geometry.cell_rad = Angle::Arcsec(1).rad();
  EXPECT_THAT(RefusalOf(fine, Degrees(0.3, 16), Angle::Degrees(2)), HasSubstr("6000 pixels"));
  EXPECT_NEAR(MiddleOfImage(header).dec.deg(), 16, 1e-3);
}

class MapFilesTest : public testing::Test {
 protected:
  // A source of 0.2 Jy a third of a pixel beside pixel (700, 300), noise, blank to the left of 100.
  void Write(const std::string& kind, double source, double noise, double level = 0) {
    std::mt19937 random(7);
    std::normal_distribution<double> draw(0, 1);
    const image::ImageGeometry& g = header_.geometry;
    std::vector<float> pixels(g.nx * g.ny);
    for (std::size_t y = 0; y < g.ny; ++y) {
      for (std::size_t x = 0; x < g.nx; ++x) {
        const double dx = static_cast<double>(x) - 700.33, dy = static_cast<double>(y) - 300;
        const bool near = std::hypot(dx, dy) < 30;
        const double beam = near ? header_.beam->Value(-dx * g.cell_rad, dy * g.cell_rad) : 0;
        pixels[y * g.nx + x] = x < 100 ? NAN : static_cast<float>(source * beam + noise * draw(random) + level);
      }
    }
    image::FitsHeader header = header_;
    if (kind == "weight") header.unit = "beam2/Jy2";
    image::WriteFitsImage(RealOs(), folder_ / ("m." + kind + ".fits"), {pixels.data(), {g.ny, g.nx}}, header, {});
  }
  SkyDirection At(double x, double y) const {
    const PhaseCentre at = DirectionOfVector(*GridAxes({header_.centre, header_.geometry}).DirectionAt(x, y));
    return {Angle::Radians(at.ra_rad), Angle::Radians(at.dec_rad)};
  }

  image::FitsHeader header_ = HeaderAt(0, 16, image::Projection::kZea);
  TemporaryFolder folder_{"map"};
};

TEST_F(MapFilesTest, SayWhatIsAtAPlace) {
  Write("image", 0.2, 1e-4);
  Write("residual", 0, 1e-3);
  NamedMap map = MapOfName(folder_ / "m");
  EXPECT_EQ(map.files.size(), 2U);
  const PlaceFigures tile = FiguresAt(map.files, At(700.33, 300));
  EXPECT_NEAR(tile.values.at(MapLayer::kImage), 0.2, 1e-3);  // between pixels
  EXPECT_NEAR(*tile.noise_jy, 1e-3, 1e-4);
  // Of a mosaic the noise is its rms map's.
  Write("rms", 0, 0, 4e-4);
  Write("weight", 0, 0, 6.25e6);
  map = MapOfName(folder_ / "m.image.fits");
  EXPECT_EQ(map.files.size(), 4U);
  const PlaceFigures mosaic = FiguresAt(map.files, At(700.33, 300));
  EXPECT_NEAR(*mosaic.noise_jy, 4e-4, 1e-8);
  EXPECT_NEAR(mosaic.values.at(MapLayer::kWeight), 6.25e6, 1);
  const PlaceFigures blank = FiguresAt(map.files, At(40, 300));
  EXPECT_TRUE(blank.values.empty());
  EXPECT_FALSE(FiguresAt(map.files, Degrees(90, 0)).noise_jy);
  // Divided by the primary beam, the noise is so, too.
  EXPECT_FALSE(NoiseOfLayer(mosaic, MapLayer::kCorrected));
  PlaceFigures with_response = mosaic;
  with_response.values[MapLayer::kResponse] = 0.5;
  EXPECT_NEAR(*NoiseOfLayer(with_response, MapLayer::kCorrected), 8e-4, 1e-8);
}

TEST_F(MapFilesTest, AreFoundByTheirNames) {
  Write("image", 0, 1e-3);
  Write("residual", 0, 1e-3);
  EXPECT_EQ(MapOfName(folder_ / "m").layer, MapLayer::kImage);
  EXPECT_EQ(MapOfName(folder_ / "m.residual.fits").layer, MapLayer::kResidual);
  EXPECT_EQ(MapOfName(folder_ / "m.residual.fits").files.size(), 2U);
  std::filesystem::rename(folder_ / "m.residual.fits", folder_ / "other.fits");
  const NamedMap alone = MapOfName(folder_ / "other.fits");
  EXPECT_EQ(alone.layer, MapLayer::kImage);
  EXPECT_EQ(alone.files.size(), 1U);
  EXPECT_THROW(MapOfName(folder_ / "absent"), Error);
  std::filesystem::create_directories(folder_ / "c.image");
  EXPECT_THROW(MapOfName(folder_ / "c"), Error);
}

// Width and height that a PNG has.
std::pair<int, int> SizeOfPng(const std::string& png) {
  const auto number = [&](std::size_t at) {
    int value = 0;
    for (std::size_t i = 0; i < 4; ++i) value = 256 * value + static_cast<unsigned char>(png[at + i]);
    return value;
  };
  EXPECT_EQ(png.substr(1, 3), "PNG");
  return {number(16), number(20)};
}

TEST_F(MapFilesTest, HaveAPictureOfEveryKindPlaceAndSize) {
  Write("image", 0.2, 1e-3);
  Write("residual", 0, 1e-3);
  Write("rms", 0, 0, 4e-4);
  Write("weight", 0, 0, 6.25e6);
  const NamedMap map = MapOfName(folder_ / "m");
  MapPicture picture;
  picture.marks = {{At(700, 300), "DSA J000000.0+160000"}, {At(705, 300), "beside it"}, {Degrees(90, 90), "elsewhere"}};
  for (const auto& [layer, path] : map.files) {
    picture.layer = layer;
    for (const SkyDirection& place : {At(700, 300), At(20, 20)}) {
      for (const double size : {0.005, 7.0}) {
        picture.noise_jy = size > 1 ? std::optional<double>() : 1e-3;
        picture.names = size < 1;
        const MapSquare square = SquareAbout(header_, path, place, Angle::Degrees(size));
        EXPECT_EQ(SizeOfPng(MapPng(path, square, picture)), std::pair(720, 750));
      }
    }
  }
  picture.side_px = 340;
  picture.scale = 2;
  picture.layer = MapLayer::kImage;
  const MapSquare square = SquareAbout(header_, "", At(700, 300), Angle::Degrees(0.3));
  const std::string small = MapPng(map.files.at(MapLayer::kImage), square, picture);
  EXPECT_EQ(SizeOfPng(small), std::pair(340, 400));
  picture.marks.clear();
  EXPECT_NE(MapPng(map.files.at(MapLayer::kImage), square, picture), small);
}

}  // namespace
}  // namespace contimg::mosaic
