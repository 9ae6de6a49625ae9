#include "image/beam_fit.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <random>
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

// The full width at half power of the PSF along a direction (east of north), by bisection between pixels.
double HalfPowerWidth(const std::vector<float>& psf, double angle_rad) {
  const auto value = [&](double r) {
    const double x = kN / 2.0 - r * std::sin(angle_rad), y = kN / 2.0 + r * std::cos(angle_rad);
    const auto ix = static_cast<std::size_t>(x), iy = static_cast<std::size_t>(y);
    const double fx = x - static_cast<double>(ix), fy = y - static_cast<double>(iy);
    const float* p = &psf[iy * kN + ix];
    return (p[0] * (1 - fx) + p[1] * fx) * (1 - fy) + (p[kN] * (1 - fx) + p[kN + 1] * fx) * fy;
  };
  double r = 0;
  while (value(r) > 0.5) r += 0.01;
  return 2 * r;
}

// A PSF of `n` random antennas (a dense core and outliers) by a direct sum; `stretch` of the north-south baselines.
std::vector<float> SparsePsf(int n, unsigned seed, double stretch) {
  std::mt19937 random(seed);
  std::normal_distribution<double> place(0, 1);
  std::vector<std::array<double, 2>> antennas;
  for (int a = 0; a < n; ++a) {
    const double scale = a % 3 == 0 ? 0.02 : 0.007;  // turns per pixel
    antennas.push_back({scale * place(random), scale * stretch * place(random)});
  }
  std::vector<double> sum(kN * kN);
  for (int a = 0; a < n; ++a) {
    for (int b = a + 1; b < n; ++b) {
      const auto i = static_cast<std::size_t>(a), j = static_cast<std::size_t>(b);
      for (int k = 0; k < 5; ++k) {  // channels
        const double f = 2 * kPi * (0.92 + 0.04 * k);
        const double u = f * (antennas[i][0] - antennas[j][0]), v = f * (antennas[i][1] - antennas[j][1]);
        for (std::size_t y = 0; y < kN; ++y) {
          const double vy = v * (static_cast<double>(y) - kN / 2.0);
          for (std::size_t x = 0; x < kN; ++x)
            sum[y * kN + x] += std::cos(u * (static_cast<double>(x) - kN / 2.0) + vy);
        }
      }
    }
  }
  std::vector<float> psf;
  for (double value : sum) psf.push_back(static_cast<float>(value / sum[kN / 2 * kN + kN / 2]));
  return psf;
}

TEST(FitBeam, OfASparseArrayHasTheWidthAtHalfPower) {
  const struct {
    int antennas;
    unsigned seed;
    double stretch;
  } cases[] = {{8, 1, 1}, {10, 2, 1}, {12, 3, 0.5}, {15, 4, 1}, {9, 5, 0.4}};
  for (const auto& c : cases) {
    const std::vector<float> psf = SparsePsf(c.antennas, c.seed, c.stretch);
    const GaussianBeam beam = FitBeam({psf.data(), {kN, kN}}, kCell);
    // The contour is no ellipse; its mean square width is the beam's.
    double squares = 0, ours = 0;
    for (int i = 0; i < 60; ++i) {
      const double angle = kPi * i / 60, width = HalfPowerWidth(psf, angle);
      squares += width * width;
      const double a = std::cos(angle - beam.angle_rad) / beam.major_rad,
                   b = std::sin(angle - beam.angle_rad) / beam.minor_rad;
      ours += 1 / (a * a + b * b) / (kCell * kCell);
    }
    EXPECT_NEAR(std::sqrt(ours / squares), 1, 0.03) << c.antennas << " antennas";
  }
}

TEST(FitBeam, LeavesOutSideLobesThatHangOnToTheMainLobe) {
  std::vector<float> psf = Gaussian(8, 6, 0);
  const std::vector<float> wide = Gaussian(40, 5, 90);
  for (std::size_t i = 0; i < psf.size(); ++i) psf[i] = 0.7F * psf[i] + 0.3F * wide[i];
  const GaussianBeam beam = FitBeam({psf.data(), {kN, kN}}, kCell);
  EXPECT_NEAR(beam.major_rad / kCell, HalfPowerWidth(psf, beam.angle_rad), 0.03 * beam.major_rad / kCell);
  EXPECT_NEAR(beam.minor_rad / kCell, HalfPowerWidth(psf, beam.angle_rad + kPi / 2), 0.03 * beam.minor_rad / kCell);
}

TEST(MeasurePsf, MisfitAndSidelobe) {
  std::vector<float> psf = Gaussian(8, 5, 20);
  const GaussianBeam beam{8 * kCell, 5 * kCell, 20 * kPi / 180};
  PsfShape shape = MeasurePsf({psf.data(), {kN, kN}}, beam, kCell);
  EXPECT_NEAR(shape.misfit, 0, 1e-6);
  EXPECT_NEAR(shape.sidelobe, 0, 2e-3);
  psf[40 * kN + 50] = 0.3F;
  shape = MeasurePsf({psf.data(), {kN, kN}}, {16 * kCell, 10 * kCell, beam.angle_rad}, kCell);
  EXPECT_NEAR(shape.sidelobe, 0.3, 1e-6);
  EXPECT_GT(shape.misfit, 0.4);
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
