#include "tests/simulator/apparent_place.h"

#include <gtest/gtest.h>

#include <cmath>

#include "config/telescope.h"
#include "tests/simulator/airy_beam.h"

namespace contimg::simulator {
namespace {

const UtcTime kTime = UtcTime::FromIso8601("2025-10-13T13:28:54");
constexpr double kArcsec = kPi / 648000;

double AngleBetween(const Vec3& a, const Vec3& b) {
  Vec3 d;
  for (std::size_t axis = 0; axis < 3; ++axis) d[axis] = a[axis] - b[axis];
  return 2 * std::asin(std::sqrt(Dot(d, d)) / 2);
}

TEST(EarthFrame, UndoesItself) {
  const EarthFrame frame(kTime);
  for (double dec : {-0.3, 0.0, 0.9, 1.5}) {
    const SkyDirection back = frame.ToIcrs(frame.FromIcrs(1.2, dec));
    EXPECT_NEAR(back.ra.rad(), 1.2, 1e-10);  // ERFA's inverse iterates to about this
    EXPECT_NEAR(back.dec.rad(), dec, 1e-10);
  }
}

TEST(EarthFrame, ShiftsStarsByAberrationAndPrecessionAsExpected) {
  // Over 25.8 years precession moves the equinox by 50.3″ a year along the ecliptic: the apparent declination of a star
  // at RA 6 h hardly changes (cos RA = 0) and at RA 0 grows by 20.04″ a year; aberration adds at most 20.5″, nutation
  // 9″.
  const EarthFrame frame(kTime);
  const auto declination = [&](double ra) { return std::asin(frame.FromIcrs(ra, 0.5)[2]); };
  EXPECT_NEAR((declination(0) - 0.5) / kArcsec, 20.04 * 25.78, 30);
  EXPECT_NEAR((declination(kPi / 2) - 0.5) / kArcsec, 0, 30);
}

TEST(EarthFrame, TurnsAtTheSiderealRate) {
  const Vec3 before = EarthFrame(kTime).FromIcrs(1.0, 0.4), after = EarthFrame(kTime + 10).FromIcrs(1.0, 0.4);
  const Vec3 middle = EarthFrame(kTime + 5).FromIcrs(1.0, 0.4);
  const Vec3 rate = SiderealRate(middle);
  // Second differences of a circle: (ω·5 s)²/6 of the rate, 2e-8; aberration changes by 1e-5″ in ten seconds.
  for (std::size_t axis = 0; axis < 3; ++axis) EXPECT_NEAR((after[axis] - before[axis]) / 10, rate[axis], 5e-11);
}

TEST(MeridianDirection, IsTheZenithAtTheSitesLatitude) {
  const Vec3 s = MeridianDirection(kDsa110Centre.longitude_rad, kDsa110Centre.latitude_rad);
  const Itrf low = ToItrf(kDsa110Centre);
  Geodetic above = kDsa110Centre;
  above.height_m += 1000;
  const Itrf high = ToItrf(above);
  for (std::size_t axis = 0; axis < 3; ++axis) EXPECT_NEAR((high[axis] - low[axis]) / 1000, s[axis], 1e-11);
}

TEST(NextTransit, FindsTheMomentOnTheMeridian) {
  const double ra = 202.784533 * kPi / 180, dec = 30.509155 * kPi / 180;
  double app_dec = 0;
  const UtcTime transit = NextTransit(ra, dec, kDsa110Centre.longitude_rad, kTime, app_dec);
  EXPECT_GE(transit, kTime);
  EXPECT_LT(transit - kTime, 86400);
  const Vec3 s = EarthFrame(transit).FromIcrs(ra, dec);
  EXPECT_LT(AngleBetween(s, MeridianDirection(kDsa110Centre.longitude_rad, app_dec)), 1e-3 * kArcsec);
}

TEST(AiryPower, HasTheWidthAndTheNullOfACircularAperture) {
  const double f = 1.4e9, d = 4.65, wavelength = kSpeedOfLight / f;
  EXPECT_EQ(AiryPower(0, f, d), 1.0);
  // Textbook figures: half power at x = 1.61634, first null at x = 3.83171, first side lobe 0.01750 at x = 5.13562.
  const auto at = [&](double x) { return AiryPower(x * wavelength / (kPi * d), f, d); };
  EXPECT_NEAR(at(1.61634), 0.5, 1e-5);
  EXPECT_NEAR(at(3.83171), 0.0, 1e-10);
  EXPECT_NEAR(at(5.13562), 0.01750, 1e-5);
}

}  // namespace
}  // namespace contimg::simulator
