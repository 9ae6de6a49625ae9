// Images of other programs: their pixels are put where their headers have them, or they are refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "config/error.h"
#include "image/products/fits_frame.h"
#include "image/products/fits_image.h"
#include "tests/temporary_folder.h"

namespace contimg::image {
namespace {

using testing::HasSubstr;

class FitsAxesTest : public testing::Test {
 protected:
  FitsAxesTest() {
    header_.geometry.nx = header_.geometry.ny = 40;
    header_.geometry.cell_rad = Angle::Arcsec(6).rad();
    header_.centre = {Angle::Degrees(10).rad(), Angle::Degrees(54).rad()};
    header_.frequency_hz = 1.4e9;
    header_.bandwidth_hz = 1e8;
    header_.history.assign(12, "room for a card");
    pixels_.assign(40 * 40, 1);
    WriteFitsImage(RealOs(), path_, {pixels_.data(), {40, 40}}, header_, {});
    std::ifstream file(path_, std::ios::binary);
    plain_.assign(std::istreambuf_iterator<char>(file), {});
  }

  // The image with these cards, KEY=VALUE, in place of its own; an empty value takes the card away.
  void Write(const std::vector<std::string>& cards) {
    std::string text = plain_;
    for (const std::string& each : cards) {
      const std::size_t equals = each.find('=');
      std::string key = each.substr(0, equals);
      key.resize(8, ' ');
      std::string card = key + "= " + each.substr(equals + 1);
      if (equals + 1 == each.size()) card = "COMMENT";
      card.resize(80, ' ');
      std::size_t at = text.find(key + "=");
      if (at == std::string::npos || at % 80 != 0) at = text.find("HISTORY room for a card");
      text.replace(at, 80, card);
    }
    std::ofstream(path_, std::ios::binary) << text;
  }
  FitsHeader Read(const std::vector<std::string>& cards) {
    Write(cards);
    return ReadFitsHeader(path_);
  }
  std::string Refusal(const std::vector<std::string>& cards) {
    try {
      Read(cards);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
      EXPECT_EQ(error.subject(), path_.string());
      return error.message();
    }
    return "none";
  }

  TemporaryFolder folder_{"axes"};
  const std::filesystem::path path_ = folder_ / "a.fits";
  FitsHeader header_;
  std::vector<float> pixels_;
  std::string plain_;
};

TEST_F(FitsAxesTest, WhatIsTurnedSlantedOrOfAnotherFrameIsRefused) {
  for (const char* card : {"CROTA2=30.0", "PC1_2=0.5", "PC2_1=-1E-3", "PC001002=0.5", "PV2_1=0.1", "PV2_2=0.2",
                           "PV1_2=80.0", "LONPOLE=90.0", "CD1_2=0.0003"}) {
    EXPECT_THAT(Refusal({card}), HasSubstr("north up")) << card;
  }
  EXPECT_THAT(Refusal({"RADESYS='FK4'", "EQUINOX=1950.0"}), HasSubstr("found RADESYS 'FK4' and equinox 1950"));
  EXPECT_THAT(Refusal({"RADESYS='GAPPT'"}), HasSubstr("ICRS"));
  EXPECT_THAT(Refusal({"RADESYS=", "EPOCH=1950.0"}), HasSubstr("equinox 1950"));
  EXPECT_THAT(Refusal({"CUNIT1='arcsec'"}), HasSubstr("expected CUNIT1 'deg', found 'arcsec'"));
  EXPECT_THAT(Refusal({"CTYPE1='GLON-SIN'"}), HasSubstr("GLON-SIN"));
  EXPECT_THAT(Refusal({"CDELT1=0.0016666"}), HasSubstr("right ascension to the left"));
  // At the pole an image without LONPOLE is another one.
  EXPECT_THAT(Refusal({"CRVAL2=90.0", "LONPOLE="}), HasSubstr("LONPOLE = 0"));
}

TEST_F(FitsAxesTest, WhatIsNoPlaceIsRefused) {
  for (const char* key : {"CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2", "CDELT1", "CDELT2"}) {
    EXPECT_THAT(Refusal({std::string(key) + "="}), HasSubstr(std::string("expected a number in ") + key));
    EXPECT_THAT(Refusal({std::string(key) + "='nan'"}), HasSubstr(key));
  }
  EXPECT_THAT(Refusal({"CRVAL1=1E308"}), HasSubstr("expected a place on the sky"));
  EXPECT_THAT(Refusal({"CRVAL2=200.0"}), HasSubstr("200 degrees"));
  EXPECT_THAT(Refusal({"CRPIX1=1E300"}), HasSubstr("horizon"));
  EXPECT_THAT(Refusal({"CRPIX1=100000.0"}), HasSubstr("horizon"));
  EXPECT_THAT(Refusal({"NAXIS1=                    0"}), HasSubstr("0 by 40 pixels"));
}

TEST_F(FitsAxesTest, OtherSpellingsOfTheSameAreRead) {
  const FitsHeader plain = Read({});
  const double cell = Angle::Radians(plain.geometry.cell_rad).deg();
  const std::string step = std::to_string(cell * 1e6) + "E-6";
  for (const std::vector<std::string>& cards : {std::vector<std::string>{"RADESYS='FK5'", "EQUINOX=2000.0"},
                                                {"RADESYS=", "EQUINOX=2000.0"},
                                                {"RADESYS="},
                                                {"CROTA1=0.0", "CROTA2=0.0", "PV2_1=0.0", "PV2_2=0.0"},
                                                {"PC1_1=1.0", "PC1_2=0.0", "PC2_1=0.0", "PC2_2=1.0"},
                                                {"CUNIT1='degree'", "LONPOLE="},
                                                {"CD1_1=-" + step, "CD2_2=" + step, "CDELT1=", "CDELT2="},
                                                {"PC1_1=-" + step, "PC2_2=" + step, "CDELT1=1.0", "CDELT2=1.0"}}) {
    const FitsHeader header = Read(cards);
    EXPECT_NEAR(header.geometry.cell_rad / plain.geometry.cell_rad, 1, 1e-6) << cards.front();
    EXPECT_EQ(header.centre.ra_rad, plain.centre.ra_rad);
    EXPECT_NEAR(header.geometry.shift_l, 0, 1e-12);
  }
}

TEST_F(FitsAxesTest, TheFrequencyIsThatOfTheAxisWhichHasIt) {
  EXPECT_EQ(Read({}).frequency_hz, 1.4e9);
  const std::vector<std::string> casa{"CTYPE3='STOKES'", "CRVAL3=1.0",   "CDELT3=1.0",   "CUNIT3=''",
                                      "CTYPE4='FREQ'",   "CRVAL4=1.3E9", "CDELT4=2.0E8", "CUNIT4='Hz'"};
  EXPECT_EQ(Read(casa).frequency_hz, 1.3e9);
  EXPECT_EQ(Read(casa).bandwidth_hz, 2e8);
  EXPECT_EQ(Read({"CRPIX3=0.0"}).frequency_hz, 1.5e9) << "of the first plane";
  EXPECT_EQ(Read({"CTYPE3='VRAD'"}).frequency_hz, 0) << "velocities are no frequencies";
  EXPECT_EQ(Read({"CTYPE3=", "RESTFRQ=", "RESTFREQ=1.42E9"}).frequency_hz, 1.42e9);
  EXPECT_EQ(Read({"CRVAL3=1.0E300"}).frequency_hz, 0);
  EXPECT_EQ(Read({"CRVAL3=-1.4E9"}).frequency_hz, 0);
  EXPECT_THAT(Refusal({"CUNIT3='GHz'", "CRVAL3=1.4"}), HasSubstr("expected CUNIT3 'hz', found 'GHz'"));
}

TEST_F(FitsAxesTest, WhatIsNotStokesIIsRefused) {
  EXPECT_THAT(Refusal({"CRVAL4=2.0"}),
              HasSubstr("Stokes I (1 on the axis STOKES), found CRVAL4 = 2, which makes the first "
                        "plane 2 (Q)"));
  EXPECT_THAT(Refusal({"CRVAL4=-5.0"}), HasSubstr("-5 (XX)"));
  EXPECT_THAT(Refusal({"CRVAL4=9.0"}), HasSubstr("plane 9;"));
  EXPECT_THAT(Refusal({"CTYPE3='STOKES'", "CRVAL3=4.0", "CTYPE4='FREQ'", "CUNIT4='Hz'"}), HasSubstr("CRVAL3 = 4"));
  EXPECT_THAT(Refusal({"CRPIX4=0.0"}), HasSubstr("CRVAL4 = 1, which makes the first plane 2 (Q)"));
  EXPECT_EQ(Read({"CRVAL4=2.0", "CRPIX4=2.0"}).frequency_hz, 1.4e9) << "Q is the second plane";
  EXPECT_EQ(Read({"CRVAL4="}).frequency_hz, 1.4e9);
}

TEST_F(FitsAxesTest, TimesOfNoTelescopeAreNone) {
  EXPECT_EQ(Read({"MJD-BEG=60961.5", "MJD-END=60961.6"}).end_mjd_s, 60961.6 * 86400);
  EXPECT_EQ(Read({"MJD-BEG=1E300", "MJD-END=1E300"}).start_mjd_s, 0);
  EXPECT_EQ(Read({"MJD-BEG=-1E9"}).start_mjd_s, 0);
  EXPECT_EQ(Read({"MJD-BEG=60961.5", "MJD-END=60900.5"}).end_mjd_s, 0);
}

TEST_F(FitsAxesTest, AnAngleIsOneOfATurnOrTwo) {
  const auto degrees = [this](const char* card) {
    return Angle::Radians(Read({"BMAJ=0.01", "BMIN=0.005", card}).beam->angle_rad).deg();
  };
  EXPECT_NEAR(degrees("BPA=93.0"), 93, 1e-9);
  EXPECT_NEAR(degrees("BPA=-90.0"), -90, 1e-9);
  EXPECT_NEAR(degrees("BPA=18030.0"), 30, 1e-9);
  EXPECT_LE(std::abs(degrees("BPA=1E308")), 90);
}

// Before memory is asked for; and nobody waits for a pipe.
TEST_F(FitsAxesTest, WhatIsNotWholeOrNoFileIsRefused) {
  Write({"NAXIS1=          40000000000"});
  for (const auto& read : {+[](const std::filesystem::path& path) { ReadFitsImage(path); },
                           +[](const std::filesystem::path& path) { ReadThinFitsImage(path); },
                           +[](const std::filesystem::path& path) { ReadFitsHeader(path); }}) {
    try {
      read(path_);
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
      EXPECT_THAT(error.message(), HasSubstr("it is cut off"));
    }
  }
  const std::filesystem::path pipe = folder_ / "pipe.fits";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THROW(ReadFitsHeader(pipe), Error);
  EXPECT_THROW(ReadFitsFrame(pipe), Error);
}

}  // namespace
}  // namespace contimg::image
