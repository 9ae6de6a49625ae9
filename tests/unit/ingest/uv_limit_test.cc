#include "ingest/uv_limit.h"

#include <gtest/gtest.h>

namespace contimg {
namespace {

// Baselines of so many metres east, seen at 1.4 GHz (0.2141 m), and one autocorrelation.
VisibilityBlock Block(const std::vector<double>& lengths_m) {
  VisibilityBlock block;
  block.time_mjd_s = {0, 10};
  block.integration_s = {10, 10};
  block.frequency_hz = {1.4e9};
  block.polarisations = {Polarisation::kXX};
  block.baselines.push_back({0, 0});
  for (std::size_t i = 0; i < lengths_m.size(); ++i) block.baselines.push_back({0, static_cast<int>(i) + 1});
  block.uvw_m.assign(2 * block.baselines.size() * 3, 0.0);
  for (std::size_t t = 0; t < 2; ++t) {
    for (std::size_t i = 0; i < lengths_m.size(); ++i) {
      block.uvw_m[(t * block.baselines.size() + i + 1) * 3] = lengths_m[i];
    }
  }
  return block;
}

TEST(UvLimit, TheUsualLimitHoldsWhereItLeavesAQuarterOfTheBaselines) {
  const UvLimit four = ChooseUvLimit(Block({100, 150, 200, 300}), -1, 0);
  EXPECT_EQ(four.min_lambda, kUsualMinUvLambda);
  EXPECT_EQ(four.kept, 1U);
  EXPECT_EQ(four.all, 4U);
  EXPECT_FALSE(four.usual_left_out);
  EXPECT_EQ(Describe(four), "the uv limits (from 1000 wavelengths) leave 1 of 4 baselines");
  const UvLimit five = ChooseUvLimit(Block({100, 110, 150, 200, 300}), -1, 0);
  EXPECT_EQ(five.min_lambda, 0);
  EXPECT_EQ(five.kept, 5U);
  EXPECT_TRUE(five.usual_left_out);
  EXPECT_EQ(Describe(five), "");
}

TEST(UvLimit, ALimitThatWasSetAlwaysHolds) {
  const UvLimit none = ChooseUvLimit(Block({100, 110, 150, 200}), 1000, 0);
  EXPECT_EQ(none.min_lambda, 1000);
  EXPECT_EQ(none.kept, 0U);
  EXPECT_EQ(none.all, 4U);
  EXPECT_FALSE(none.usual_left_out);
  const UvLimit between = ChooseUvLimit(Block({100, 110, 150, 200, 300}), 600, 1000);
  EXPECT_EQ(between.kept, 2U);
  EXPECT_EQ(Describe(between), "the uv limits (from 600 to 1000 wavelengths) leave 2 of 5 baselines");
  EXPECT_EQ(ChooseUvLimit(Block({100, 300}), 0, 0).kept, 2U);
}

TEST(UvLimit, NoLimitsAreAllBaselines) {
  UvLimit limit;
  EXPECT_EQ(RangeText(limit), "all baselines");
  limit.max_lambda = 20000;
  EXPECT_EQ(RangeText(limit), "to 20000 wavelengths");
  limit.min_lambda = 1000;
  EXPECT_EQ(RangeText(limit), "from 1000 to 20000 wavelengths");
}

}  // namespace
}  // namespace contimg
