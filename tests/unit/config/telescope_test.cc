#include "config/telescope.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace contimg {
namespace {

TEST(Telescope, KnowsAllStationsByNumber) {
  int active = 0;
  for (int i = 0; i < kDsa110StationCount; ++i) {
    const Station& station = Dsa110Stations()[i];
    EXPECT_EQ(station.number, i + 1);
    EXPECT_NEAR(station.latitude_deg, 37.24, 0.02);
    EXPECT_NEAR(station.longitude_deg, -118.285, 0.02);
    EXPECT_NEAR(station.height_m, 1183, 6);
    active += station.active ? 1 : 0;
  }
  EXPECT_EQ(active, kDsa110ActiveCount);
  for (int inactive : {10, 21, 22, 23, 52, 67, 117}) EXPECT_FALSE(Dsa110Stations()[inactive - 1].active);
}

TEST(Telescope, HasTheExtentOfTheArray) {
  double longest = 0;
  for (const Station& a : Dsa110Stations()) {
    for (const Station& b : Dsa110Stations()) {
      const Itrf p = ToItrf(a.position()), q = ToItrf(b.position());
      longest = std::max(longest, std::hypot(p[0] - q[0], p[1] - q[1], p[2] - q[2]));
    }
  }
  // 1768.6 m east-west and 2219.7 m north-south bound it.
  EXPECT_GT(longest, 2219.7);
  EXPECT_LT(longest, std::hypot(1768.7, 2219.8));
}

TEST(Telescope, ConvertsGeodeticToItrf) {
  // On the equator at longitude 0 and at the pole the ellipsoid's axes appear.
  const Itrf equator = ToItrf({0, 0, 0});
  EXPECT_DOUBLE_EQ(equator[0], 6378137.0);
  const Itrf pole = ToItrf({kPi / 2, 0, 100});
  EXPECT_NEAR(pole[2], 6356752.314245 + 100, 1e-6);
  EXPECT_NEAR(pole[0], 0, 1e-6);
  // Height moves a point along the normal, whose direction is the geodetic one.
  const Geodetic low{0.65, -2.06, 0}, high{0.65, -2.06, 1000};
  const Itrf a = ToItrf(low), b = ToItrf(high);
  EXPECT_NEAR((b[2] - a[2]) / 1000, std::sin(0.65), 1e-12);
  EXPECT_NEAR(std::hypot(b[0] - a[0], b[1] - a[1]) / 1000, std::cos(0.65), 1e-12);
}

TEST(Telescope, PlacesTheBandAsTheCorrelatorDoes) {
  EXPECT_DOUBLE_EQ(Dsa110ChannelFrequencyHz(0, 0), 1498643188.4765625);
  EXPECT_NEAR(Dsa110ChannelFrequencyHz(15, 47), 1311.3873e6, 50);
  for (int subband = 0; subband < kDsa110Subbands; ++subband) {
    for (int channel = 1; channel < kDsa110ChannelsPerSubband; ++channel) {
      EXPECT_DOUBLE_EQ(Dsa110ChannelFrequencyHz(subband, channel - 1) - Dsa110ChannelFrequencyHz(subband, channel),
                       kDsa110ChannelWidthHz);
    }
    if (subband > 0) {  // contiguous across subbands
      EXPECT_DOUBLE_EQ(Dsa110ChannelFrequencyHz(subband - 1, 47) - Dsa110ChannelFrequencyHz(subband, 0),
                       kDsa110ChannelWidthHz);
    }
  }
  EXPECT_NEAR(kDsa110IntegrationS, 12.884901888, 1e-12);
}

// The integral of cos(x cos t) sin² t over [0, π], times 2/π, is 2 J1(x)/x (Abramowitz & Stegun 9.1.20, ν = 1). The
// trapezoid rule converges geometrically for this periodic integrand: 400 points are exact to rounding for x ≤ 100.
double AiryByQuadrature(double x) {
  constexpr int kPoints = 400;
  double sum = 0;
  for (int i = 0; i < kPoints; ++i) {
    const double t = kPi * i / kPoints;
    sum += std::cos(x * std::cos(t)) * std::sin(t) * std::sin(t);
  }
  return 2 * sum / kPoints;
}

TEST(AiryVoltage, AgreesWithItsIntegral) {
  for (double x = 0; x < 60; x += 0.037) EXPECT_NEAR(AiryVoltage(x), AiryByQuadrature(x), 1e-14) << x;
}

TEST(AiryVoltage, IsEvenAndOneOnTheAxis) {
  EXPECT_DOUBLE_EQ(AiryVoltage(0), 1);
  for (double x : {1e-9, 0.5, 3.0, 7.9, 8.1, 40.0}) EXPECT_DOUBLE_EQ(AiryVoltage(x), AiryVoltage(-x));
  EXPECT_NEAR(AiryVoltage(3.8317059702075123), 0, 1e-15);  // first null
}

TEST(AiryPowerBeam, HasTheTextbookHalfPowerWidth) {
  // Half power at x = 1.61633995 (root of (2 J1(x)/x)² = 1/2), so the full width is 1.029 λ/D for small angles. The
  // root is given to 8 decimals and the slope there is −0.5: 1e-8 allows for its rounding.
  const double sin_theta = 1.61633995 * kSpeedOfLight / (kPi * kDsa110DishDiameterM * 1.4e9);
  EXPECT_NEAR(AiryPowerBeam(sin_theta, 1.4e9, kDsa110DishDiameterM), 0.5, 1e-8);
}

}  // namespace
}  // namespace contimg
