#include "tests/simulator/corruptions.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/simulator/simulate.h"

namespace contimg::simulator {
namespace {

Corruptions SomeGains() {
  Corruptions c;
  c.gain_amplitude = 0.2;
  c.gain_phase_deg = 40;
  c.drift_amplitude_per_hour = 0.1;
  c.drift_phase_deg_per_hour = 30;
  c.delay_ns = 5;
  c.bandpass_ripple = 0.1;
  return c;
}

TEST(AntennaGains, BelongToTheStationNotToItsPlace) {
  const Corruptions c = SomeGains();
  const AntennaGains one(Dsa110Array(std::vector<int>{24, 40, 110}), c, 1.4e9, 9);
  const AntennaGains other(Dsa110Array(std::vector<int>{110, 24}), c, 1.4e9, 9);
  EXPECT_EQ(one.Gain(2, 1, 5e9), other.Gain(0, 1, 5e9));
  EXPECT_EQ(one.Response(0, 0, 1.45e9), other.Response(1, 0, 1.45e9));
  EXPECT_NE(one.Gain(0, 0, 5e9), one.Gain(0, 1, 5e9));
}

TEST(AntennaGains, ScatterAndDriftAsAsked) {
  Corruptions c = SomeGains();
  const AntennaGains gains(Dsa110Array(), c, 1.405e9, 4);
  double delay2 = 0, rate2 = 0, ripple2 = 0;
  for (std::size_t a = 0; a < 96; ++a) {
    for (int pol = 0; pol < 2; ++pol) {
      delay2 += std::pow(gains.DelayS(a, pol) * 1e9, 2);
      for (int step = 0; step < 200; ++step) {
        const double t = 5e9 + 97.0 * step;
        rate2 += std::pow(std::arg(gains.Gain(a, pol, t + 10) / gains.Gain(a, pol, t)) * 180 / kPi * 360, 2) / 200;
        ripple2 += std::pow(std::log(std::abs(gains.Bandpass(a, pol, 1.31e9 + 0.9e6 * step))), 2) / 200;
      }
    }
  }
  // Rms of 192 normal deviates: 5 % each; the ripple's 3 components add some more.
  EXPECT_NEAR(std::sqrt(delay2 / 192), 5, 5 * 0.06 * 5);
  EXPECT_NEAR(std::sqrt(rate2 / 192), 30, 30 * 0.15);
  EXPECT_NEAR(std::sqrt(ripple2 / 192), 0.1, 0.1 * 0.3);
}

TEST(AntennaGains, AreOneWithoutCorruptions) {
  const AntennaGains gains(Dsa110Array(3), Corruptions{}, 1.4e9, 1);
  EXPECT_EQ(gains.Gain(1, 0, 5e9), std::complex<double>(1, 0));
  EXPECT_EQ(gains.Response(1, 0, 1.3e9), std::complex<double>(1, 0));
}

TEST(Occupancy, IsTheShareOfTheSampleThatIsHit) {
  RfiEmitter e;
  e.frequency_hz = 1.4e9;
  e.bandwidth_hz = 1e5;
  e.start_s = 10;
  e.duration_s = 4;
  EXPECT_DOUBLE_EQ(Occupancy(e, 1.4e9, 2e5, 12, 10), 0.4 * 0.5);  // line inside the channel, on for 4 of 10 s
  EXPECT_DOUBLE_EQ(Occupancy(e, 1.4e9 + 1e5, 2e5, 12, 2), 0.25);  // half of the line in the channel's lower quarter
  EXPECT_DOUBLE_EQ(Occupancy(e, 1.4e9 + 5e5, 2e5, 12, 10), 0.0);
  EXPECT_DOUBLE_EQ(Occupancy(e, 1.4e9, 2e5, 30, 10), 0.0);
}

TEST(PlaceOf, FollowsAzimuthAndElevation) {
  RfiEmitter e;
  e.elevation_deg = 90;
  const Vec3 zenith = MeridianDirection(kDsa110Centre.longitude_rad, kDsa110Centre.latitude_rad);
  for (std::size_t axis = 0; axis < 3; ++axis) {
    EXPECT_NEAR(PlaceOf(e, kDsa110Centre, 0).direction[axis], zenith[axis], 1e-12);
  }
  e.elevation_deg = 0;
  e.azimuth_deg = 90;
  e.azimuth_rate_deg_s = 0.5;
  const EmitterPlace place = PlaceOf(e, kDsa110Centre, 0);
  EXPECT_NEAR(place.direction[2], 0, 1e-12);  // due east has no northward part
  EXPECT_NEAR(std::sqrt(Dot(place.rate, place.rate)), 0.5 * kPi / 180, 1e-6);
}

TEST(DrawRfi, DrawsWhatTheRecipeSays) {
  RfiRecipe recipe;
  recipe.narrow_band = 5;
  recipe.bursts = 3;
  recipe.tracks = 2;
  const std::vector<RfiEmitter> rfi = DrawRfi(recipe, 1.31e9, 1.5e9, 309, 8);
  ASSERT_EQ(rfi.size(), 10u);
  for (const RfiEmitter& e : rfi) {
    EXPECT_GE((e.flux_xx_jy + e.flux_yy_jy) / 2, 5 * (1 - 1e-9));
    EXPECT_LE((e.flux_xx_jy + e.flux_yy_jy) / 2, 500 * (1 + 1e-9));
    EXPECT_GE(e.start_s, 0);
    EXPECT_LE(e.start_s + e.duration_s, 309 + 1e-6);
  }
}

}  // namespace
}  // namespace contimg::simulator
