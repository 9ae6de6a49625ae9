#include "calibrate/delay_solver.h"

#include <gtest/gtest.h>

#include "tests/unit/calibrate/synthetic_block.h"

namespace contimg::calibrate {
namespace {

using testkit::Gains;

DelaySolution Solve(const VisibilityBlock& block, const std::vector<Visibility>& model) {
  StatisticsParams params;
  params.intervals = {{0, block.n_times()}};
  for (std::size_t c = 0; c <= block.n_channels(); ++c) params.cells.push_back(c);
  const Statistics s =
      AccumulateStatistics({&block, testkit::ModelView(block, model), nullptr}, EstimateNoise(block, 1), params, 1);
  return SolveDelays(s, block.baselines, block.antennas.size(), block.frequency_hz, {}, 2);
}

struct Case {
  VisibilityBlock block;
  std::vector<Visibility> model;
  std::vector<double> delay_ns;  // [antenna][receptor]
};

Case MakeCase(double max_ns, double sigma, std::size_t n_antennas = 12) {
  testkit::BlockShape shape;
  shape.n_antennas = n_antennas;
  shape.n_windows = 4;
  shape.channels_per_window = 48;
  Case c{testkit::MakeBlock(shape), {}, {}};
  c.model = testkit::ConstantModel(c.block, 10);
  std::mt19937 random(9);
  std::uniform_real_distribution<double> unit(-1, 1);
  Gains gains(n_antennas * 192 * 2);
  for (std::size_t a = 0; a < n_antennas; ++a) {
    for (std::size_t r = 0; r < 2; ++r) {
      const double delay = max_ns * unit(random), phase = 3 * unit(random);
      c.delay_ns.push_back(delay);
      for (std::size_t k = 0; k < 192; ++k) {
        gains[(a * 192 + k) * 2 + r] = std::polar(1.0, phase + 2e-9 * kPi * delay * (c.block.frequency_hz[k] - 1.3e9));
      }
    }
  }
  testkit::FillVisibilities(c.block, c.model, gains, sigma);
  return c;
}

TEST(SolveDelays, FindsLargeDelaysToWithinTheirErrors) {
  const Case c = MakeCase(400, 5);
  const DelaySolution s = Solve(c.block, c.model);
  double chi = 0;
  int n = 0;
  for (std::size_t r = 0; r < 2; ++r) {
    for (std::size_t p = 0; p < 12; ++p) {
      ASSERT_EQ(s.flag[p * 2 + r], 0);
      for (std::size_t q = p + 1; q < 12; ++q) {
        const double miss =
            s.delay_ns[p * 2 + r] - s.delay_ns[q * 2 + r] - c.delay_ns[p * 2 + r] + c.delay_ns[q * 2 + r];
        const double variance = std::pow(s.error_ns[p * 2 + r], 2) + std::pow(s.error_ns[q * 2 + r], 2);
        EXPECT_LT(std::abs(miss), 0.05 * 10);
        chi += miss * miss / variance;
        ++n;
      }
    }
  }
  // 22 independent delays stand behind the 132 differences: chi²/n scatters by √(2/22) = 0.3.
  EXPECT_NEAR(chi / n, 1, 0.75);
}

TEST(SolveDelays, ReachesAFewPicosecondsAtHighSnr) {
  const Case c = MakeCase(60, 0.1);
  const DelaySolution s = Solve(c.block, c.model);
  for (std::size_t a = 1; a < 12; ++a) {
    for (std::size_t r = 0; r < 2; ++r) {
      EXPECT_NEAR(s.delay_ns[a * 2 + r] - s.delay_ns[r], c.delay_ns[a * 2 + r] - c.delay_ns[r], 0.005);
    }
  }
}

TEST(SolveDelays, DeadAntennaIsFlaggedAndHarmless) {
  Case c = MakeCase(100, 1);
  std::mt19937 random(4);
  std::normal_distribution<float> normal(0, 0.7F);
  for (std::size_t t = 0; t < c.block.n_times(); ++t) {
    for (std::size_t b = 0; b < c.block.n_baselines(); ++b) {
      if (c.block.baselines[b].antenna1 != 5 && c.block.baselines[b].antenna2 != 5) continue;
      for (std::size_t k = 0; k < 192; ++k) c.block.vis_view()(t, b, k, 0) = {normal(random), normal(random)};
    }
  }
  const DelaySolution s = Solve(c.block, c.model);
  EXPECT_EQ(s.flag[10], 1);
  EXPECT_TRUE(std::isnan(s.delay_ns[10]));
  EXPECT_EQ(s.flag[11], 0);
  for (std::size_t a : {1U, 2U, 4U, 6U, 11U}) {
    EXPECT_NEAR(s.delay_ns[a * 2] - s.delay_ns[0], c.delay_ns[a * 2] - c.delay_ns[0], 0.1);
  }
}

TEST(SolveDelays, NothingButNoiseIsFlagged) {
  Case c = MakeCase(100, 1);
  std::mt19937 random(4);
  std::normal_distribution<float> normal(0, 0.7F);
  for (auto& v : c.block.vis) v = {normal(random), normal(random)};
  const DelaySolution s = Solve(c.block, c.model);
  EXPECT_EQ(std::count(s.flag.begin(), s.flag.end(), 1), 24);
}

TEST(SolveDelays, AllFlaggedMeansNoSolution) {
  Case c = MakeCase(100, 1);
  std::fill(c.block.flag.begin(), c.block.flag.end(), std::uint8_t{1});
  const DelaySolution s = Solve(c.block, c.model);
  EXPECT_EQ(std::count(s.flag.begin(), s.flag.end(), 1), 24);
}

}  // namespace
}  // namespace contimg::calibrate
