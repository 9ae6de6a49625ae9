#include "convert/sun_and_moon.h"

#include <gtest/gtest.h>

#include "config/error.h"
#include "config/units.h"

namespace contimg::convert {
namespace {

// What astropy 5.2 says of the same moments (get_body with its built-in ephemeris, AltAz at the DSA-110, no pressure).
TEST(SunAndMoon, AreAstropysToHundredthsOfADegree) {
  struct Case {
    double mjd, ra_deg, dec_deg, sun_deg, sun_up_deg, moon_deg, moon_up_deg;
  };
  for (const Case& c : {Case{61065.25, 202.7845, 30.5092, 111.6533, -57.1020, 137.7170, 17.2660},
                        {60000.0, 0.1, -20, 24.1870, 18.2886, 49.0277, 67.0147},
                        {58849.5, 83.6, 22.0, 163.7745, -36.3819, 92.4415, -58.9430},
                        {61200.75, 12.0, 89.9, 67.0172, 61.9733, 85.9978, 36.0276},
                        {57754.123456, 280, -66, 43.0009, -25.4408, 55.2282, 3.8578},
                        {60676.8, 280.0, -23.0, 2.0916, 28.9103, 25.9320, 19.5287},
                        {61005.3, 60, 16, 174.7477, -72.6337, 111.1946, -21.5247}}) {
    const UtcTime time = UtcTime::FromMjd(c.mjd);
    const PhaseCentre direction{Angle::Degrees(c.ra_deg).rad(), Angle::Degrees(c.dec_deg).rad()};
    const BodySight sun = SightOf(BrightBody::kSun, time, direction, kDsa110Centre);
    const BodySight moon = SightOf(BrightBody::kMoon, time, direction, kDsa110Centre);
    EXPECT_NEAR(Angle::Radians(sun.separation_rad).deg(), c.sun_deg, 0.02) << c.mjd;
    EXPECT_NEAR(Angle::Radians(sun.elevation_rad).deg(), c.sun_up_deg, 0.02) << c.mjd;
    EXPECT_NEAR(Angle::Radians(moon.separation_rad).deg(), c.moon_deg, 0.02) << c.mjd;
    EXPECT_NEAR(Angle::Radians(moon.elevation_rad).deg(), c.moon_up_deg, 0.02) << c.mjd;
  }
}

}  // namespace
}  // namespace contimg::convert
