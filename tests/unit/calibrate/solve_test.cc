#include "calibrate/solve.h"

#include <gtest/gtest.h>

#include "calibrate/quality_gate.h"
#include "config/error.h"
#include "tests/unit/calibrate/synthetic_block.h"

namespace contimg::calibrate {
namespace {

using testkit::Gains;

struct SolvedTile {
  VisibilityBlock block;
  std::vector<Visibility> model;
  Gains truth;
};

SolvedTile MakeTile(double sigma = 1.0, std::size_t n_times = 10) {
  testkit::BlockShape shape;
  shape.n_antennas = 16;
  shape.n_times = n_times;
  shape.channels_per_window = 32;
  SolvedTile tile{testkit::MakeBlock(shape), {}, {}};
  tile.model = testkit::ConstantModel(tile.block, 12);
  tile.truth = testkit::RandomGains(tile.block, 200);
  // A ripple on top, so that K alone is not enough.
  for (std::size_t a = 0; a < 16; ++a) {
    for (std::size_t c = 0; c < 64; ++c) {
      for (std::size_t r = 0; r < 2; ++r) {
        const double x = 0.2 * static_cast<double>(c) + static_cast<double>(3 * a + r);
        tile.truth[(a * 64 + c) * 2 + r] *= std::polar(1 + 0.1 * std::sin(x), 0.1 * std::cos(x));
      }
    }
  }
  testkit::FillVisibilities(tile.block, tile.model, tile.truth, sigma);
  return tile;
}

std::vector<ApplyTable> Tables(const SolveResult& result) {
  std::vector<ApplyTable> tables;
  for (const SolutionSet& set : result.solutions) tables.push_back({&set, Interpolation::kNearest, "table"});
  return tables;
}

TEST(SolveCalibration, CorrectedDataMatchTheModelToTheNoise) {
  SolvedTile tile = MakeTile();
  const SolveResult result = SolveCalibration(tile.block, testkit::ModelView(tile.block, tile.model), {}, {});
  ASSERT_EQ(result.solutions.size(), 3U);
  EXPECT_EQ(result.antennas_with_data, 16U);
  EXPECT_NEAR(result.reports[1].reduced_chi_square, 1, 0.1);
  EXPECT_NEAR(result.reports[2].reduced_chi_square, 1, 0.1);
  const ApplyReport report = ApplyGains(tile.block, EvaluateGains(tile.block, Tables(result)), {}, 2);
  EXPECT_EQ(report.flagged_by_calibration, 0U);
  EXPECT_EQ(tile.block.data_state, DataState::kCorrected);
  double chi = 0;
  std::size_t n = 0;
  for (std::size_t i = 0; i < tile.block.vis.size(); ++i) {
    if (tile.block.baselines[i / 128 % tile.block.n_baselines()].is_auto()) continue;
    // weight·|g_p g_q|² is 1/σ² of the corrected sample.
    chi += std::norm(tile.block.vis[i] - Visibility(12, 0)) * static_cast<double>(tile.block.weight[i]);
    ++n;
  }
  // 150 000 samples; 16 × 64 × 2 fitted gains take out 1.7 % of the noise and the estimates add a little.
  EXPECT_NEAR(chi / static_cast<double>(n), 1, 0.05);
}

TEST(SolveCalibration, SplitsTheGainsAsTheConventionsSay) {
  SolvedTile tile = MakeTile(0.2);
  SolveParams params;
  params.reference_antennas = {"99", "5"};
  const SolveResult result = SolveCalibration(tile.block, testkit::ModelView(tile.block, tile.model), params, {});
  const SolutionSet &k = result.solutions[0], &b = result.solutions[1], &g = result.solutions[2];
  EXPECT_EQ(k.kind, SolutionKind::kDelay);
  for (const SolutionSet& s : result.solutions) EXPECT_EQ(s.reference_antenna, 4);
  for (std::size_t a = 0; a < 16; ++a) {
    for (std::size_t r = 0; r < 2; ++r) {
      double square = 0;
      for (std::size_t c = 0; c < 64; ++c) square += std::norm(b.value[b.Index(0, a, c, r)]);
      EXPECT_NEAR(square / 64, 1, 1e-6);  // one normalisation over the whole band
      EXPECT_GT(b.normalisation[a * 2 + r], 0.4);
      // K · B · G is the truth, up to the phase of the reference antenna's own gain.
      for (std::size_t c : {0U, 17U, 32U, 63U}) {
        const auto full = [&](std::size_t ant) {
          const double turns = 1e-9 * k.value[k.Index(0, ant, c / 32, r)].real() *
                               (tile.block.frequency_hz[c] - k.windows[c / 32].reference_hz);
          return std::polar(1.0, 2 * kPi * turns) * b.value[b.Index(0, ant, c, r)] * g.value[g.Index(0, ant, 0, r)];
        };
        const auto got = full(a) * std::conj(full(4));
        const auto want = tile.truth[(a * 64 + c) * 2 + r] * std::conj(tile.truth[(4 * 64 + c) * 2 + r]);
        EXPECT_NEAR(std::abs(got - want), 0, 0.02);
      }
    }
  }
}

TEST(SolveCalibration, ShortPhasesKeepADriftingPhaseFromWashingOutTheBandpass) {
  SolvedTile tile = MakeTile(0.2, 20);
  // Antenna 3 drifts by 2 rad over the tile.
  const auto [n_t, n_b, n_c, n_p] = tile.block.shape();
  for (std::size_t t = 0; t < n_t; ++t) {
    for (std::size_t b = 0; b < n_b; ++b) {
      const auto& baseline = tile.block.baselines[b];
      const double sign = (baseline.antenna1 == 3 ? 1 : 0) - (baseline.antenna2 == 3 ? 1 : 0);
      const auto turn = Visibility(std::polar(1.0, sign * 2.0 * (static_cast<double>(t) / 19.0 - 0.5)));
      for (std::size_t i = 0; i < n_c * n_p; ++i) tile.block.vis[(t * n_b + b) * n_c * n_p + i] *= turn;
    }
  }
  SolveParams with, without;
  with.normalise_bandpass = without.normalise_bandpass = false;
  with.gain = without.gain = false;
  without.pre_phase_s = 0;
  const auto model = testkit::ModelView(tile.block, tile.model);
  const auto good = SolveCalibration(tile.block, model, with, {}).solutions[1];
  const auto washed = SolveCalibration(tile.block, model, without, {}).solutions[1];
  const std::size_t i = good.Index(0, 3, 10, 0);
  const double truth = std::abs(tile.truth[(3 * 64 + 10) * 2]);
  EXPECT_NEAR(std::abs(good.value[i]), truth, 0.03 * truth);
  EXPECT_LT(std::abs(washed.value[i]), 0.9 * truth);  // sin(1)/1 = 0.84
}

// Errors that belong to baselines, not to antennas, in these channels, the same at all times.
void BreakClosure(SolvedTile& tile, const std::vector<std::size_t>& channels, float error = 0.1F) {
  std::mt19937 random(8);
  std::normal_distribution<float> normal(0, error / std::sqrt(2.0F));
  const auto [n_t, n_b, n_c, n_p] = tile.block.shape();
  for (std::size_t b = 0; b < n_b; ++b) {
    for (const std::size_t c : channels) {
      const Visibility factor(1 + normal(random), normal(random));
      for (std::size_t t = 0; t < n_t; ++t) {
        for (std::size_t p = 0; p < n_p; ++p) tile.block.vis[((t * n_b + b) * n_c + c) * n_p + p] *= factor;
      }
    }
  }
}

TEST(SolveCalibration, EndsOfWindowsThatNoGainsDescribeAreLeftOut) {
  SolvedTile tile = MakeTile();
  BreakClosure(tile, {0, 31, 33, 45});
  const SolveResult result = SolveCalibration(tile.block, testkit::ModelView(tile.block, tile.model), {}, {});
  EXPECT_EQ(result.reports[1].unclosed_channels, 2U);
  const SolutionSet& b = result.solutions[1];
  for (std::size_t c = 0; c < 64; ++c) {
    // Not filled from its neighbours either, though 31 lies in the middle of the band. 33 and 45 are at no end.
    EXPECT_EQ(b.usable(b.Index(0, 3, c, 1)), c != 0 && c != 31) << c;
  }
  const ApplyReport report = ApplyGains(tile.block, EvaluateGains(tile.block, Tables(result)), {}, 2);
  EXPECT_GT(report.flagged_by_calibration, 0U);
  SolvedTile whole = MakeTile();
  EXPECT_EQ(
      SolveCalibration(whole.block, testkit::ModelView(whole.block, whole.model), {}, {}).reports[1].unclosed_channels,
      0U);
}

// A model that lacks sources is as wrong in the middle of the band as at its ends, also where noise lets it be seen in
// some channels and not in others: 3 % on baselines whose averages have 2.6 % of noise.
TEST(SolveCalibration, AnIncompleteModelTakesNoChannels) {
  std::vector<std::size_t> all(64);
  for (std::size_t c = 0; c < 64; ++c) all[c] = c;
  for (const float error : {0.02F, 0.025F, 0.03F, 0.1F}) {
    SolvedTile tile = MakeTile();
    BreakClosure(tile, all, error);
    EXPECT_EQ(
        SolveCalibration(tile.block, testkit::ModelView(tile.block, tile.model), {}, {}).reports[1].unclosed_channels,
        0U)
        << error;
  }
}

TEST(SolveCalibration, HourlyGainUsesTheDaysTablesAndTheirReference) {
  SolvedTile tile = MakeTile(0.5);
  const auto model = testkit::ModelView(tile.block, tile.model);
  SolveParams day;
  day.reference_antennas = {"7"};
  const SolveResult first = SolveCalibration(tile.block, model, day, {});
  SolveParams hour;
  hour.delay = hour.bandpass = false;
  hour.fixed = {&first.solutions[0], &first.solutions[1]};
  hour.gain_interval_s = 60;
  hour.combine_windows = false;
  const SolveResult second = SolveCalibration(tile.block, model, hour, {});
  ASSERT_EQ(second.solutions.size(), 1U);
  EXPECT_EQ(second.solutions[0].reference_antenna, 6);
  EXPECT_EQ(second.solutions[0].intervals.size(), 2U);
  const double norm = std::abs(first.solutions[2].value[5 * 2 * 2]);
  EXPECT_NEAR(std::abs(second.solutions[0].value[second.solutions[0].Index(1, 5, 0, 0)]), norm, 0.05 * norm);
}

TEST(SolveCalibration, RefusesWhatItCannotSolve) {
  SolvedTile tile = MakeTile();
  const auto model = testkit::ModelView(tile.block, tile.model);
  const auto kind_of = [&](const SolveParams& params, ArrayView<const Visibility, 3> with) {
    try {
      SolveCalibration(tile.block, with, params, {});
    } catch (const Error& error) {
      return error.kind();
    }
    return ErrorKind::kBug;
  };
  const std::vector<Visibility> zero(tile.model.size());
  EXPECT_EQ(kind_of({}, testkit::ModelView(tile.block, zero)), ErrorKind::kBadInput);
  EXPECT_EQ(kind_of({}, ArrayView<const Visibility, 3>(zero.data(), {1, 1, 1})), ErrorKind::kBadInput);
  tile.block.data_state = DataState::kCorrected;
  EXPECT_EQ(kind_of({}, model), ErrorKind::kBadInput);
  tile.block.data_state = DataState::kRaw;
  std::fill(tile.block.flag.begin(), tile.block.flag.end(), std::uint8_t{1});
  EXPECT_EQ(kind_of({}, model), ErrorKind::kNumeric);
}

TEST(SolveCalibration, AModelOfAnotherFieldGivesNoSolution) {
  SolvedTile tile = MakeTile(1.0);
  std::mt19937 random(5);
  std::normal_distribution<float> normal(0, 8);
  for (auto& m : tile.model) m = {normal(random), normal(random)};
  EXPECT_THROW(SolveCalibration(tile.block, testkit::ModelView(tile.block, tile.model), {}, {}), Error);
}

SolutionSet SmallBandpass(std::size_t n_channels) {
  SolutionSet s;
  s.kind = SolutionKind::kBandpass;
  s.antennas.resize(1);
  s.intervals.resize(1);
  s.n_receptors = 1;
  SolutionWindow window;
  for (std::size_t c = 0; c < n_channels; ++c) window.frequency_hz.push_back(1e9 + 1e6 * static_cast<double>(c));
  window.channel_width_hz = 1e6;
  s.windows = {window};
  s.Allocate();
  for (std::size_t c = 0; c < n_channels; ++c) {
    s.value[c] = std::polar(1.0 + 0.1 * static_cast<double>(c), 0.2 * static_cast<double>(c));
    s.flag[c] = kSolved;
    s.snr[c] = 50;
    s.error[c] = 0.01F;
  }
  return s;
}

TEST(FillBandpassGaps, FillsAndMarksShortGapsOnly) {
  SolutionSet s = SmallBandpass(16);
  for (std::size_t c : {0U, 3U, 4U, 5U, 8U, 9U, 10U, 11U, 15U}) s.flag[c] = kFlagged;
  FillBandpassGaps(s, 3);
  for (std::size_t c : {3U, 4U, 5U}) {
    EXPECT_EQ(s.flag[c], kInterpolated);
    EXPECT_NEAR(std::abs(s.value[c]), 1 + 0.1 * static_cast<double>(c), 1e-9);
    EXPECT_NEAR(std::arg(s.value[c]), 0.2 * static_cast<double>(c), 1e-9);
  }
  for (std::size_t c : {0U, 8U, 9U, 10U, 11U, 15U}) EXPECT_EQ(s.flag[c], kFlagged);
}

TEST(NormaliseBandpass, TakesOneAmplitudeOutOfTheWholeBand) {
  SolutionSet s = SmallBandpass(2);
  s.value = {3.0, 4.0};
  NormaliseBandpass(s);
  EXPECT_NEAR(s.normalisation[0], std::sqrt(12.5), 1e-12);
  EXPECT_NEAR(std::abs(s.value[1]) / std::abs(s.value[0]), 4.0 / 3, 1e-12);
}

TEST(Rereference, FollowsNeighboursWhereTheReferenceIsFlagged) {
  SolutionSet s = SmallBandpass(5);
  s.antennas.resize(3);
  s.Allocate();
  for (std::size_t a = 0; a < 3; ++a) {
    for (std::size_t c = 0; c < 5; ++c) {
      const std::size_t i = s.Index(0, a, c, 0);
      // A common phase that jumps from channel to channel, as a solver leaves it.
      s.value[i] = std::polar(2.0, 0.3 * static_cast<double>(a) + 1.7 * static_cast<double>(c * c));
      s.flag[i] = kSolved;
    }
  }
  s.flag[s.Index(0, 0, 2, 0)] = kFlagged;
  Rereference(s, 0);
  for (std::size_t c = 0; c < 5; ++c) {
    EXPECT_NEAR(std::arg(s.value[s.Index(0, 1, c, 0)]), 0.3, 1e-9);
    EXPECT_NEAR(std::arg(s.value[s.Index(0, 2, c, 0)]), 0.6, 1e-9);
  }
}

// Delays count from each window's own reference frequency, so the bandpass steps from window to window by any phase.
TEST(MeasureQuality, IgnoresPhaseStepsOfTheBandpassBetweenWindows) {
  SolutionSet s = SmallBandpass(8);
  const SolutionWindow one = s.windows[0];
  for (int w = 1; w < 6; ++w) s.windows.push_back(one);
  s.Allocate();
  for (std::size_t i = 0; i < s.size(); ++i) {
    s.value[i] = std::polar(1.0, 2.1 * static_cast<double>(i / 8) + 0.01 * static_cast<double>(i % 8));
    s.flag[i] = kSolved;
  }
  EXPECT_LT(MeasureQuality(s, nullptr, 0).phase_scatter_deg, 3);
  for (std::size_t i = 0; i < s.size(); ++i) s.value[i] = std::polar(1.0, 2.1 * static_cast<double>(i));
  EXPECT_GT(MeasureQuality(s, nullptr, 0).phase_scatter_deg, 80);  // within a window it is scatter
}

TEST(SolveCalibration, SolvesByNumbersOfIntegrations) {
  SolvedTile tile = MakeTile(0.5, 10);
  SolveParams params;
  params.gain_integrations = 4;
  const SolveResult result = SolveCalibration(tile.block, testkit::ModelView(tile.block, tile.model), params, {});
  ASSERT_EQ(result.solutions[2].intervals.size(), 3U);
  EXPECT_NEAR(result.solutions[2].intervals[0].length_s, 4 * 12.885, 1e-6);
  EXPECT_NEAR(result.solutions[2].intervals[2].length_s, 2 * 12.885, 1e-6);
}

TEST(JudgeQuality, AcceptsAGoodSolutionAndNamesWhatIsWrong) {
  SolvedTile tile = MakeTile();
  const SolveResult result = SolveCalibration(tile.block, testkit::ModelView(tile.block, tile.model), {}, {});
  for (std::size_t i = 0; i < 3; ++i) {
    const SolutionQuality quality = MeasureQuality(result.solutions[i], nullptr, result.reports[i].reduced_chi_square);
    const QualityVerdict verdict = JudgeQuality(result.solutions[i].kind, quality, 16, {});
    EXPECT_TRUE(verdict.accepted) << (verdict.failures.empty() ? "" : verdict.failures[0]);
  }
  SolutionSet bad = result.solutions[2];
  for (std::size_t i = 0; i < bad.size(); ++i) bad.value[i] *= 3.0;
  const SolutionQuality changed = MeasureQuality(bad, &result.solutions[2], 9, 0.5);
  EXPECT_NEAR(changed.amplitude_ratio, 3, 1e-9);
  EXPECT_EQ(JudgeQuality(bad.kind, changed, 16, {}).failures.size(), 2U);  // amplitude and chi²
  bad.Allocate();
  EXPECT_FALSE(JudgeQuality(bad.kind, MeasureQuality(bad, nullptr, 0), 16, {}).accepted);
}

TEST(AnchorAmplitude, LimitsHowFarTheScaleMayMove) {
  SolvedTile tile = MakeTile();
  const SolutionSet anchor =
      SolveCalibration(tile.block, testkit::ModelView(tile.block, tile.model), {}, {}).solutions[2];
  SolutionSet gain = anchor;
  for (auto& v : gain.value) v *= 1.3;
  EXPECT_NEAR(AnchorAmplitude(gain, anchor, 0.1), 1.3, 1e-6);
  EXPECT_NEAR(std::abs(gain.value[0]) / std::abs(anchor.value[0]), 1.1, 1e-6);
  SolutionSet small = anchor;
  for (auto& v : small.value) v *= 1.05;
  AnchorAmplitude(small, anchor, 0.1);
  EXPECT_NEAR(std::abs(small.value[0]) / std::abs(anchor.value[0]), 1.05, 1e-6);
}

// The limit of another array leaves this one nothing: it is named, or, where nobody asked for it, left out.
TEST(SolveCalibration, SaysWhatTheUvLimitLeft) {
  testkit::BlockShape shape;
  shape.extent_m = 100;
  VisibilityBlock block = testkit::MakeBlock(shape);
  const auto model = testkit::ConstantModel(block, 10);
  testkit::FillVisibilities(block, model, testkit::RandomGains(block, 50), 0.5);
  SolveParams params;
  params.delay = params.bandpass = false;
  params.min_uv_lambda = 1000;
  try {
    SolveCalibration(block, testkit::ModelView(block, model), params, {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_NE(error.message().find("leave 0 of 66 baselines"), std::string::npos) << error.what();
  }
  params.min_uv_lambda = -1;
  params.max_model_error = 0;
  const SolveResult result = SolveCalibration(block, testkit::ModelView(block, model), params, {});
  EXPECT_TRUE(result.uv.usual_left_out);
  EXPECT_EQ(result.uv.kept, 66U);
  // A model that is wrong, with a limit: both are said.
  params.min_uv_lambda = 100;
  params.max_model_error = 0.5;
  auto wrong = model;
  for (std::size_t i = 0; i < wrong.size(); ++i) wrong[i] *= i % 3 == 0 ? 30.0F : -1.0F;
  try {
    SolveCalibration(block, testkit::ModelView(block, wrong), params, {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(error.message().find("of 66 baselines"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace contimg::calibrate
