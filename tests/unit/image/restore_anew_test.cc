#include "image/clean/restore_anew.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "image/clean/restore.h"
#include "image/plane/plane.h"

namespace contimg::image {
namespace {

constexpr std::size_t kAnewNy = 260, kAnewNx = 300;
constexpr double kAnewCell = 3.0 / 206265.0;
const GaussianBeam kAnewFrom{11.5 * kAnewCell, 5.5 * kAnewCell, 0.4};
const std::vector<SkyPoint> kAnewPoints{
    {100.3, 150.7, 2.0}, {104.9, 140.2, -0.5}, {200, 80, 1.0}, {150.5, 130.25, 0.01}};  // the last two at the edges

struct Restored {
  Plane image{kAnewNy, kAnewNx}, residual{kAnewNy, kAnewNx};
};
// The points through a beam on a residual that is nothing like it.
Restored RestoredWith(const GaussianBeam& beam) {
  Restored r;
  std::mt19937 random(5);
  std::normal_distribution<float> normal(0, 0.01F);
  for (float& v : r.residual.pixels) v = normal(random);
  r.image = Copy(r.residual, 1);
  AddBeams(kAnewPoints, beam, kAnewCell, r.image.view(), 1);
  return r;
}
void MakeAnew(Restored& r, const GaussianBeam& to, int threads = 2) {
  RestoreAnew(kAnewFrom, to, *BeamBetween(kAnewFrom, to), r.residual.view(), kAnewCell, r.image.view(), threads);
}

double LargestDifference(const Plane& a, const Plane& b, std::size_t margin) {
  double largest = 0;
  for (std::size_t y = margin; y < kAnewNy - margin; ++y) {
    for (std::size_t x = margin; x < kAnewNx - margin; ++x) {
      largest = std::max(largest, std::abs(static_cast<double>(a.view()(y, x)) - b.view()(y, x)));
    }
  }
  return largest;
}

// What another restoration would have made, pixel by pixel, whatever lies between the beams.
TEST(RestoreAnew, IsTheRestorationWithTheOtherBeam) {
  for (const GaussianBeam& to :
       {GaussianBeam{15 * kAnewCell, 9.5 * kAnewCell, 0.7}, GaussianBeam{20 * kAnewCell, 20 * kAnewCell, 0},
        GaussianBeam{16 * kAnewCell, 5.5 * kAnewCell, 0.4}, GaussianBeam{11.8 * kAnewCell, 5.6 * kAnewCell, 0.4},
        GaussianBeam{30 * kAnewCell, 14 * kAnewCell, 0.1}}) {
    ASSERT_TRUE(BeamBetween(kAnewFrom, to)) << BeamWords(to);
    Restored r = RestoredWith(kAnewFrom);
    MakeAnew(r, to);
    EXPECT_LT(LargestDifference(r.image, RestoredWith(to).image, 0), 6e-6) << BeamWords(to);
  }
}

// Nobody knows what an edge cuts off; it does no harm farther away.
TEST(RestoreAnew, SourcesAtEdgesStayThere) {
  const GaussianBeam to{15 * kAnewCell, 9.5 * kAnewCell, 0.7};
  const std::vector<SkyPoint> cut{{3.5, 4.25, 1.0}, {298.1, 200, 0.7}, {150, -6, 1.0}};
  Restored r, expected;
  AddBeams(cut, kAnewFrom, kAnewCell, r.image.view(), 1);
  AddBeams(cut, to, kAnewCell, expected.image.view(), 1);
  MakeAnew(r, to);
  EXPECT_LT(LargestDifference(r.image, expected.image, 30), 1e-3);
  for (const float v : r.image.pixels) ASSERT_TRUE(std::abs(v) < 1.2);
}

// The flux of what is inside is kept, each pixel counting as a part of its beam.
TEST(RestoreAnew, KeepsFlux) {
  const GaussianBeam to{16 * kAnewCell, 13 * kAnewCell, 1.2};
  Restored r;
  AddBeams({{150.3, 130.7, 2.0}, {120, 100.5, 1.0}}, kAnewFrom, kAnewCell, r.image.view(), 1);
  const auto flux = [](const Plane& plane, const GaussianBeam& beam) {
    const double area = kPi / (4 * std::log(2.0)) * beam.major_rad * beam.minor_rad / (kAnewCell * kAnewCell);
    return std::accumulate(plane.pixels.begin(), plane.pixels.end(), 0.0) / area;
  };
  EXPECT_NEAR(flux(r.image, kAnewFrom), 3, 3e-5);
  MakeAnew(r, to);
  EXPECT_NEAR(flux(r.image, to), 3, 3e-5);
}

TEST(RestoreAnew, LeavesTheResidualAndBlanksAlone) {
  Restored r;
  r.residual = RestoredWith(kAnewFrom).residual;
  r.image = Copy(r.residual, 1);
  r.image.view()(20, 30) = std::numeric_limits<float>::quiet_NaN();
  MakeAnew(r, {20 * kAnewCell, 9 * kAnewCell, 0.4});
  for (std::size_t i = 0; i < r.image.pixels.size(); ++i) {
    if (i == 20 * kAnewNx + 30) {
      EXPECT_TRUE(std::isnan(r.image.pixels[i]));
    } else {
      ASSERT_EQ(r.image.pixels[i], r.residual.pixels[i]);
    }
  }
}

TEST(RestoreAnew, DoesNotDependOnTheNumberOfThreads) {
  Restored one = RestoredWith(kAnewFrom), three = RestoredWith(kAnewFrom);
  MakeAnew(one, {15 * kAnewCell, 9.5 * kAnewCell, 0.7}, 1);
  MakeAnew(three, {15 * kAnewCell, 9.5 * kAnewCell, 0.7}, 3);
  EXPECT_TRUE(std::equal(one.image.pixels.begin(), one.image.pixels.end(), three.image.pixels.begin()));
}

TEST(RestoreAnew, DoesNothingBetweenEqualBeams) {
  Restored r = RestoredWith(kAnewFrom);
  const Plane before = Copy(r.image, 1);
  MakeAnew(r, kAnewFrom);
  EXPECT_TRUE(std::equal(before.pixels.begin(), before.pixels.end(), r.image.pixels.begin()));
}

}  // namespace
}  // namespace contimg::image
