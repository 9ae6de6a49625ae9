#include "calibrate/apply.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "calibrate/apply_stage.h"
#include "config/error.h"
#include "config/run_context.h"
#include "tests/unit/calibrate/synthetic_block.h"

namespace contimg::calibrate {
namespace {

// A gain table for the block with one value everywhere.
SolutionSet UniformGain(const VisibilityBlock& block, std::complex<double> value, std::vector<double> times = {}) {
  SolutionSet s;
  s.kind = SolutionKind::kGain;
  for (std::size_t a = 0; a < block.antennas.size(); ++a) {
    s.antennas.push_back({block.antennas.names[a], block.antennas.positions_itrf_m[a], 4.65});
  }
  for (const SpectralWindow& w : block.windows) {
    const auto first = block.frequency_hz.begin() + static_cast<std::ptrdiff_t>(w.first_channel);
    s.windows.push_back({{first, first + static_cast<std::ptrdiff_t>(w.n_channels)}, block.channel_width_hz, *first});
  }
  if (times.empty()) times = {block.time_mjd_s.front()};
  for (double t : times) s.intervals.push_back({t, 10});
  s.field_ra_rad = block.phase_centre.ra_rad;
  s.field_dec_rad = block.phase_centre.dec_rad;
  s.reference_antenna = 0;
  s.Allocate();
  for (std::size_t i = 0; i < s.size(); ++i) {
    s.value[i] = value;
    s.flag[i] = kSolved;
    s.snr[i] = 100;
  }
  return s;
}

TEST(ApplyGains, DividesByTheGainsAndScalesTheWeights) {
  VisibilityBlock block = testkit::MakeBlock({});
  std::fill(block.vis.begin(), block.vis.end(), Visibility(6, 0));
  SolutionSet g = UniformGain(block, 1);
  g.value[g.Index(0, 2, 0, 0)] = {0, 2};  // antenna 2, window 0, X
  g.value[g.Index(0, 5, 0, 0)] = 3;
  const ApplyReport report = ApplyGains(block, EvaluateGains(block, {{&g, Interpolation::kNearest, "g"}}), {}, 2);
  EXPECT_EQ(report.flagged_by_calibration, 0U);
  for (std::size_t b = 0; b < block.n_baselines(); ++b) {
    if (block.baselines[b].antenna1 != 2 || block.baselines[b].antenna2 != 5) continue;
    const Visibility corrected = block.vis_view()(1, b, 3, 0);
    EXPECT_NEAR(std::abs(corrected - Visibility(0, -1)), 0, 1e-6);  // 6 / (2i · 3)
    EXPECT_NEAR(block.weight_view()(1, b, 3, 0), 36, 1e-4);
    EXPECT_EQ(block.vis_view()(1, b, 3, 1), Visibility(6, 0));
    EXPECT_EQ(block.vis_view()(1, b, 16, 0), Visibility(6, 0));  // the other window
  }
}

TEST(ApplyGains, FlagsDataWithoutASolution) {
  VisibilityBlock block = testkit::MakeBlock({});
  std::fill(block.vis.begin(), block.vis.end(), Visibility(6, 0));
  SolutionSet g = UniformGain(block, 1);
  g.flag[g.Index(0, 4, 1, 1)] = kFlagged;
  block.flag_view()(0, 1, 0, 0) = 1;
  const ApplyReport report = ApplyGains(block, EvaluateGains(block, {{&g, Interpolation::kNearest, "g"}}), {}, 1);
  // 11 baselines (the autocorrelation is corrected and flagged, but does not count) × 4 times × 16 channels.
  EXPECT_EQ(report.flagged_by_calibration, 11U * 4 * 16);
  EXPECT_EQ(report.samples, 66U * 4 * 32 * 2);
  EXPECT_EQ(report.flagged_before, 1U);
  for (std::size_t b = 0; b < block.n_baselines(); ++b) {
    const bool with = block.baselines[b].antenna1 == 4 || block.baselines[b].antenna2 == 4;
    EXPECT_EQ(block.flag_view()(2, b, 20, 1), with ? 1 : 0);
    EXPECT_EQ(block.flag_view()(2, b, 20, 0), 0);
  }
}

TEST(ApplyGains, CorrectsCrossHandsWithTheGainOfEachReceptor) {
  testkit::BlockShape shape;
  shape.polarisations = {Polarisation::kXX, Polarisation::kXY, Polarisation::kYX, Polarisation::kYY};
  VisibilityBlock block = testkit::MakeBlock(shape);
  std::fill(block.vis.begin(), block.vis.end(), Visibility(12, 0));
  SolutionSet g = UniformGain(block, 1);
  for (std::size_t w = 0; w < 2; ++w) {
    for (std::size_t a = 0; a < 12; ++a) {
      g.value[g.Index(0, a, w, 0)] = 2;
      g.value[g.Index(0, a, w, 1)] = {0, 3};
    }
  }
  ApplyGains(block, EvaluateGains(block, {{&g, Interpolation::kNearest, "g"}}), {}, 1);
  const Visibility expected[] = {{3, 0}, {0, 2}, {0, -2}, {12.0F / 9, 0}};
  for (std::size_t p = 0; p < 4; ++p) EXPECT_NEAR(std::abs(block.vis_view()(0, 1, 2, p) - expected[p]), 0, 1e-6) << p;
}

// An apply with a bad table and its undoing leave weights and flags as they were, so that another apply starts afresh.
TEST(UndoApply, RestoresWeightsAndFlags) {
  VisibilityBlock block = testkit::MakeBlock({}), raw = testkit::MakeBlock({});
  for (VisibilityBlock* each : {&block, &raw}) {
    std::fill(each->vis.begin(), each->vis.end(), Visibility(6, 1));
    std::fill(each->weight.begin(), each->weight.end(), 96.0F);
    each->flag_view()(0, 20, 3, 1) = 1;
    each->vis_view()(0, 20, 3, 1) = 0;
    each->flag_view()(1, 20, 3, 0) = 1;
  }
  SolutionSet g = UniformGain(block, {0.3, 1.1});
  g.flag[g.Index(0, 4, 1, 1)] = kFlagged;
  g.flag[g.Index(0, block.baselines[20].antenna1, 0, 0)] = kFlagged;  // also where the data were flagged before
  ApplyGains(block, EvaluateGains(block, {{&g, Interpolation::kNearest, "g"}}), {}, 2);
  EXPECT_FALSE(std::equal(raw.flag.begin(), raw.flag.end(), block.flag.begin()));
  // As they lie on the disk: flags and weights of the apply beside the raw data.
  VisibilityBlock stored = testkit::MakeBlock({});
  std::copy(raw.vis.begin(), raw.vis.end(), stored.vis.begin());
  std::copy(block.flag.begin(), block.flag.end(), stored.flag.begin());
  std::copy(block.weight.begin(), block.weight.end(), stored.weight.begin());
  UndoApply(stored, block, 2);
  EXPECT_TRUE(std::equal(raw.flag.begin(), raw.flag.end(), stored.flag.begin()));
  for (std::size_t i = 0; i < raw.weight.size(); ++i) {
    if (raw.vis[i] == Visibility(0)) continue;  // flagged for good
    ASSERT_NEAR(stored.weight[i], 96, 1e-4) << i;
  }
}

TEST(ApplyHistory, TellsWhetherWeightsCarryGains) {
  const std::vector<AppliedTable> tables{{SolutionKind::kGain, Interpolation::kLinear, "/a/b/x.gpcal"}};
  ApplyParams params;
  const auto lines = ApplyHistory(tables, params);
  EXPECT_EQ(lines.at(0), "G x.gpcal applied to DATA, linear in time");
  EXPECT_TRUE(WeightsCarryGains(lines));
  EXPECT_TRUE(WeightsCarryGains({"converted", "G x.gpcal applied, linear in time"}));  // by an older version
  EXPECT_FALSE(WeightsCarryGains({"converted", "flagged"}));
  params.scale_weights = false;
  EXPECT_FALSE(WeightsCarryGains(ApplyHistory(tables, params)));
}

// Of job and command alike: the stage says what a table leaves uncovered.
TEST(GainsOn, WarnsAboutWindowsThatATableLacks) {
  struct Listener : Reporter {
    void Progress(std::string_view, double) override {}
    void Warn(std::string_view, std::string_view message) override { warnings.emplace_back(message); }
    void Info(std::string_view, std::string_view) override {}
    std::vector<std::string> warnings;
  } listener;
  RunContext context;
  context.reporter = &listener;
  const VisibilityBlock block = testkit::MakeBlock({});
  std::vector<LoadedTable> tables{{"/cal/whole.gpcal", UniformGain(block, 1)}};
  TileGains gains = GainsOn(block, tables, {}, false, context);
  EXPECT_TRUE(listener.warnings.empty());
  ASSERT_EQ(gains.applied.size(), 1U);
  EXPECT_EQ(gains.applied[0].kind, SolutionKind::kGain);
  EXPECT_EQ(gains.applied[0].interpolation, Interpolation::kLinear);  // calibrate.gain_interpolation
  SolutionSet& half = tables[0].solutions;
  half.windows.pop_back();
  half.Allocate();
  std::fill(half.value.begin(), half.value.end(), 1);
  std::fill(half.flag.begin(), half.flag.end(), kSolved);
  GainsOn(block, tables, {}, false, context);
  ASSERT_EQ(listener.warnings.size(), 1U);
  EXPECT_NE(listener.warnings[0].find("/cal/whole.gpcal has no solutions for 1 of the 2 spectral windows"),
            std::string::npos)
      << listener.warnings[0];
}

TEST(EvaluateGains, InterpolatesAmplitudeAndPhaseInTime) {
  testkit::BlockShape shape;
  shape.n_times = 5;
  shape.integration_s = 10;
  const VisibilityBlock block = testkit::MakeBlock(shape);
  SolutionSet g = UniformGain(block, 1, {block.time_mjd_s[0], block.time_mjd_s[4]});
  for (std::size_t a = 0; a < 12; ++a) {
    g.value[g.Index(0, a, 0, 0)] = std::polar(1.0, 3.0);
    g.value[g.Index(1, a, 0, 0)] = std::polar(2.0, -3.0);  // 0.28 rad further, across ±π
  }
  const GainCube linear = EvaluateGains(block, {{&g, Interpolation::kLinear, "g"}});
  ASSERT_EQ(linear.n_classes, 5U);
  const auto middle = std::complex<double>(linear.At(linear.class_of_time[2], 3, 0)[0]);
  EXPECT_NEAR(std::abs(middle), 1.5, 1e-6);
  EXPECT_NEAR(std::abs(std::arg(middle)), kPi, 1e-6);
  const GainCube nearest = EvaluateGains(block, {{&g, Interpolation::kNearest, "g"}});
  EXPECT_EQ(nearest.n_classes, 2U);
  EXPECT_NEAR(std::abs(nearest.At(nearest.class_of_time[1], 3, 0)[0]), 1, 1e-6);
  EXPECT_NEAR(std::abs(nearest.At(nearest.class_of_time[3], 3, 0)[0]), 2, 1e-6);
}

TEST(EvaluateGains, TurnsADelayIntoAPhaseFromTheReferenceFrequency) {
  const VisibilityBlock block = testkit::MakeBlock({});
  SolutionSet k = UniformGain(block, 1);
  k.kind = SolutionKind::kDelay;
  for (auto& v : k.value) v = 25;  // ns
  const GainCube cube = EvaluateGains(block, {{&k, Interpolation::kNearest, "k"}});
  for (std::size_t c : {0U, 5U, 16U, 21U}) {
    const double expected = 2 * kPi * 25e-9 * 244140.625 * static_cast<double>(c % 16);
    EXPECT_NEAR(std::arg(cube.At(0, 1, 0)[c]), expected, 1e-5);
  }
}

TEST(EvaluateGains, MatchesChannelsByFrequencyAndAntennasByName) {
  const VisibilityBlock block = testkit::MakeBlock({});
  SolutionSet b = UniformGain(block, 1);
  b.kind = SolutionKind::kBandpass;
  std::reverse(b.antennas.begin(), b.antennas.end());
  b.windows.erase(b.windows.begin());  // only the upper window is solved
  b.Allocate();
  for (std::size_t a = 0; a < 12; ++a) {
    for (std::size_t c = 0; c < 16; ++c) {
      b.value[b.Index(0, a, c, 0)] = static_cast<double>(100 * a + c + 1);
      b.flag[b.Index(0, a, c, 0)] = kSolved;
    }
  }
  const GainCube cube = EvaluateGains(block, {{&b, Interpolation::kNearest, "b"}});
  EXPECT_EQ(cube.At(0, 2, 0)[15], std::complex<float>(0));
  EXPECT_NEAR(cube.At(0, 2, 0)[20].real(), 100 * 9 + 4 + 1, 1e-3);
  EXPECT_EQ(cube.At(0, 2, 1)[20], std::complex<float>(0));  // never solved
}

TEST(CheckTables, RefusesTablesThatDoNotBelong) {
  const VisibilityBlock block = testkit::MakeBlock({});
  const SolutionSet good = UniformGain(block, 1);
  const auto check = [&](const std::vector<const SolutionSet*>& sets) {
    std::vector<ApplyTable> tables;
    for (const SolutionSet* s : sets) tables.push_back({s, Interpolation::kNearest, "t.gcal"});
    CheckTables(block, tables, {});
  };
  EXPECT_NO_THROW(check({&good}));
  EXPECT_THROW(check({&good, &good}), Error);  // two of a kind
  SolutionSet other = good;
  other.antennas[3].name = "elsewhere";
  EXPECT_THROW(check({&other}), Error);
  other = good;
  other.antennas[3].position_itrf_m[0] += 5;
  EXPECT_THROW(check({&other}), Error);
  other = good;
  for (auto& antenna : other.antennas) antenna.position_itrf_m[2] += 34;  // the whole site: allowed
  EXPECT_NO_THROW(check({&other}));
  other = good;
  other.field_dec_rad += 0.1;
  EXPECT_THROW(check({&other}), Error);
  other = good;
  for (auto& window : other.windows) {
    for (double& f : window.frequency_hz) f += 1e9;
  }
  EXPECT_THROW(check({&other}), Error);
  other = good;
  other.kind = SolutionKind::kBandpass;
  other.Allocate();
  EXPECT_THROW(check({&other}), Error);  // nothing usable in it
  other.flag.back() = kSolved;
  other.reference_antenna = 7;
  EXPECT_THROW(check({&good, &other}), Error);
  other.reference_antenna = 0;
  EXPECT_NO_THROW(check({&good, &other}));
}

}  // namespace
}  // namespace contimg::calibrate
