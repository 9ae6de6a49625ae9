#include "image/plane/image_statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace contimg::image {
namespace {

std::vector<float> Noise(std::size_t count, double sigma, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, static_cast<float>(sigma));
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return values;
}

TEST(ComputeRobustStatistics, FindTheNoiseUnderSources) {
  constexpr std::size_t kN = 1000;
  std::vector<float> image = Noise(kN * kN, 2e-3, 1);
  for (std::size_t i = 0; i < image.size(); i += 101) image[i] += 5;  // 1 % of the pixels
  const RobustStatistics s = ComputeRobustStatistics({image.data(), {kN, kN}}, 1 << 18);
  // Standard error 1.2/sqrt(2^18) = 0.23 %; 1 % outliers on one side raise the MAD by 1.3 %.
  EXPECT_NEAR(s.rms, 2e-3, 0.025 * 2e-3);
  EXPECT_LE(s.samples, std::size_t{1} << 18);
}

TEST(ComputeRobustStatistics, IgnoreNaN) {
  std::vector<float> image = {1, 2, 3, 4, 5, std::nanf(""), std::nanf(""), std::nanf(""), std::nanf("")};
  const RobustStatistics s = ComputeRobustStatistics({image.data(), {3, 3}});
  EXPECT_EQ(s.median, 3);
  EXPECT_NEAR(s.rms, 1.4826, 1e-4);
  EXPECT_EQ(s.samples, 5U);
}

TEST(ImageMoments, AreThoseOfAGaussian) {
  constexpr std::size_t kN = 700;
  std::vector<float> image = Noise(kN * kN, 3, 2);
  image[123 * kN + 456] = 100;
  image[600 * kN + 7] = -50;
  image[5] = std::nanf("");
  const ImageMoments one = ComputeMoments({image.data(), {kN, kN}}, 1),
                     four = ComputeMoments({image.data(), {kN, kN}}, 4);
  EXPECT_EQ(one.maximum, 100);
  EXPECT_EQ(one.x_of_maximum, 456U);
  EXPECT_EQ(one.y_of_maximum, 123U);
  EXPECT_EQ(one.minimum, -50);
  EXPECT_EQ(one.y_of_minimum, 600U);
  EXPECT_EQ(one.count, kN * kN - 1);
  EXPECT_NEAR(one.mean, 0, 4 * 3 / 700.0);
  EXPECT_NEAR(one.rms, 3, 0.02);
  EXPECT_EQ(one.sum, four.sum);
  EXPECT_EQ(one.kurtosis, four.kurtosis);
}

TEST(LocalRms, FollowsTheNoise) {
  constexpr std::size_t kN = 400;
  std::vector<float> image = Noise(kN * kN, 1, 3);
  for (std::size_t y = 0; y < kN; ++y) {
    for (std::size_t x = kN / 2; x < kN; ++x) image[y * kN + x] *= 5;
  }
  const CoarseMap map = LocalRms({image.data(), {kN, kN}}, 40, LocalRmsMethod::kRms, 2);
  // About 1800 independent pixels in the window: 2 % standard error, four of them.
  EXPECT_NEAR(map.At(80, 200), 1, 0.08);
  EXPECT_NEAR(map.At(320, 200), 5, 0.4);
  EXPECT_NEAR(map.Minimum(), 1, 0.15);
}

TEST(LocalRms, WithMinimumRisesAroundNegativeBowls) {
  constexpr std::size_t kN = 200;
  std::vector<float> image = Noise(kN * kN, 1, 4);
  image[100 * kN + 100] = -50;
  const CoarseMap map = LocalRms({image.data(), {kN, kN}}, 40, LocalRmsMethod::kRmsWithMin, 1);
  EXPECT_NEAR(map.At(100, 100), 15, 0.1);
  EXPECT_LT(map.At(20, 20), 2);
}

}  // namespace
}  // namespace contimg::image
