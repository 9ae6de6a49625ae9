#include "image/plane/sky_coordinates.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace contimg::image {
namespace {

TEST(SkyCoordinates, CosinesAndDirectionsAreInverse) {
  const PhaseCentre centre{1.0, 0.6};
  for (const double l : {-0.04, 0.0, 0.03}) {
    for (const double m : {-0.02, 0.0, 0.05}) {
      const auto back = CosinesOfDirection(centre, DirectionOfCosines(centre, l, m));
      ASSERT_TRUE(back);
      EXPECT_NEAR(back->l, l, 1e-15);
      EXPECT_NEAR(back->m, m, 1e-15);
    }
  }
  EXPECT_FALSE(CosinesOfDirection(centre, {Angle::Radians(1.0 + kPi), Angle::Radians(0.0)}));
}

// The Earth's speed is 29.78 km/s: 9.94e-5 of that of light. Towards where it goes angles shrink by so much, on the
// other side they grow, and at right angles they stay, over a year. On 2025-09-23 the Sun stands at right ascension 12
// h; the Earth moves 90 degrees west of it along the ecliptic, to 6 h, +23.4 deg.
TEST(AberrationScale, IsTheEarthsSpeedTowardsTheCentre) {
  const UtcTime equinox = UtcTime::FromIso8601("2025-09-23T00:00:00");
  const double beta = 9.94e-5, slack = 3e-6;  // eccentricity 1.7 %, the Moon, the apex to a degree
  EXPECT_NEAR(AberrationScale({kPi / 2, 0.4091}, equinox, {}) - 1, -beta, slack);
  EXPECT_NEAR(AberrationScale({3 * kPi / 2, -0.4091}, equinox, {}) - 1, beta, slack);
  EXPECT_NEAR(AberrationScale({0.0, 0.0}, equinox, {}) - 1, 0, slack);
  EXPECT_NEAR(AberrationScale({0.0, kPi / 2 - 1e-9}, equinox, {}) - 1, -beta * std::sin(0.4091), slack);
}

// Scaled cosines reproduce apparent places all over a field of 4 degrees.
TEST(AberrationScale, LeavesNothingOfDifferentialAberration) {
  const UtcTime time = UtcTime::FromIso8601("2025-10-13T13:30:37");
  const PhaseCentre centre{1.85, 0.95};
  const convert::SkyFrame frame(time, {});
  const convert::UvwAxes axes = convert::AxesOfPhaseCentre(frame, centre);
  const double scale = AberrationScale(centre, time, {});
  double without = 0, with = 0;
  for (const double l : {-0.035, -0.01, 0.0, 0.02, 0.035}) {
    for (const double m : {-0.035, 0.0, 0.015, 0.035}) {
      const SkyDirection at = DirectionOfCosines(centre, l, m);
      const convert::Vector3 seen = frame.ItrfOfIcrs(at.ra.rad(), at.dec.rad());
      const double x = convert::Dot(axes.u, seen), y = convert::Dot(axes.v, seen);
      without = std::max(without, std::hypot(x - l, y - m));
      with = std::max(with, std::hypot(x - scale * l, y - scale * m));
    }
  }
  constexpr double kOneArcsec = kPi / 648000;
  EXPECT_GT(without, 0.5 * kOneArcsec);
  EXPECT_LT(with, 0.03 * kOneArcsec);  // beta · theta² / 2 = 0.025"
}

}  // namespace
}  // namespace contimg::image
