#include "calibrate/refine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "tests/unit/calibrate/synthetic_block.h"

namespace contimg::calibrate {
namespace {

using testkit::BlockShape;
using testkit::FillVisibilities;
using testkit::Gains;
using testkit::MakeBlock;

const BlockShape kShape{.n_antennas = 20, .n_times = 4, .n_windows = 4, .autocorrelations = false};

// Sources some tenths of a degree about the centre.
ModelSources Sky(const std::vector<double>& fluxes_jy) {
  ModelSources sky;
  sky.name = "field";
  for (std::size_t i = 0; i < fluxes_jy.size(); ++i) {
    SkySource source;
    source.name = "s" + std::to_string(i);
    source.ra_rad = 1.0 + 0.004 * std::cos(2.4 * static_cast<double>(i)) * static_cast<double>(i);
    source.dec_rad = kShape.declination_rad + 0.004 * std::sin(2.4 * static_cast<double>(i)) * static_cast<double>(i);
    source.flux_jy = fluxes_jy[i];
    sky.field.push_back(source);
  }
  return sky;
}

Settings WithoutBeam() {
  Settings settings;
  settings.telescope.beam = "none";
  settings.telescope.earth_orientation_file = "";
  return settings;
}

class DriftedTile {
 public:
  // Phases of `drift_deg` rms and a noise of `sigma_jy` per sample on a sky of three sources.
  DriftedTile(double drift_deg, double sigma_jy, const std::vector<double>& fluxes_jy = {4, 2, 1})
      : block(MakeBlock(kShape)), sky(Sky(fluxes_jy)) {
    block.data_state = DataState::kCorrected;
    const auto orientation = convert::EarthOrientationTable::LoadIfSet("");
    const Prediction model = Predict(block, sky.field, PredictOptionsOf(WithoutBeam(), block, orientation), 1);
    std::mt19937 random(7);
    std::normal_distribution<double> normal(0, Angle::Degrees(drift_deg).rad());
    Gains gains;
    for (std::size_t a = 0; a < block.antennas.size(); ++a) {
      for (std::size_t r = 0; r < 2; ++r) phases.push_back(normal(random));
      for (std::size_t c = 0; c < block.n_channels(); ++c) {
        for (std::size_t r = 0; r < 2; ++r) gains.push_back(std::polar(1.0, phases[2 * a + r]));
      }
    }
    FillVisibilities(block, {model.model.begin(), model.model.end()}, gains, sigma_jy);
  }

  // Root mean square of what is left of the phases, degrees, the mean taken off.
  double LeftDeg(const Refinement& refinement) const {
    double square = 0;
    for (std::size_t r = 0; r < 2; ++r) {
      std::vector<double> left;
      double mean = 0;
      for (std::size_t a = 0; a < block.antennas.size(); ++a) {
        left.push_back(phases[2 * a + r] - Angle::Degrees(refinement.phase_deg[a][r]).rad());
        mean += left.back() / static_cast<double>(block.antennas.size());
      }
      for (const double each : left) square += (each - mean) * (each - mean);
    }
    return Angle::Radians(std::sqrt(square / static_cast<double>(phases.size()))).deg();
  }

  VisibilityBlock block;
  ModelSources sky;
  std::vector<double> phases;  // [antenna][receptor], rad
};

TEST(RefineTile, FindsWhatPhasesHaveDriftedBy) {
  DriftedTile tile(6, 2);
  const std::vector<Visibility> before(tile.block.vis.begin(), tile.block.vis.end());
  const Refinement done = RefineTile(tile.block, tile.sky, WithoutBeam(), {});
  ASSERT_TRUE(done.applied) << done.why_not;
  EXPECT_EQ(done.antennas, 20U);
  EXPECT_EQ(done.model_sources, 3U);
  // One phase from 19 baselines of 256 samples each, of 2 Jy against √21 Jy.
  const double error_deg = Angle::Radians(1 / done.predicted_snr).deg();
  EXPECT_NEAR(done.predicted_snr, std::sqrt(2 * 19 * 256.0 * 21) / 2, 12);
  EXPECT_NEAR(tile.LeftDeg(done), error_deg, 0.3 * error_deg);
  EXPECT_NEAR(done.phase_rms_deg, 6, 1);
  EXPECT_NEAR(done.gain, done.gain_expected, 0.1 * done.gain_expected);
  // The visibilities are turned by them and keep their amplitudes.
  const Baseline& b = tile.block.baselines[3];
  const double turn = Angle::Degrees(done.phase_deg[static_cast<std::size_t>(b.antenna1)][1] -
                                     done.phase_deg[static_cast<std::size_t>(b.antenna2)][1])
                          .rad();
  const std::size_t i = 3 * tile.block.n_channels() * 2 + 1;
  EXPECT_LT(std::abs(tile.block.vis[i] - before[i] * Visibility(std::polar(1.0, -turn))), 1e-4F * std::abs(before[i]));
  EXPECT_THAT(RefinementHistory(done), testing::StartsWith("refined: phases of 20 antennas on 3 sources"));
}

TEST(RefineTile, LeavesWhatHasNotDrifted) {
  DriftedTile tile(0, 2);
  const std::vector<Visibility> before(tile.block.vis.begin(), tile.block.vis.end());
  const Refinement done = RefineTile(tile.block, tile.sky, WithoutBeam(), {});
  EXPECT_FALSE(done.applied);
  EXPECT_THAT(done.why_not, testing::HasSubstr("do not bring the other half nearer"));
  EXPECT_TRUE(std::equal(before.begin(), before.end(), tile.block.vis.begin()));
  EXPECT_EQ(RefinementHistory(done), "");
}

TEST(RefineTile, LeavesASkyThatIsTooFaint) {
  DriftedTile tile(6, 100);
  const Refinement done = RefineTile(tile.block, tile.sky, WithoutBeam(), {});
  EXPECT_FALSE(done.applied);
  EXPECT_LT(done.predicted_snr, 30);
  EXPECT_THAT(done.why_not, testing::HasSubstr("calibrate.refine_min_snr"));
}

// The catalogue lacks a quarter of the flux and is wrong in the rest: the drift is found all the same.
TEST(RefineTile, BearsACatalogueThatIsWrong) {
  DriftedTile tile(6, 2, {4, 2, 1, 1.5, 1});
  ModelSources known = Sky({4.2, 1.8, 1.1});
  const Refinement done = RefineTile(tile.block, known, WithoutBeam(), {});
  ASSERT_TRUE(done.applied) << done.why_not;
  EXPECT_LT(tile.LeftDeg(done), 3);
}

TEST(RefineTile, DoesNotDependOnThreads) {
  DriftedTile one(6, 2), three(6, 2);
  RunContext context;
  RefineTile(one.block, one.sky, WithoutBeam(), context);
  context.threads = 3;
  RefineTile(three.block, three.sky, WithoutBeam(), context);
  EXPECT_TRUE(std::equal(one.block.vis.begin(), one.block.vis.end(), three.block.vis.begin()));
}

}  // namespace
}  // namespace contimg::calibrate
