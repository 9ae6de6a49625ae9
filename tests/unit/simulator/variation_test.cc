#include "tests/simulator/variation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/simulator/lightcurve_truth.h"
#include "tests/temporary_folder.h"

namespace contimg::simulator {
namespace {

TEST(Variation, IsSteadyUnlessToldOtherwise) {
  const Variation steady;
  EXPECT_FALSE(steady.varies());
  EXPECT_EQ(steady.FactorAt(60000), 1);
}

TEST(Variation, SinusoidRisesThroughItsMean) {
  Variation v;
  v.kind = VariationKind::kSinusoid;
  v.at_mjd = 60000;
  v.amplitude = 0.4;
  v.period_d = 8;
  EXPECT_TRUE(v.varies());
  EXPECT_DOUBLE_EQ(v.FactorAt(60000), 1);
  EXPECT_DOUBLE_EQ(v.FactorAt(60002), 1.4);
  EXPECT_DOUBLE_EQ(v.FactorAt(59998), 0.6);
  EXPECT_NEAR(v.FactorAt(60001), 1 + 0.4 * std::sqrt(0.5), 1e-12);
}

TEST(Variation, FlareRisesAndDecaysByItsFoldingTimes) {
  Variation v;
  v.kind = VariationKind::kFlare;
  v.at_mjd = 60000;
  v.factor = 5;
  v.rise_d = 0.5;
  v.decay_d = 2;
  EXPECT_DOUBLE_EQ(v.FactorAt(60000), 5);
  EXPECT_DOUBLE_EQ(v.FactorAt(59999.5), 1 + 4 / std::exp(1.0));
  EXPECT_DOUBLE_EQ(v.FactorAt(60004), 1 + 4 / std::exp(2.0));
  v.rise_d = 0;
  EXPECT_EQ(v.FactorAt(59999.999), 1);
}

TEST(Variation, StepAndTransientBeginAndEndWhenTold) {
  Variation v;
  v.kind = VariationKind::kStep;
  v.at_mjd = 60000;
  v.factor = 0.25;
  v.to_mjd = 60010;
  EXPECT_EQ(v.FactorAt(59999.9), 1);
  EXPECT_EQ(v.FactorAt(60000), 0.25);
  EXPECT_EQ(v.FactorAt(60010), 0);
  Variation transient;
  transient.from_mjd = 60000;
  EXPECT_TRUE(transient.varies());
  EXPECT_EQ(transient.FactorAt(59999.9), 0);
  EXPECT_EQ(transient.FactorAt(60000), 1);
}

TEST(LightCurveTruth, HasEverySourceInEveryTile) {
  const TemporaryFolder folder;
  Source steady{{Angle::Degrees(10), Angle::Degrees(20)}, 0.5, -0.7},
      step{{Angle::Degrees(11), Angle::Degrees(20)}, 2, 0};
  step.variation.kind = VariationKind::kStep;
  step.variation.at_mjd = 60000.5;
  step.variation.factor = 3;
  LightCurveTruth truth;
  truth.Add("a", 0, UtcTime::FromMjd(60000), {{steady, step}}, {0.5, 2.5});
  truth.Add("b", 1, UtcTime::FromMjd(60001), {{step}}, {std::nan("")});
  truth.Write(folder.path() / "t.json");
  const auto read = nlohmann::json::parse(std::ifstream(folder.path() / "t.json"));
  EXPECT_EQ(read["tiles"][1], (nlohmann::json{{"stamp", "b"}, {"day", 1}, {"mid_mjd", 60001.0}}));
  ASSERT_EQ(read["sources"].size(), 2u);
  EXPECT_EQ(read["sources"][0]["jy"], (nlohmann::json{0.5, nullptr}));
  EXPECT_EQ(read["sources"][1]["jy"], (nlohmann::json{2.0, 6.0}));
  EXPECT_EQ(read["sources"][0]["seen_jy"], (nlohmann::json{0.5, nullptr}));
  EXPECT_EQ(read["sources"][1]["seen_jy"], (nlohmann::json{2.5, nullptr}));
  EXPECT_EQ(read["sources"][1]["kind"], "step");
}

}  // namespace
}  // namespace contimg::simulator
