#include "calibrate/gain_solver.h"

#include <gtest/gtest.h>

#include <limits>

#include "tests/unit/calibrate/synthetic_block.h"

namespace contimg::calibrate {
namespace {

using testkit::BlockShape;
using testkit::Gains;

StatisticsParams PerChannel(const VisibilityBlock& block) {
  StatisticsParams params;
  params.intervals = {{0, block.n_times()}};
  for (std::size_t c = 0; c <= block.n_channels(); ++c) params.cells.push_back(c);
  return params;
}

GainSolution Solve(const VisibilityBlock& block, const std::vector<Visibility>& model, const StatisticsParams& params,
                   const GainSolveParams& solve = {}, int threads = 1) {
  const auto noise = EstimateNoise(block, threads);
  const Statistics s =
      AccumulateStatistics({&block, testkit::ModelView(block, model), nullptr}, noise, params, threads);
  return SolveGains(s, block.baselines, block.antennas.size(), solve, threads);
}

// The phase that turns the solution onto the truth (least squares over antennas).
std::complex<double> Align(const GainSolution& s, const Gains& truth, std::size_t t, std::size_t c, std::size_t r,
                           std::size_t n_channels, std::size_t truth_channel) {
  std::complex<double> sum = 0;
  for (std::size_t a = 0; a < s.n_antennas; ++a) {
    const std::size_t i = s.Index(t, a, c, r);
    if (!s.flag[i]) sum += truth[(a * n_channels + truth_channel) * 2 + r] * std::conj(s.gain[i]);
  }
  return sum / std::abs(sum);
}

TEST(SolveGains, RecoversGainsWithinTheirStatisticalErrors) {
  BlockShape shape;
  shape.n_antennas = 24;
  VisibilityBlock block = testkit::MakeBlock(shape);
  const auto model = testkit::ConstantModel(block, 10);
  const Gains truth = testkit::RandomGains(block, 5);
  testkit::FillVisibilities(block, model, truth, 2.0);
  const GainSolution s = Solve(block, model, PerChannel(block));
  double chi = 0;
  std::size_t n = 0;
  for (std::size_t c = 0; c < s.n_cells; ++c) {
    for (std::size_t r = 0; r < 2; ++r) {
      const auto phase = Align(s, truth, 0, c, r, s.n_cells, c);
      for (std::size_t a = 0; a < s.n_antennas; ++a) {
        const std::size_t i = s.Index(0, a, c, r);
        ASSERT_EQ(s.flag[i], 0);
        chi += std::norm(s.gain[i] * phase - truth[(a * s.n_cells + c) * 2 + r]) / (2 * s.error[i] * s.error[i]);
        ++n;
      }
    }
  }
  // 24 antennas × 32 channels × 2: 1536 complex values, so chi²/n scatters by 1/√1536 = 0.026; one phase in 48 real
  // numbers is aligned away; the errors themselves rest on a noise estimate good to a few per cent.
  EXPECT_NEAR(chi / static_cast<double>(n), 1, 0.1);
  EXPECT_NEAR(s.chi_square / s.degrees_of_freedom, 1, 0.1);
}

TEST(SolveGains, GivesTheSameAnswerForAnyNumberOfThreads) {
  VisibilityBlock block = testkit::MakeBlock({});
  const auto model = testkit::ConstantModel(block, 5);
  testkit::FillVisibilities(block, model, testkit::RandomGains(block, 5), 1.0);
  const GainSolution one = Solve(block, model, PerChannel(block), {}, 1);
  const GainSolution two = Solve(block, model, PerChannel(block), {}, 2);
  EXPECT_EQ(one.gain, two.gain);
  EXPECT_EQ(one.snr, two.snr);
}

TEST(SolveGains, UsesAModelThatChangesInTimeExactly) {
  VisibilityBlock block = testkit::MakeBlock({});
  auto model = testkit::ConstantModel(block, 1);
  std::mt19937 random(5);
  std::normal_distribution<float> normal(0, 3);
  for (auto& m : model) m = {normal(random), normal(random)};
  const Gains truth = testkit::RandomGains(block, 0);
  testkit::FillVisibilities(block, model, truth, 1e-3);
  StatisticsParams params = PerChannel(block);
  params.cells = {0, 32};  // one gain over the whole band
  const GainSolution s = Solve(block, model, params);
  const auto phase = Align(s, truth, 0, 0, 1, 32, 0);
  for (std::size_t a = 0; a < s.n_antennas; ++a) {
    // Single-precision sums over 11 × 4 × 32 samples and a convergence limit of 1e-5.
    EXPECT_NEAR(std::abs(s.gain[s.Index(0, a, 0, 1)] * phase - truth[a * 64 + 1]), 0, 5e-5);
  }
}

TEST(SolveGains, DeadAntennaIsFlaggedAndHarmless) {
  VisibilityBlock block = testkit::MakeBlock({});
  const auto model = testkit::ConstantModel(block, 10);
  Gains truth = testkit::RandomGains(block, 0);
  for (std::size_t c = 0; c < 32; ++c) truth[(3 * 32 + c) * 2] = 0;  // receptor X of antenna 3 sees noise only
  testkit::FillVisibilities(block, model, truth, 1.0);
  const GainSolution s = Solve(block, model, PerChannel(block));
  for (std::size_t c = 0; c < 32; ++c) {
    const auto phase = Align(s, truth, 0, c, 0, 32, c);
    for (std::size_t a = 0; a < s.n_antennas; ++a) {
      const std::size_t i = s.Index(0, a, c, 0);
      EXPECT_EQ(s.flag[i], a == 3 ? 1 : 0) << a << " " << c;
      if (a == 3) {
        EXPECT_TRUE(std::isnan(s.gain[i].real()));
      } else {
        EXPECT_LT(std::abs(s.gain[i] * phase - truth[(a * 32 + c) * 2]), 6 * s.error[i]);
      }
    }
  }
}

TEST(SolveGains, PureNoiseGivesFlaggedSolutions) {
  BlockShape shape;
  shape.n_antennas = 30;
  VisibilityBlock block = testkit::MakeBlock(shape);
  const auto model = testkit::ConstantModel(block, 10);
  testkit::FillVisibilities(block, model, Gains(30 * 32 * 2, 0.0), 1.0);
  const GainSolution s = Solve(block, model, PerChannel(block));
  const auto usable = std::count(s.flag.begin(), s.flag.end(), 0);
  EXPECT_LT(static_cast<double>(usable) / static_cast<double>(s.flag.size()), 0.01);
}

TEST(SolveGains, FlaggedAndNotFiniteDataAreLeftOut) {
  VisibilityBlock block = testkit::MakeBlock({});
  const auto model = testkit::ConstantModel(block, 10);
  const Gains truth = testkit::RandomGains(block, 0);
  testkit::FillVisibilities(block, model, truth, 0.1);
  auto vis = block.vis_view();
  auto flag = block.flag_view();
  for (std::size_t b = 0; b < block.n_baselines(); ++b) {
    vis(1, b, 5, 0) = {1e6F, 0};
    flag(1, b, 5, 0) = 1;
    vis(2, b, 5, 0) = {std::numeric_limits<float>::quiet_NaN(), 0};
    vis(3, b, 5, 0) = {0, std::numeric_limits<float>::infinity()};
  }
  const GainSolution s = Solve(block, model, PerChannel(block));
  const auto phase = Align(s, truth, 0, 5, 0, 32, 5);
  for (std::size_t a = 0; a < s.n_antennas; ++a) {
    const std::size_t i = s.Index(0, a, 5, 0);
    ASSERT_EQ(s.flag[i], 0);
    EXPECT_LT(std::abs(s.gain[i] * phase - truth[(a * 32 + 5) * 2]), 6 * s.error[i]);
  }
}

TEST(SolveGains, AllDataFlaggedMeansNoSolutionAndNoDefault) {
  VisibilityBlock block = testkit::MakeBlock({});
  const auto model = testkit::ConstantModel(block, 10);
  testkit::FillVisibilities(block, model, testkit::RandomGains(block, 0), 0.1);
  std::fill(block.flag.begin(), block.flag.end(), std::uint8_t{1});
  const GainSolution s = Solve(block, model, PerChannel(block));
  for (std::size_t i = 0; i < s.gain.size(); ++i) {
    EXPECT_EQ(s.flag[i], 1);
    EXPECT_TRUE(std::isnan(s.gain[i].real()));
  }
}

TEST(SolveGains, AntennaWithTooFewBaselinesIsFlagged) {
  VisibilityBlock block = testkit::MakeBlock({});
  const auto model = testkit::ConstantModel(block, 10);
  testkit::FillVisibilities(block, model, testkit::RandomGains(block, 0), 0.1);
  auto flag = block.flag_view();
  int kept = 0;
  for (std::size_t b = 0; b < block.n_baselines(); ++b) {
    const Baseline& baseline = block.baselines[b];
    if (baseline.is_auto() || (baseline.antenna1 != 7 && baseline.antenna2 != 7)) continue;
    if (kept++ < 3) continue;  // three baselines remain, four are needed
    for (std::size_t t = 0; t < 4; ++t) {
      for (std::size_t c = 0; c < 32; ++c) flag(t, b, c, 0) = flag(t, b, c, 1) = 1;
    }
  }
  const GainSolution s = Solve(block, model, PerChannel(block));
  EXPECT_EQ(s.flag[s.Index(0, 7, 0, 0)], 1);
  EXPECT_EQ(s.flag[s.Index(0, 6, 0, 0)], 0);
}

TEST(SolveGains, PhaseOnlyLeavesAmplitudesAtOne) {
  VisibilityBlock block = testkit::MakeBlock({});
  const auto model = testkit::ConstantModel(block, 10);
  const Gains truth = testkit::RandomGains(block, 0);
  testkit::FillVisibilities(block, model, truth, 0.1);
  StatisticsParams params = PerChannel(block);
  params.intervals = {{0, 2}, {2, 4}};
  params.cells = {0, 16, 32};
  GainSolveParams solve;
  solve.phase_only = true;
  const GainSolution s = Solve(block, model, params, solve);
  for (std::size_t t = 0; t < 2; ++t) {
    const std::size_t ref = s.Index(t, 0, 1, 0);
    for (std::size_t a = 1; a < s.n_antennas; ++a) {
      const std::size_t i = s.Index(t, a, 1, 0);
      ASSERT_EQ(s.flag[i], 0);
      EXPECT_NEAR(std::abs(s.gain[i]), 1, 1e-5);
      const auto expected = truth[a * 64] * std::conj(truth[0]);
      EXPECT_NEAR(std::arg(s.gain[i] * std::conj(s.gain[ref]) * std::conj(expected)), 0, 0.01);
    }
  }
}

TEST(AccumulateStatistics, RobustWeightsKeepOutliersFromTheGains) {
  BlockShape shape;
  shape.n_times = 24;
  VisibilityBlock block = testkit::MakeBlock(shape);
  const auto model = testkit::ConstantModel(block, 10);
  const Gains truth(12 * 32 * 2, 1.0);
  testkit::FillVisibilities(block, model, truth, 0.5);
  std::mt19937 random(11);
  for (std::size_t i = 0; i < block.vis.size(); ++i) {
    if (random() % 100 == 0) block.vis[i] += Visibility(60, 30);
  }
  const auto noise = std::vector<double>(block.n_baselines() * 2, 0.25);
  StatisticsParams params = PerChannel(block);
  params.cells = {0, 32};
  params.robust_k = 3;
  const Statistics s = AccumulateStatistics({&block, testkit::ModelView(block, model), nullptr}, noise, params, 1);
  const GainSolution robust = SolveGains(s, block.baselines, 12, {}, 1);
  params.robust_k = 0;
  const Statistics plain = AccumulateStatistics({&block, testkit::ModelView(block, model), nullptr}, noise, params, 1);
  const GainSolution ordinary = SolveGains(plain, block.baselines, 12, {}, 1);
  // 1 % outliers of 6.7 times the model move a plain mean by 6 %.
  EXPECT_GT(std::abs(ordinary.gain[0]) - 1, 0.01);
  EXPECT_LT(std::abs(std::abs(robust.gain[0]) - 1), 0.001);
}

TEST(EstimateNoise, SeesTheNoiseUnderASmoothSky) {
  BlockShape shape;
  shape.n_times = 12;
  shape.channels_per_window = 48;
  VisibilityBlock block = testkit::MakeBlock(shape);
  for (std::size_t i = 0; i < block.weight.size(); ++i) block.weight[i] = i % 3 == 0 ? 4.0F : 1.0F;
  const auto model = testkit::ConstantModel(block, 20);
  testkit::FillVisibilities(block, model, testkit::RandomGains(block, 30), 1.5);
  const auto noise = EstimateNoise(block, 2);
  double sum = 0;
  std::size_t n = 0;
  for (std::size_t b = 0; b < block.n_baselines(); ++b) {
    for (std::size_t r = 0; r < 2; ++r) {
      if (block.baselines[b].is_auto()) {
        EXPECT_EQ(noise[b * 2 + r], 0);
      } else {
        sum += noise[b * 2 + r];
        ++n;
      }
    }
  }
  // 132 estimates of about 1100 correlated differences each: the mean is good to half a per cent.
  EXPECT_NEAR(sum / static_cast<double>(n), 2.25, 0.05);
}

}  // namespace
}  // namespace contimg::calibrate
