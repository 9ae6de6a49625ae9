#include "image/plane/slant_resample.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

namespace contimg::image {
namespace {

constexpr std::size_t kSlantSize = 256;

struct Wave {
  double u, v, re, im;  // cycles per radian
};

// Band-limited noise: plane waves in slant coordinates with |u|, |v| < band / cell.
std::vector<Wave> Waves(double band, double cell, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> uniform(-1, 1);
  std::vector<Wave> waves;
  for (int i = 0; i < 60; ++i) {
    waves.push_back({band / cell * uniform(random), band / cell * uniform(random), uniform(random), uniform(random)});
  }
  return waves;
}

double Sum(const std::vector<Wave>& waves, double l, double m) {
  double sum = 0;
  for (const Wave& w : waves) {
    const double phase = 2 * M_PI * (w.u * l + w.v * m);
    sum += w.re * std::cos(phase) + w.im * std::sin(phase);
  }
  return sum;
}

ImageGeometry Geometry(std::size_t n, double cell, double a, double b) {
  ImageGeometry geometry;
  geometry.nx = geometry.ny = n;
  geometry.cell_rad = cell;
  geometry.slant_a = a;
  geometry.slant_b = b;
  return geometry;
}

void ResampleToPlain(ArrayView<const float, 2> input, const ImageGeometry& slant,
                     const BandlimitedInterpolator& interpolator, ArrayView<float, 2> output,
                     const ImageGeometry& plain) {
  for (std::size_t y = 0; y < output.shape(0); ++y) ResampleRowToPlain(input, slant, interpolator, output, plain, y);
}

class Resampling : public testing::TestWithParam<std::pair<double, double>> {};

TEST_P(Resampling, EqualsTheImageItselfAtThePlainPositions) {
  const auto [band, tolerance] = GetParam();
  const double cell = 5e-4;  // 7 degrees across: the shift reaches 3 pixels at the corners
  const ImageGeometry slant = Geometry(kSlantSize + 32, cell, 0.15, -0.385), plain = Geometry(kSlantSize, cell, 0, 0);
  const std::vector<Wave> waves = Waves(band, cell, 3);
  std::vector<float> input(slant.nx * slant.ny), output(kSlantSize * kSlantSize);
  for (std::size_t y = 0; y < slant.ny; ++y) {
    for (std::size_t x = 0; x < slant.nx; ++x) {
      const double l = -(static_cast<double>(x) - static_cast<double>(slant.nx / 2)) * cell;
      const double m = (static_cast<double>(y) - static_cast<double>(slant.ny / 2)) * cell;
      input[y * slant.nx + x] = static_cast<float>(Sum(waves, l, m));
    }
  }
  const BandlimitedInterpolator interpolator(band, 3e-5);
  ResampleToPlain({input.data(), {slant.ny, slant.nx}}, slant, interpolator, {output.data(), {kSlantSize, kSlantSize}},
                  plain);
  double error2 = 0, sum2 = 0;
  for (std::size_t y = 0; y < kSlantSize; y += 3) {
    for (std::size_t x = 0; x < kSlantSize; x += 3) {
      const double l = -(static_cast<double>(x) - kSlantSize / 2.0) * cell,
                   m = (static_cast<double>(y) - kSlantSize / 2.0) * cell;
      const double n1 = std::sqrt(1 - l * l - m * m) - 1;
      const double expected = Sum(waves, l + 0.15 * n1, m - 0.385 * n1);
      error2 += std::pow(output[y * kSlantSize + x] - expected, 2);
      sum2 += expected * expected;
    }
  }
  EXPECT_LE(std::sqrt(error2 / sum2), tolerance);
  // The interpolator's own estimate is per axis and for the worst fraction.
  EXPECT_LE(std::sqrt(error2 / sum2), 1.5 * interpolator.expected_error() + 1e-6);
}

INSTANTIATE_TEST_SUITE_P(Bands, Resampling,
                         testing::Values(std::pair{0.05, 3e-6}, std::pair{0.18, 3e-5}, std::pair{0.19, 3e-6},
                                         std::pair{0.3, 3e-5}, std::pair{0.35, 2e-4}));

TEST(BandlimitedInterpolator, EightTapsSufficeForATile) {
  const BandlimitedInterpolator interpolator(0.18, 3e-5);
  EXPECT_EQ(interpolator.taps(), 8U);
  EXPECT_LE(interpolator.expected_error(), 3e-5);
}

TEST(InterpolateTwoAt, ReadsEachImageAsAlone) {
  constexpr std::size_t kN = 64;
  std::vector<float> a(kN * kN), b(kN * kN);
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  for (std::size_t i = 0; i < a.size(); ++i) a[i] = normal(random), b[i] = normal(random);
  b[20 * kN + 20] = NAN;
  const ArrayView<const float, 2> first(a.data(), {kN, kN}), second(b.data(), {kN, kN});
  const std::vector<double> x{-0.5, 0, 1.25, 20.25, 31.5, 40.99, 62.75, 63, 63.5, NAN},
      y{5, 0, 62.5, 21.5, 31.25, 3.01, 62.9, 63, 1, 2};
  for (const double band : {0.18, 0.3, 0.45}) {  // 8, 12 and 16 taps
    const BandlimitedInterpolator interpolator(band, 1e-4);
    std::vector<float> both(10), both2(10), alone(10), alone2(10);
    InterpolateTwoAt(first, second, interpolator, x.data(), y.data(), 10, both.data(), both2.data());
    InterpolateAt(first, interpolator, x.data(), y.data(), 10, alone.data());
    InterpolateAt(second, interpolator, x.data(), y.data(), 10, alone2.data());
    EXPECT_EQ(std::memcmp(both.data(), alone.data(), 40), 0) << band;
    EXPECT_EQ(std::memcmp(both2.data(), alone2.data(), 40), 0) << band;
    EXPECT_TRUE(std::isnan(both2[3]));
    EXPECT_FALSE(std::isnan(both[3]));
  }
}

TEST(BandlimitedInterpolator, KeepsAConstant) {
  const BandlimitedInterpolator interpolator(0.18, 3e-5);
  for (std::size_t phase = 0; phase <= BandlimitedInterpolator::kPhases; ++phase) {
    double sum = 0;
    for (std::size_t k = 0; k < 8; ++k) sum += interpolator.Weights(phase)[k];
    EXPECT_NEAR(sum, 1, 6e-5);  // one frequency of the band may do somewhat worse than the rms over it
  }
}

TEST(ResampleRowToPlain, MarksPixelsOutsideTheInput) {
  const double cell = 5e-4;
  const ImageGeometry slant = Geometry(kSlantSize, cell, 0, -0.4), plain = Geometry(kSlantSize, cell, 0, 0);
  std::vector<float> input(kSlantSize * kSlantSize, 1.0F), output(kSlantSize * kSlantSize);
  ResampleToPlain({input.data(), {kSlantSize, kSlantSize}}, slant, BandlimitedInterpolator(0.19, 3e-5),
                  {output.data(), {kSlantSize, kSlantSize}}, plain);
  // At the top corners m' = m − 0.4 (n − 1) > m lies beyond the last row.
  EXPECT_TRUE(std::isnan(output[(kSlantSize - 1) * kSlantSize]));
  EXPECT_NEAR(output[kSlantSize / 2 * kSlantSize + kSlantSize / 2], 1, 6e-5);
}

}  // namespace
}  // namespace contimg::image
