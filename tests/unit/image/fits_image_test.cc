#include "image/products/fits_image.h"
#include "image/products/fits_part.h"

#include <gtest/gtest.h>
#include <wcslib/wcs.h>
#include <wcslib/wcshdr.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <limits>
#include <sstream>
#include <utility>
#include <vector>

#include "config/error.h"
#include "config/time.h"
#include "image/plane/sky_coordinates.h"
#include "image/products/fits_frame.h"
#include "tests/temporary_folder.h"

namespace contimg::image {
namespace {

class FitsImageTest : public testing::TestWithParam<Projection> {
 protected:
  FitsImageTest() {
    header_.geometry.nx = 90;
    header_.geometry.ny = 60;
    header_.geometry.cell_rad = Angle::Arcsec(30).rad();
    header_.centre = {Angle::Degrees(343.5).rad(), Angle::Degrees(16.1).rad()};
    header_.unit = "Jy/beam";
    header_.type = "Intensity";
    header_.beam = GaussianBeam{Angle::Arcsec(70).rad(), Angle::Arcsec(65).rad(), Angle::Degrees(33).rad()};
    header_.frequency_hz = 1.405e9;
    header_.bandwidth_hz = 187.5e6;
    header_.start_mjd_s = UtcTime::FromIso8601("2025-10-13T13:28:03").mjd_s();
    header_.end_mjd_s = header_.start_mjd_s + 309.25;
    header_.pointing = PhaseCentre{header_.centre.ra_rad, header_.centre.dec_rad};
    header_.telescope = "OVRO_MMA";
    header_.calibration = {{"2025-10-13T12:00:00_24h.bpcal", "2025-10-13T12:00:00"},
                           {"2025-10-13T13:00:00_1h.gpcal", "2025-10-13T13:00:00"}};
    header_.software = "contimg test";
    header_.settings_hash = "0123456789abcdef";
    header_.history = {"line one", "line two"};
    pixels_.resize(90 * 60);
    for (std::size_t i = 0; i < pixels_.size(); ++i) pixels_[i] = std::sin(0.37F * static_cast<float>(i));
    pixels_[17] = std::nanf("");
  }
  ArrayView<const float, 2> view() const { return {pixels_.data(), {60, 90}}; }

  TemporaryFolder temporary_{"fits"};
  const std::filesystem::path folder_ = temporary_.path();
  FitsHeader header_;
  std::vector<float> pixels_;
};

TEST_F(FitsImageTest, AFrameIsWhatTheHeaderSaysOfItsStructure) {
  for (const bool rice : {false, true}) {
    const auto path = folder_ / (rice ? "f.fits.fz" : "f.fits");
    WriteFitsImage(RealOs(), path, view(), header_, {.rice = rice});
    const FitsFrame frame = ReadFitsFrame(path);
    EXPECT_TRUE(frame.simple);
    EXPECT_EQ(frame.bitpix, -32);
    EXPECT_EQ(frame.axes, rice ? (std::vector<std::int64_t>{90, 60}) : (std::vector<std::int64_t>{90, 60, 1, 1}));
    EXPECT_EQ(frame.bscale, 1);
    EXPECT_EQ(frame.bzero, 0);
    EXPECT_TRUE(frame.extended || !rice);
  }
  std::ofstream(folder_ / "g.fits") << "no image";
  for (const char* bad : {"g.fits", "none.fits"}) EXPECT_THROW(ReadFitsFrame(folder_ / bad), Error) << bad;
}

TEST_F(FitsImageTest, ReadsBackWhatItWrote) {
  const auto path = folder_ / "a.fits";
  WriteFitsImage(RealOs(), path, view(), header_, {});
  EXPECT_EQ(std::filesystem::file_size(path) % 2880, 0U);
  const FitsImage image = ReadFitsImage(path);
  ASSERT_EQ(image.header.geometry.nx, 90U);
  ASSERT_EQ(image.header.geometry.ny, 60U);
  for (std::size_t i = 0; i < pixels_.size(); ++i) {
    if (i == 17) {
      EXPECT_TRUE(std::isnan(image.pixels[i]));
    } else {
      EXPECT_EQ(image.pixels[i], pixels_[i]);
    }
  }
  EXPECT_NEAR(image.header.geometry.cell_rad, header_.geometry.cell_rad, 1e-15);
  EXPECT_NEAR(image.header.centre.ra_rad, header_.centre.ra_rad, 1e-13);
  EXPECT_NEAR(image.header.beam->angle_rad, header_.beam->angle_rad, 1e-12);
  EXPECT_NEAR(image.header.start_mjd_s, header_.start_mjd_s, 1e-4);
  EXPECT_NEAR(image.header.end_mjd_s, header_.end_mjd_s, 1e-4);
  EXPECT_EQ(image.header.unit, "Jy/beam");
  EXPECT_EQ(image.header.telescope, "OVRO_MMA");
  ASSERT_EQ(image.header.calibration.size(), 2U);
  EXPECT_EQ(image.header.calibration[1].name, "2025-10-13T13:00:00_1h.gpcal");
  EXPECT_EQ(image.header.settings_hash, "0123456789abcdef");
  EXPECT_FALSE(image.header.mosaic);
}

TEST_F(FitsImageTest, AMosaicIsKnownAgain) {
  header_.geometry.projection = Projection::kZea;
  header_.mosaic = MosaicFacts{11, 1, 0.0003};
  WriteFitsImage(RealOs(), folder_ / "m.fits", view(), header_, {});
  const FitsHeader header = ReadFitsImage(folder_ / "m.fits").header;
  EXPECT_EQ(header.geometry.projection, Projection::kZea);
  ASSERT_TRUE(header.mosaic);
  EXPECT_EQ(header.mosaic->tiles, 11);
  EXPECT_EQ(header.mosaic->refused, 1);
  EXPECT_DOUBLE_EQ(header.mosaic->rms_jy, 0.0003);
}

TEST_F(FitsImageTest, AnUnknownBandwidthIsNoStepOfNothing) {
  header_.bandwidth_hz = 0;  // of images of other programs, in which case wcslib would find the axes singular
  WriteFitsImage(RealOs(), folder_ / "w.fits", view(), header_, {});
  EXPECT_GT(ReadFitsImage(folder_ / "w.fits").header.bandwidth_hz, 0);
}

TEST_F(FitsImageTest, AThinImageIsEveryNthPixel) {
  header_.geometry.nx = 1300, header_.geometry.ny = 1030;
  std::vector<float> pixels(1300 * 1030);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<float>(i);
  pixels[4 * 1300 + 8] = NAN;
  const ArrayView<const float, 2> view(pixels.data(), {1030, 1300});
  WriteFitsImage(RealOs(), folder_ / "t.fits", view, header_, {});
  const ThinImage thin = ReadThinFitsImage(folder_ / "t.fits"), again = Thinned(ReadFitsImage(folder_ / "t.fits"));
  EXPECT_EQ(thin.step, 4U);
  ASSERT_EQ(thin.nx, 325U);
  ASSERT_EQ(thin.ny, 258U);
  EXPECT_EQ(thin.header.geometry.nx, 1300U);
  for (std::size_t j = 0; j < thin.ny; ++j) {
    for (std::size_t i = 0; i < thin.nx; ++i) {
      const float is = thin.pixels[j * thin.nx + i], same = again.pixels[j * thin.nx + i], be = view(4 * j, 4 * i);
      ASSERT_TRUE((is == be && same == be) || (std::isnan(is) && std::isnan(same) && std::isnan(be))) << i << " " << j;
    }
  }
  WriteFitsImage(RealOs(), folder_ / "t.fits.fz", view, header_, {.rice = true});
  EXPECT_NEAR(ReadThinFitsImage(folder_ / "t.fits.fz").pixels.back(), view(1028, 1296), 2);
  EXPECT_EQ(ThinStep(4800, 4800), 16U);
  EXPECT_EQ(ThinStep(400, 5000), 1U);
}

INSTANTIATE_TEST_SUITE_P(Projections, FitsImageTest, testing::Values(Projection::kSin, Projection::kZea));

TEST_P(FitsImageTest, WcslibFindsEveryPixelWhereWePutIt) {
  header_.geometry.projection = GetParam();
  header_.geometry.cell_rad = Angle::Arcsec(600).rad();  // 15 degrees
  header_.geometry.shift_l = 2.5 * header_.geometry.cell_rad;
  header_.geometry.shift_m = -1.5 * header_.geometry.cell_rad;
  const auto path = folder_ / "b.fits";
  WriteFitsImage(RealOs(), path, view(), header_, {});
  std::ifstream stream(path, std::ios::binary);
  std::stringstream text;
  text << stream.rdbuf();
  std::string bytes = text.str();
  int rejected = 0, n_wcs = 0;
  wcsprm* wcs = nullptr;
  ASSERT_EQ(wcspih(bytes.data(), 72, WCSHDR_all, 0, &rejected, &n_wcs, &wcs), 0);
  ASSERT_GE(n_wcs, 1);
  for (const auto& [x, y] : {std::pair{0, 0}, {89, 59}, {45, 30}, {3, 57}}) {
    double pixel[4] = {x + 1.0, y + 1.0, 1, 1}, image[4], phi, theta, world[4];
    int status[4];
    ASSERT_EQ(wcsp2s(wcs, 1, 4, pixel, image, &phi, &theta, world, status), 0);
    const DirectionCosines at = PixelToDirection(header_.geometry, x, y);
    const SkyDirection sky = DirectionOfCosines(header_.centre, at.l, at.m);
    EXPECT_NEAR(world[0], sky.ra.deg(), 1e-10);
    EXPECT_NEAR(world[1], sky.dec.deg(), 1e-10);
  }
  wcsvfree(&n_wcs, &wcs);
}

TEST_F(FitsImageTest, RiceCompressionKeepsTheNoiseAndIsSmaller) {
  header_.geometry.nx = header_.geometry.ny = 512;
  std::vector<float> noise(512 * 512);
  unsigned state = 1;
  for (float& value : noise) {
    float sum = 0;
    for (int k = 0; k < 12; ++k) sum += static_cast<float>((state = state * 1664525 + 1013904223) >> 8) / 16777216.0F;
    value = 1e-3F * (sum - 6);
  }
  const auto path = folder_ / "c.fits.fz";
  WriteFitsImage(RealOs(), path, {noise.data(), {512, 512}}, header_, {.rice = true});
  EXPECT_LT(std::filesystem::file_size(path), noise.size() * sizeof(float) / 2);
  const FitsImage image = ReadFitsImage(path);
  ASSERT_EQ(image.pixels.size(), noise.size());
  // Steps of sigma/16, dithered.
  for (std::size_t i = 0; i < noise.size(); ++i) ASSERT_NEAR(image.pixels[i], noise[i], 1e-3 / 16);
}

// Otherwise nothing that was made with image.compress could be made again bit for bit.
TEST_F(FitsImageTest, RiceCompressionIsDitheredTheSameEachTime) {
  WriteFitsImage(RealOs(), folder_ / "e.fits.fz", view(), header_, {.rice = true});
  std::ifstream file(folder_ / "e.fits.fz", std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  EXPECT_NE(bytes.find("ZDITHER0=                    1 "), std::string::npos);
}

TEST_F(FitsImageTest, ARiceCopyIsWithinHalfAStepAndKeepsBlanksZerosAndCards) {
  header_.geometry.nx = 256;
  header_.geometry.ny = 200;
  std::vector<float> values(256 * 200);
  unsigned state = 1;
  for (float& value : values) {
    float sum = 0;
    for (int k = 0; k < 12; ++k) sum += static_cast<float>((state = state * 1664525 + 1013904223) >> 8) / 16777216.0F;
    value = 1e-3F * (sum - 6);
  }
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const auto fill = [&](std::size_t x, std::size_t y, std::size_t size, float value) {
    for (std::size_t row = y; row < y + size; ++row) std::fill_n(values.begin() + row * 256 + x, size, value);
  };
  fill(0, 0, 128, nan);        // all of some pieces
  fill(150, 130, 20, nan);     // some of others
  fill(10, 180, 20, 0);        // zeros
  values[256 * 20 + 200] = 5;  // a bright source
  values[256 * 160 + 100] = std::numeric_limits<float>::infinity();
  const auto as_it_is = [](std::size_t x, std::size_t y) {
    return x < 128 ? y < 128 || y == 160 : y >= 130 && y < 150;
  };
  header_.history = {"made by hand"};
  WriteFitsImage(RealOs(), folder_ / "f.fits", {values.data(), {200, 256}}, header_, {});
  const auto copy = WriteRiceCopy(folder_ / "f.fits", folder_ / "f.fits.fz");
  ASSERT_TRUE(copy);
  EXPECT_NEAR(copy->largest_step, 1e-3 / 16, 4e-5);
  // (What reads images takes infinity for a blank.)
  const FitsImage before = ReadFitsImage(folder_ / "f.fits"), after = ReadFitsImage(folder_ / "f.fits.fz");
  std::size_t n_changed = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (std::isnan(before.pixels[i])) {
      ASSERT_TRUE(std::isnan(after.pixels[i])) << i;
    } else if (values[i] == 0 || as_it_is(i % 256, i / 256)) {
      ASSERT_EQ(after.pixels[i], values[i]) << i;
    } else {
      ASSERT_NEAR(after.pixels[i], values[i], copy->largest_step / 2 + 1e-6) << i;
      n_changed += after.pixels[i] == values[i] ? 0 : 1;
    }
  }
  EXPECT_GT(n_changed, values.size() / 2);
  EXPECT_EQ(after.header.history, before.header.history);
  EXPECT_EQ(after.header.frequency_hz, before.header.frequency_hz);
  EXPECT_EQ(after.header.geometry.shift_l, before.header.geometry.shift_l);
  // Nothing of it again, nor of what is compressed or no image.
  EXPECT_FALSE(WriteRiceCopy(folder_ / "f.fits.fz", folder_ / "g.fits.fz"));
  std::ofstream(folder_ / "text.fits") << "no image";
  EXPECT_FALSE(WriteRiceCopy(folder_ / "text.fits", folder_ / "g.fits.fz"));
}

TEST_F(FitsImageTest, ReadsASquareAlone) {
  for (const bool rice : {false, true}) {
    const auto path = folder_ / (rice ? "s.fits.fz" : "s.fits");
    WriteFitsImage(RealOs(), path, view(), header_, {rice});
    EXPECT_EQ(ReadFitsHeader(path).geometry.nx, 90U);
    EXPECT_EQ(ReadFitsHeader(path).history, ReadFitsImage(path).header.history);
    const FitsImage whole = ReadFitsImage(path);
    // Inside, over each edge, over the blank pixel, and beyond.
    for (const auto& [x, y] : std::vector<std::pair<int, int>>{
             {20, 30}, {-3, 5}, {85, 5}, {30, -4}, {30, 55}, {12, 0}, {200, 5}, {-50, -50}}) {
      const std::vector<float> square = ReadFitsPart(path, {x, y, 10, 10});
      ASSERT_EQ(square.size(), 100U);
      for (int row = 0; row < 10; ++row) {
        for (int column = 0; column < 10; ++column) {
          const int at_x = x + column, at_y = y + row;
          const float found = square[static_cast<std::size_t>(10 * row + column)];
          if (at_x < 0 || at_y < 0 || at_x >= 90 || at_y >= 60) {
            EXPECT_TRUE(std::isnan(found));
            continue;
          }
          const float expected = whole.pixels[static_cast<std::size_t>(at_y * 90 + at_x)];
          EXPECT_TRUE(found == expected || (std::isnan(found) && std::isnan(expected))) << at_x << " " << at_y;
        }
      }
    }
  }
  EXPECT_THROW(ReadFitsPart(folder_ / "absent.fits", {0, 0, 4, 4}), Error);
  EXPECT_THROW(ReadFitsHeader(folder_ / "absent.fits"), Error);
}

TEST_F(FitsImageTest, RefusesWhatIsNoSuchImage) {
  const auto path = folder_ / "text.fits";
  std::ofstream(path) << "no image";
  EXPECT_THROW(ReadFitsImage(path), Error);
  try {
    ReadFitsImage(folder_ / "absent.fits");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kIo);
  }
}

TEST_F(FitsImageTest, DoesNotOverwrite) {
  const auto path = folder_ / "d.fits";
  WriteFitsImage(RealOs(), path, view(), header_, {});
  EXPECT_THROW(WriteFitsImage(RealOs(), path, view(), header_, {}), Error);
}

}  // namespace
}  // namespace contimg::image
