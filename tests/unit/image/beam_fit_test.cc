#include "image/beam_fit.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "config/error.h"

namespace contimg::image {
namespace {

constexpr std::size_t kN = 200;
constexpr double kCell = 3.0 / 206265.0;

// Rows north, columns west.
std::vector<float> Gaussian(double major_px, double minor_px, double angle_deg) {
  const double pa = angle_deg * kPi / 180;
  std::vector<float> image(kN * kN);
  for (std::size_t y = 0; y < kN; ++y) {
    for (std::size_t x = 0; x < kN; ++x) {
      const double east = -(static_cast<double>(x) - kN / 2.0), north = static_cast<double>(y) - kN / 2.0;
      const double along = east * std::sin(pa) + north * std::cos(pa),
                   across = east * std::cos(pa) - north * std::sin(pa);
      image[y * kN + x] = static_cast<float>(std::exp(
          -4 * std::log(2.0) * (along * along / (major_px * major_px) + across * across / (minor_px * minor_px))));
    }
  }
  return image;
}

class FitBeamOfGaussian : public testing::TestWithParam<std::array<double, 3>> {};

TEST_P(FitBeamOfGaussian, IsExact) {
  const auto [major, minor, angle] = GetParam();
  const std::vector<float> psf = Gaussian(major, minor, angle);
  const GaussianBeam beam = FitBeam({psf.data(), {kN, kN}}, kCell);
  // float32 pixels: 6e-8 relative, over at least a dozen of them.
  EXPECT_NEAR(beam.major_rad / kCell, major, 1e-5 * major);
  EXPECT_NEAR(beam.minor_rad / kCell, minor, 1e-5 * minor);
  if (major > minor) {
    const double difference = std::remainder(beam.angle_rad - angle * kPi / 180, kPi);
    EXPECT_NEAR(difference, 0, 1e-4);
    EXPECT_GE(beam.angle_rad, 0);
    EXPECT_LT(beam.angle_rad, kPi);
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, FitBeamOfGaussian,
                         testing::Values(std::array{10.0, 6.0, 30.0}, std::array{10.0, 6.0, 120.0},
                                         std::array{17.0, 4.0, 0.0}, std::array{5.0, 5.0, 0.0},
                                         std::array{60.0, 20.0, 91.0}, std::array{3.0, 2.2, 45.0}));

TEST(FitBeam, IgnoresSidelobesOutsideTheCore) {
  std::vector<float> psf = Gaussian(8, 5, 20);
  for (std::size_t y = 20; y < 60; ++y) std::fill_n(&psf[y * kN + 20], 40, 0.6F);
  const GaussianBeam beam = FitBeam({psf.data(), {kN, kN}}, kCell);
  EXPECT_NEAR(beam.major_rad / kCell, 8, 1e-3);
}

TEST(FitBeam, RefusesAPsfWithoutAPeak) {
  std::vector<float> flat(kN * kN, 1.0F), spike(kN * kN, 0.0F), nan(kN * kN, std::nanf(""));
  spike[kN * kN / 2 + kN / 2] = 1;
  for (const auto* psf : {&flat, &spike, &nan}) {
    try {
      FitBeam({psf->data(), {kN, kN}}, kCell);
      FAIL() << "no error";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kNumeric);
    }
  }
}

TEST(GaussianBeam, AreaIsTheIntegralOfTheValue) {
  const GaussianBeam beam{10 * kCell, 6 * kCell, 0.5};
  double sum = 0;
  for (int y = -40; y <= 40; ++y) {
    for (int x = -40; x <= 40; ++x) sum += beam.Value(x * kCell, y * kCell);
  }
  EXPECT_NEAR(beam.AreaPixels(kCell), sum, 1e-6 * sum);
}

}  // namespace
}  // namespace contimg::image
