#include "mosaic/background/rms_mesh.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "config/error.h"
#include "image/plane/plane.h"

namespace contimg::mosaic {
namespace {

constexpr float kMeshBlank = std::numeric_limits<float>::quiet_NaN();

// White noise whose rms grows from left to right: 1 at x = 0, 3 at x = n.
image::Plane Sloped(std::size_t n, unsigned seed) {
  image::Plane plane(n, n);
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  for (std::size_t y = 0; y < n; ++y) {
    for (std::size_t x = 0; x < n; ++x)
      plane.view()(y, x) = normal(random) * (1 + 2 * static_cast<float>(x) / static_cast<float>(n));
  }
  return plane;
}

TEST(RmsMesh, FollowsTheNoise) {
  const image::Plane plane = Sloped(1024, 1);
  const image::CoarseMap mesh = MeasureRms(plane.view(), {}, 2);
  for (const double x : {200.0, 500.0, 800.0}) {
    EXPECT_NEAR(mesh.At(x, 512), 1 + 2 * x / 1024, 0.06 * (1 + 2 * x / 1024)) << x;
  }
}

// One node by sorting, in another order of steps and in double.
TEST(RmsMesh, IsTheClippedStandardDeviation) {
  image::Plane plane = Sloped(256, 2);
  for (std::size_t i = 0; i < plane.pixels.size(); i += 37) plane.pixels[i] = 50;  // far outliers
  RmsMeshOptions options;
  options.step_px = 256;
  const image::CoarseMap mesh = MeasureRms(plane.view(), options, 1);
  ASSERT_EQ(mesh.values.size(), 1u);
  std::vector<double> values;
  for (std::size_t y = 0; y < 256; y += 4) {
    for (std::size_t x = 0; x < 256; x += 4) values.push_back(plane.view()(y, x));
  }
  for (int round = 0; round < 3; ++round) {
    std::sort(values.begin(), values.end());
    const double median = values[values.size() / 2];
    std::vector<double> deviations;
    for (const double v : values) deviations.push_back(std::abs(v - median));
    std::sort(deviations.begin(), deviations.end());
    const double limit = 3.5 * 1.482602218505602 * deviations[deviations.size() / 2];
    values.erase(std::remove_if(values.begin(), values.end(), [&](double v) { return std::abs(v - median) > limit; }),
                 values.end());
  }
  double mean = 0, square = 0;
  for (const double v : values) mean += v / static_cast<double>(values.size());
  for (const double v : values) square += (v - mean) * (v - mean) / static_cast<double>(values.size());
  EXPECT_NEAR(mesh.values[0], 1.005 * std::sqrt(square), 1e-4);
}

TEST(RmsMesh, SourcesDoNotRaiseIt) {
  image::Plane plane = Sloped(512, 3), with = Sloped(512, 3);
  for (std::size_t s = 0; s < 40; ++s) {  // of 12 pixels across, 1 % of the area
    for (std::size_t y = 0; y < 8; ++y) {
      for (std::size_t x = 0; x < 8; ++x) with.view()(y + 12 * s, (x + 137 * s) % 500) += 30;
    }
  }
  EXPECT_NEAR(MeasureRms(with.view(), {}, 1).At(256, 256) / MeasureRms(plane.view(), {}, 1).At(256, 256), 1, 0.02);
}

// Blank pixels, whether marked by NaN or by the zeros of other programs, tell nothing of the noise.
TEST(RmsMesh, BlankIsNotZero) {
  const image::Plane whole = Sloped(1024, 4);
  for (const float mark : {kMeshBlank, 0.0F}) {
    image::Plane plane = Sloped(1024, 4);
    for (std::size_t y = 0; y < 1024; ++y) {
      for (std::size_t x = 400; x < 1024; ++x) plane.view()(y, x) = mark;
    }
    const image::CoarseMap mesh = MeasureRms(plane.view(), {}, 1);
    EXPECT_NEAR(mesh.At(200, 500) / MeasureRms(whole.view(), {}, 1).At(200, 500), 1, 0.05);
    EXPECT_NEAR(mesh.At(900, 500), mesh.At(450, 500), 0.2);  // from the neighbours
    EXPECT_GT(mesh.Minimum(), 1);
  }
}

TEST(RmsMesh, AllBlankIsRefused) {
  for (const float mark : {kMeshBlank, 0.0F}) {
    image::Plane plane(300, 300);
    for (float& v : plane.pixels) v = mark;
    try {
      MeasureRms(plane.view(), {}, 1);
      FAIL() << mark;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
    }
  }
}

TEST(RmsMesh, DoesNotDependOnThreads) {
  const image::Plane plane = Sloped(700, 5);
  const auto one = MeasureRms(plane.view(), {}, 1), many = MeasureRms(plane.view(), {}, 5);
  EXPECT_EQ(std::memcmp(one.values.data(), many.values.data(), one.values.size() * sizeof(float)), 0);
}

TEST(RmsMesh, ASmallImageHasItsNoise) { EXPECT_NEAR(MeasureRms(Sloped(64, 6).view(), {}, 1).At(32, 32), 2, 0.2); }

}  // namespace
}  // namespace contimg::mosaic
