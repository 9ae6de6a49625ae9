#include "image/products/fits_image.h"

#include <gtest/gtest.h>
#include <wcslib/wcs.h>
#include <wcslib/wcshdr.h>

#include <cmath>
#include <fstream>
#include <sstream>

#include "config/error.h"
#include "config/time.h"
#include "image/plane/sky_coordinates.h"
#include "tests/temporary_folder.h"

namespace contimg::image {
namespace {

class FitsImageTest : public testing::Test {
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
}

TEST_F(FitsImageTest, WcslibFindsEveryPixelWhereWePutIt) {
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
