#include "image/clean/fine_positions.h"

#include <gtest/gtest.h>

#include <cmath>

#include "image/clean/clean.h"
#include "tests/unit/image/test_sky.h"

namespace contimg::image {
namespace {

constexpr std::size_t kFineSize = 96;
constexpr double kBand = 0.25;  // 3.5 sigma of the uv points

class FinePositionsTest : public testing::Test {
 protected:
  FinePositionsTest() : array_(kFineSize, 400, 0.07, 5), psf_(array_.PsfImage()) {}
  ArrayView<const float, 2> Psf() const { return {psf_.data(), {kFineSize, kFineSize}}; }

  // The largest pixel of the difference between the dirty images of two lists of points.
  double Difference(const std::vector<Point>& a, const std::vector<Point>& b) const {
    std::vector<float> image(kFineSize * kFineSize);
    array_.Add(a, 1, {image.data(), {kFineSize, kFineSize}});
    array_.Add(b, -1, {image.data(), {kFineSize, kFineSize}});
    double largest = 0;
    for (const float value : image) largest = std::max<double>(largest, std::abs(value));
    return largest;
  }
  static std::vector<Point> PointsOf(const std::vector<float>& model) {
    std::vector<Point> points;
    for (std::size_t i = 0; i < model.size(); ++i) {
      if (model[i] != 0)
        points.push_back({static_cast<double>(i % kFineSize), static_cast<double>(i / kFineSize), model[i]});
    }
    return points;
  }
  TestArray array_;
  std::vector<float> psf_;
};

TEST_F(FinePositionsTest, PatternOfAPointHasTheDirtyImageOfThePoint) {
  const FinePositions fine(Psf(), kBand);
  ASSERT_TRUE(fine.usable());
  for (const double fraction : {0.125, 0.25, 0.4375, -0.3125}) {
    std::vector<float> model(kFineSize * kFineSize);
    fine.AddPoints({{40, 50, 0, 2.0F, static_cast<float>(fraction), -0.25F}}, {model.data(), {kFineSize, kFineSize}});
    // The interpolator's error is 1e-4 rms of each sample; of the 400 samples all errors may add up at one pixel.
    EXPECT_LT(Difference(PointsOf(model), {{40 + fraction, 49.75, 2.0}}), 2e-3) << fraction;
  }
}

TEST_F(FinePositionsTest, JoinsPixelsAroundASourceIntoTheSource) {
  const FinePositions fine(Psf(), kBand);
  // The four pixels about (40.3, 50.6), shared bilinearly, with the flux that makes their response that of 1 Jy.
  std::vector<CleanComponent> four = {{40, 50, 0, 0.28F}, {41, 50, 0, 0.12F}, {40, 51, 0, 0.42F}, {41, 51, 0, 0.18F}};
  std::vector<float> image(kFineSize * kFineSize);
  std::vector<Point> points;
  for (const CleanComponent& c : four) {
    points.push_back({static_cast<double>(c.x), static_cast<double>(c.y), c.flux_jy});
  }
  const std::vector<CleanComponent> joined = fine.Merge(four);
  ASSERT_EQ(joined.size(), 1U);
  EXPECT_NEAR(joined[0].x + static_cast<double>(joined[0].dx), 40.3, 0.01);
  EXPECT_NEAR(joined[0].y + static_cast<double>(joined[0].dy), 50.6, 0.01);
  EXPECT_LT(joined[0].flux_jy, 0.99);  // the sharp core of the PSF sees the spread of the four
  EXPECT_LE(std::abs(joined[0].dx), 0.5F);
  EXPECT_LE(std::abs(joined[0].dy), 0.5F);
  // A point with these numbers explains the four components better than the same point with their summed flux does.
  const Point at{joined[0].x + static_cast<double>(joined[0].dx), joined[0].y + static_cast<double>(joined[0].dy),
                 joined[0].flux_jy};
  EXPECT_LT(Difference(points, {at}), 0.5 * Difference(points, {{at.x, at.y, 1.0}}));
}

TEST_F(FinePositionsTest, LeavesDistantOpposedAndExtendedComponentsAlone) {
  const FinePositions fine(Psf(), kBand);
  const std::vector<CleanComponent> apart = {{10, 20, 0, 1.0F}, {14, 20, 0, 0.5F}, {60, 60, 0, 1.0F}};
  EXPECT_EQ(fine.Merge(apart).size(), 3U);
  const std::vector<CleanComponent> opposed = {{10, 20, 0, 1.0F}, {11, 20, 0, -0.9F}};
  EXPECT_EQ(fine.Merge(opposed).size(), 2U);
  const std::vector<CleanComponent> extended = {{10, 20, 1, 1.0F}, {11, 20, 1, 0.9F}, {11, 20, 1, 0.1F}};
  const auto kept = fine.Merge(extended);
  ASSERT_EQ(kept.size(), 2U);  // one place: summed
  EXPECT_FLOAT_EQ(kept[1].flux_jy, 1.0F);
}

TEST_F(FinePositionsTest, DoesNothingWhereThePixelsAreTooCoarse) {
  const FinePositions fine(Psf(), 0.5);
  EXPECT_FALSE(fine.usable());
  EXPECT_EQ(fine.Merge({{10, 20, 0, 1.0F}, {11, 20, 0, 0.9F}}).size(), 2U);
}

// The reason for all this: a source between pixels is restored with its flux.
TEST_F(FinePositionsTest, CleanPutsASourceBetweenPixelsWhereItIs) {
  const Point source{40.5, 50.4, 1.0};
  std::vector<float> dirty(kFineSize * kFineSize);
  array_.Add({source}, 1, {dirty.data(), {kFineSize, kFineSize}});
  TestMajorCycle exact(array_, dirty);
  CleanInput input;
  input.major_cycle = &exact;
  input.psf = Psf();
  CleanSettings settings;
  settings.auto_mask = settings.auto_threshold = 0;
  settings.threshold_jy = 2e-3;
  double flux[2];
  for (const bool fine : {false, true}) {
    settings.psf_band = fine ? kBand : 0;
    std::vector<float> residual = dirty, model(kFineSize * kFineSize);
    const CleanReport report =
        Clean(input, settings, {residual.data(), {kFineSize, kFineSize}}, {model.data(), {kFineSize, kFineSize}});
    // What a restoring beam much wider than the core would show at the source.
    double sum = 0;
    for (const CleanComponent& c : report.components) {
      if (std::hypot(c.x + c.dx - source.x, c.y + c.dy - source.y) < 3) sum += c.flux_jy;
    }
    flux[fine ? 1 : 0] = sum;
    if (fine) {
      const auto brightest = *std::max_element(report.components.begin(), report.components.end(),
                                               [](const auto& a, const auto& b) { return a.flux_jy < b.flux_jy; });
      EXPECT_NEAR(brightest.x + static_cast<double>(brightest.dx), source.x, 0.01);
      EXPECT_NEAR(brightest.y + static_cast<double>(brightest.dy), source.y, 0.01);
    }
  }
  EXPECT_GT(flux[0], 1.005);         // pixels: too bright
  EXPECT_NEAR(flux[1], 1.0, 0.005);  // what is left of the source is below 2 mJy
}

}  // namespace
}  // namespace contimg::image
