#include "convert/frames.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>

#include "config/error.h"
#include "config/units.h"
#include "tests/temporary_folder.h"

namespace contimg::convert {
namespace {

const UtcTime kTime = UtcTime::FromIso8601("2025-10-13T13:30:00");

TEST(SkyFrame, ReturnsToTheIcrsDirectionItCameFrom) {
  const SkyFrame frame(kTime, {});
  for (const double dec_deg : {-20.0, 16.0, 37.2, 54.6, 72.0, 88.0}) {
    for (const double ra_deg : {0.001, 123.4, 359.999}) {
      const PhaseCentre back =
          frame.IcrsOfItrf(frame.ItrfOfIcrs(Angle::Degrees(ra_deg).rad(), Angle::Degrees(dec_deg).rad()));
      // ERFA's inverse of aberration and deflection iterates to about 1e-12 rad.
      EXPECT_NEAR(WrapSigned(Angle::Radians(back.ra_rad) - Angle::Degrees(ra_deg)).rad(), 0, 1e-10);
      EXPECT_NEAR(back.dec_rad, Angle::Degrees(dec_deg).rad(), 1e-11);
    }
  }
}

TEST(SkyFrame, PutsTheMeridianAtTheLongitudeAndDeclinationGiven) {
  const Vector3 s = SkyFrame(kTime, {}).ItrfOfMeridian(-2.0, 0.7);
  EXPECT_NEAR(std::atan2(s[1], s[0]), -2.0, 1e-9);  // the TIO locator s' is below 1e-9 rad this century
  EXPECT_NEAR(std::asin(s[2]), 0.7, 1e-9);
}

TEST(SkyFrame, TurnsWithUt1) {
  const Vector3 a = SkyFrame(kTime, {}).ItrfOfIcrs(1, 0.2);
  const Vector3 b = SkyFrame(kTime, {0.1, 0, 0}).ItrfOfIcrs(1, 0.2);
  // 0.1 s of Earth rotation moves the sky westwards: 2π · 1.00273781 / 86400 rad/s.
  const double turned = std::atan2(a[1], a[0]) - std::atan2(b[1], b[0]);
  // The date as a double of days is exact to 7e-12 days, which is 5e-11 rad of rotation (0.1 µm on the array).
  EXPECT_NEAR(turned, 0.1 * 2 * kPi * 1.00273781191135448 / 86400, 5e-11);
}

TEST(UvwAxes, AreOrthonormalAndPointEastAndNorth) {
  const SkyFrame frame(kTime, {});
  for (const double dec : {-0.35, 0.28, 0.95, 1.53}) {
    const UvwAxes axes = AxesOfPhaseCentre(frame, {1.85, dec});
    EXPECT_NEAR(Dot(axes.u, axes.u), 1, 1e-14);
    EXPECT_NEAR(Dot(axes.v, axes.v), 1, 1e-14);
    EXPECT_NEAR(Dot(axes.u, axes.w), 0, 1e-14);
    EXPECT_NEAR(Dot(axes.v, axes.w), 0, 1e-14);
    const double step = 1e-4;
    const Vector3 north = frame.ItrfOfIcrs(1.85, dec + step);
    // Aberration changes lengths by 1e-4 and angles by as much.
    EXPECT_NEAR(Dot(north, axes.v) / step, 1, 3e-4);
    const Vector3 east = frame.ItrfOfIcrs(1.85 + step / std::cos(dec), dec);
    EXPECT_NEAR(Dot(east, axes.u) / step, 1, 3e-4);
  }
}

// One line of finals2000A, with only the Bulletin A columns that are read.
std::string FinalsLine(double mjd, double x, double y, double dut1) {
  char line[200];
  std::snprintf(line, sizeof line, "       %8.2f I %9.6f%9.6f %9.6f%9.6f  I%10.7f", mjd, x, 0.0, y, 0.0, dut1);
  return std::string(line) + "\n";
}

class EarthOrientationFile : public ::testing::Test {
 protected:
  void Write(const std::string& text) { std::ofstream(path_) << text; }
  TemporaryFolder folder_{"frames"};
  const std::filesystem::path path_ = folder_ / "finals2000A.all";
};

TEST_F(EarthOrientationFile, IsInterpolatedBetweenDays) {
  Write(FinalsLine(60961, 0.1, 0.2, 0.05) + FinalsLine(60962, 0.2, 0.4, 0.07) + "   60963.00\n");
  const EarthOrientation at = EarthOrientationTable::Load(path_).At(UtcTime::FromMjd(60961.25));
  EXPECT_NEAR(at.ut1_minus_utc_s, 0.055, 1e-12);
  EXPECT_NEAR(Angle::Radians(at.polar_x_rad).arcsec(), 0.125, 1e-9);
  EXPECT_NEAR(Angle::Radians(at.polar_y_rad).arcsec(), 0.25, 1e-9);
}

TEST_F(EarthOrientationFile, TakesALeapSecondAsAJumpAtTheEndOfTheDay) {
  Write(FinalsLine(57753, 0, 0, -0.40) + FinalsLine(57754, 0, 0, 0.59));
  const EarthOrientation at = EarthOrientationTable::Load(path_).At(UtcTime::FromMjd(57753.5));
  EXPECT_NEAR(at.ut1_minus_utc_s, -0.405, 1e-9);
}

TEST_F(EarthOrientationFile, RefusesTimesItDoesNotCover) {
  Write(FinalsLine(60961, 0.1, 0.2, 0.05) + FinalsLine(60962, 0.2, 0.4, 0.07));
  const EarthOrientationTable table = EarthOrientationTable::Load(path_);
  EXPECT_THROW(table.At(UtcTime::FromMjd(60962.5)), Error);
  EXPECT_THROW(table.At(UtcTime::FromMjd(60960.5)), Error);
}

TEST_F(EarthOrientationFile, RefusesAnotherFormat) {
  Write("# a,b,c\n1,2,3\n");
  EXPECT_THROW(EarthOrientationTable::Load(path_), Error);
  EXPECT_THROW(EarthOrientationTable::Load("/nonexistent/finals"), Error);
}

// What cannot be read is no table of another format: no data are given up for it.
TEST_F(EarthOrientationFile, ThatCannotBeReadIsNoBadInput) {
  std::filesystem::create_symlink("/proc/self/mem", path_);  // gives EIO
  try {
    EarthOrientationTable::Load(path_);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kIo) << error.what();
  }
}

// A damaged line is not passed over: its day would be bridged without a word.
TEST_F(EarthOrientationFile, NamesTheLineThatIsDamaged) {
  const std::string first = FinalsLine(60961, 0.1, 0.2, 0.05), second = FinalsLine(60962, 0.1, 0.2, 0.05),
                    third = FinalsLine(60963, 0.1, 0.2, 0.05);
  const auto changed = [&](std::size_t at, const std::string& text) {
    std::string line = second;
    return line.replace(at, text.size(), text);
  };
  for (const std::string& damaged :
       {changed(60, "x"), changed(18, "  0.1x   "), changed(58, "          "), changed(58, " 5.0000000"),
        changed(18, "         ").replace(37, 9, "         ").replace(58, 10, "          "), changed(8, "60961.00"),
        changed(8, "60969.00")}) {
    Write(first + damaged + third);
    try {
      EarthOrientationTable::Load(path_);
      FAIL() << damaged;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
      EXPECT_NE(std::string(error.what()).find("line "), std::string::npos) << error.what();
    }
  }
}

TEST(EarthOrientationTable, IsZeroWhenEmpty) {
  const EarthOrientation at = EarthOrientationTable().At(kTime);
  EXPECT_EQ(at.ut1_minus_utc_s, 0);
  EXPECT_EQ(at.polar_x_rad, 0);
}

}  // namespace
}  // namespace contimg::convert
