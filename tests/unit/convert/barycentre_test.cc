#include "convert/barycentre.h"

#include <gtest/gtest.h>

#include <cmath>

#include "config/error.h"
#include "config/units.h"

namespace contimg::convert {
namespace {

// What astropy 5.2 says of the same moments (Time.light_travel_time with its built-in ephemeris, from the DSA-110).
TEST(Barycentre, IsAstropysToATenthOfAMillisecond) {
  struct Case {
    double mjd, ra_deg, dec_deg, bmjd;
  };
  for (const Case& c : {Case{61065.25, 202.7845, 30.5092, 61065.25291650111},
                        {60000.0, 0.1, -20, 59999.99553766265},
                        {58849.5, 83.6, 22.0, 58849.50629378412},
                        {61200.75, 12.0, 89.9, 61200.748499808615},
                        {57754.123456, 280, -66, 57754.12008854097}}) {
    const double found = BarycentricMjdTdb(UtcTime::FromMjd(c.mjd), Angle::Degrees(c.ra_deg).rad(),
                                           Angle::Degrees(c.dec_deg).rad(), ToItrf(kDsa110Centre));
    EXPECT_NEAR((found - c.bmjd) * kSecondsPerDay, 0, 1e-4) << c.mjd;
  }
}

// The telescope's place on the Earth counts: 21 ms at most. Opposite directions have opposite delays.
TEST(Barycentre, KnowsWhereTheTelescopeIs) {
  const UtcTime time = UtcTime::FromMjd(61065.25);
  const double ra = Angle::Degrees(202.7845).rad(), dec = Angle::Degrees(30.5).rad();
  const double there = BarycentricMjdTdb(time, ra, dec, ToItrf(kDsa110Centre));
  const double centre = BarycentricMjdTdb(time, ra, dec, {0, 0, 0});
  const double apart_s = std::abs(there - centre) * kSecondsPerDay;
  EXPECT_GT(apart_s, 1e-4);
  EXPECT_LT(apart_s, 0.0213);
  const double behind = BarycentricMjdTdb(time, ra + kPi, -dec, {0, 0, 0});
  const double tdb_minus_utc_s = ((centre + behind) / 2 - time.mjd()) * kSecondsPerDay;
  EXPECT_NEAR(tdb_minus_utc_s, 69.184, 0.003);  // 37 leap seconds, 32.184 s, and TDB − TT below 2 ms
}

}  // namespace
}  // namespace contimg::convert
