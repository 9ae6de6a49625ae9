#include "image/products/casacore/casacore_image.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "config/error.h"
#include "config/time.h"
#include "config/units.h"
#include "tests/temporary_folder.h"

namespace contimg::image {
namespace {

class CasacoreImageTest : public testing::Test {
 protected:
  CasacoreImageTest() {
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
    header_.object = "drift";
    header_.calibration = {{"2025-10-13T12:00:00_24h.bpcal", "2025-10-13T12:00:00"}};
    header_.software = "contimg test";
    header_.settings_hash = "0123456789abcdef";
    header_.history = {"line one", "line two"};
    pixels_.resize(90 * 60);
    for (std::size_t i = 0; i < pixels_.size(); ++i) pixels_[i] = std::sin(0.37F * static_cast<float>(i));
  }
  ArrayView<const float, 2> view() const { return {pixels_.data(), {60, 90}}; }

  TemporaryFolder temporary_{"casa"};
  const std::filesystem::path folder_ = temporary_.path();
  FitsHeader header_;
  std::vector<float> pixels_;
};

TEST_F(CasacoreImageTest, ReadsBackWhatItWrote) {
  pixels_[17] = std::nanf("");
  header_.geometry.shift_l = 3 * header_.geometry.cell_rad;
  const auto path = folder_ / "tile.image.pbcor";
  WriteCasacoreImage(path, view(), header_);
  EXPECT_TRUE(IsCasacoreImage(path));
  const FitsImage image = ReadCasacoreImage(path);
  ASSERT_EQ(image.pixels.size(), pixels_.size());
  for (std::size_t i = 0; i < pixels_.size(); ++i) {
    if (i == 17) {
      EXPECT_TRUE(std::isnan(image.pixels[i]));
    } else {
      EXPECT_EQ(image.pixels[i], pixels_[i]);
    }
  }
  const FitsHeader& h = image.header;
  EXPECT_NEAR(h.geometry.cell_rad, header_.geometry.cell_rad, 1e-15);
  EXPECT_NEAR(h.geometry.shift_l, header_.geometry.shift_l, 1e-12);
  EXPECT_NEAR(h.geometry.shift_m, 0, 1e-12);
  EXPECT_NEAR(std::remainder(h.centre.ra_rad - header_.centre.ra_rad, 2 * kPi), 0, 1e-13);
  EXPECT_NEAR(h.centre.dec_rad, header_.centre.dec_rad, 1e-13);
  ASSERT_TRUE(h.beam);
  EXPECT_NEAR(h.beam->major_rad, header_.beam->major_rad, 1e-12);
  EXPECT_NEAR(h.beam->angle_rad, header_.beam->angle_rad, 1e-9);
  EXPECT_EQ(h.unit, "Jy/beam");
  EXPECT_NEAR(h.frequency_hz, 1.405e9, 1e-3);
  EXPECT_NEAR(h.bandwidth_hz, 187.5e6, 1e-3);
  EXPECT_EQ(h.telescope, "OVRO_MMA");
  EXPECT_EQ(h.object, "drift");
  EXPECT_EQ(h.settings_hash, "0123456789abcdef");
  EXPECT_NEAR(h.start_mjd_s, header_.start_mjd_s, 1e-3);
  ASSERT_EQ(h.calibration.size(), 1U);
  EXPECT_EQ(h.calibration[0].name, header_.calibration[0].name);
}

TEST_F(CasacoreImageTest, RefusesWhatIsNoImage) {
  EXPECT_FALSE(IsCasacoreImage(folder_));
  EXPECT_FALSE(IsCasacoreImage(folder_ / "none"));
  EXPECT_THROW(ReadCasacoreImage(folder_), Error);
  EXPECT_THROW(ReadCasacoreImage(folder_ / "none"), Error);
  std::filesystem::create_directories(folder_ / "broken");
  std::ofstream(folder_ / "broken" / "table.dat") << "nonsense";
  EXPECT_FALSE(IsCasacoreImage(folder_ / "broken"));
  EXPECT_THROW(ReadCasacoreImage(folder_ / "broken"), Error);
}

TEST_F(CasacoreImageTest, ReportsAnUnwritablePlace) {
  EXPECT_THROW(WriteCasacoreImage("/proc/nowhere/image", view(), header_), Error);
}

}  // namespace
}  // namespace contimg::image
