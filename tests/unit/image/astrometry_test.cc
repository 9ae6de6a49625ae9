#include "image/quality/astrometry.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace contimg::image {
namespace {

constexpr double kArcsec = 3.14159265358979323846 / 648000;

// Places of a tile of four degrees, turned by `rotation` (north through east), stretched and shifted.
std::vector<PlaceInBoth> Places(std::size_t n, double rotation, double scale, double east, double north, double noise,
                                unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> place(-0.035, 0.035), snr(10, 100);
  std::normal_distribution<double> normal;
  std::vector<PlaceInBoth> places(n);
  for (PlaceInBoth& p : places) {
    p.east_rad = place(random);
    p.north_rad = place(random);
    p.snr = snr(random);
    const double angle = std::atan2(p.east_rad, p.north_rad) + rotation;
    const double distance = scale * std::hypot(p.east_rad, p.north_rad);
    p.offset_east_rad = distance * std::sin(angle) + east - p.east_rad + noise / p.snr * normal(random);
    p.offset_north_rad = distance * std::cos(angle) + north - p.north_rad + noise / p.snr * normal(random);
  }
  return places;
}

TEST(Astrometry, ShiftRotationAndScaleAreTold) {
  const auto solved = SolveAstrometry(Places(40, 2e-4, 1.0003, 0.7 * kArcsec, -0.4 * kArcsec, 0, 1));
  ASSERT_TRUE(solved);
  EXPECT_GE(solved->places, 30U);
  EXPECT_NEAR(solved->rotation_rad, 2e-4, 1e-7);
  EXPECT_NEAR(solved->scale, 1.0003, 1e-7);
  EXPECT_NEAR(solved->shift_east_rad / kArcsec, 0.7, 1e-3);
  EXPECT_NEAR(solved->shift_north_rad / kArcsec, -0.4, 1e-3);
}

TEST(Astrometry, ErrorsAreThoseOfTheNoise) {
  double turn = 0, scale = 0, shift = 0;
  constexpr int kTrials = 300;
  for (int i = 0; i < kTrials; ++i) {
    const auto solved = SolveAstrometry(Places(30, 1e-4, 0.9998, kArcsec, 0, 10 * kArcsec, 100 + i));
    ASSERT_TRUE(solved);
    turn += std::pow((solved->rotation_rad - 1e-4) / solved->turn_error, 2);
    scale += std::pow((solved->scale - 0.9998) / solved->turn_error, 2);
    shift += std::pow((solved->shift_east_rad - kArcsec) / solved->shift_error_rad, 2);
  }
  for (const double square : {turn, scale, shift}) EXPECT_NEAR(std::sqrt(square / kTrials), 1.05, 0.15);
}

TEST(Astrometry, PlacesFarOffDoNotCount) {
  auto places = Places(30, 1e-4, 1, 0, 0, 2 * kArcsec, 7);
  places[3].offset_east_rad += 20 * kArcsec;
  places[11].offset_north_rad -= 30 * kArcsec;
  const auto solved = SolveAstrometry(places);
  ASSERT_TRUE(solved);
  EXPECT_LE(solved->places, 28U);
  EXPECT_NEAR(solved->rotation_rad, 1e-4, 5 * solved->turn_error);
  EXPECT_LT(solved->shift_error_rad, 0.05 * kArcsec);
}

TEST(Astrometry, FewPlacesOrOnePointTellNothing) {
  EXPECT_FALSE(SolveAstrometry(Places(4, 0, 1, 0, 0, 0, 1)));
  EXPECT_FALSE(SolveAstrometry({}));
  EXPECT_FALSE(SolveAstrometry(std::vector<PlaceInBoth>(9, {0.01, 0.01, 1e-6, 0, 20})));
}

}  // namespace
}  // namespace contimg::image
