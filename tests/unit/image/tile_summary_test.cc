#include "image/quality/tile_summary.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace contimg::image {
namespace {

constexpr double kNoise = 0.3;

// Twelve antennas in a row, noise of kNoise per hand, real or imaginary part, and a source of `sky_jy` in both hands.
VisibilityBlock Block(std::size_t n_times, std::size_t n_channels, std::vector<Polarisation> hands, double sky_jy = 0) {
  VisibilityBlock block;
  for (std::size_t t = 0; t < n_times; ++t) {
    block.time_mjd_s.push_back(5e9 + 10.0 * static_cast<double>(t));
    block.integration_s.push_back(10);
  }
  for (int a = 0; a < 12; ++a) {
    block.antennas.names.push_back(std::to_string(a));
    block.antennas.numbers.push_back(a);
    block.antennas.positions_itrf_m.push_back({100.0 * a, 0, 0});
    block.antennas.diameters_m.push_back(4.65);
    for (int b = a; b < 12; ++b) block.baselines.push_back({a, b});
  }
  for (std::size_t k = 0; k < n_channels; ++k) block.frequency_hz.push_back(1.4e9 + 1e6 * static_cast<double>(k));
  block.channel_width_hz = 1e6;
  block.windows = {{-1, 0, n_channels, ""}};
  block.polarisations = std::move(hands);
  block.phase_state = PhaseState::kPhased;
  block.Allocate();
  block.uvw_m.resize(n_times * block.n_baselines() * 3);
  std::mt19937 random(7);
  std::normal_distribution<float> noise(0, static_cast<float>(kNoise));
  const auto vis = block.vis_view();
  for (std::size_t t = 0; t < block.n_times(); ++t) {
    for (std::size_t b = 0; b < block.n_baselines(); ++b) {
      block.uvw_m[(t * block.n_baselines() + b) * 3] =
          100.0 * (block.baselines[b].antenna2 - block.baselines[b].antenna1);
      for (std::size_t k = 0; k < n_channels; ++k) {
        // Its phase turns from sample to sample as that of a source far from the centre.
        const double phase = 0.7 * static_cast<double>(k) + 1.1 * static_cast<double>(t) + static_cast<double>(b);
        for (std::size_t p = 0; p < block.n_pols(); ++p) {
          vis(t, b, k, p) = {static_cast<float>(sky_jy * std::cos(phase)) + noise(random),
                             static_cast<float>(sky_jy * std::sin(phase)) + noise(random)};
        }
      }
    }
  }
  std::fill(block.weight.begin(), block.weight.end(), 1.0F);
  return block;
}

TileSummary Summary(const VisibilityBlock& block, const UvLimits& limits = {}) {
  TileSurvey survey(block, limits, 2);
  SurveyedVisibilities(VisibilitiesInMemory(block), survey).Finish();
  return survey.Finish(100, 0.9);
}

TEST(TileSummary, NoiseFromChannelsIntegrationsOrHands) {
  const std::vector<Polarisation> two{Polarisation::kXX, Polarisation::kYY}, one{Polarisation::kXX};
  const struct {
    std::size_t times, channels;
    std::vector<Polarisation> hands;
    const char* from;
  } cases[] = {{1, 16, one, "channels"}, {16, 1, one, "integrations"}, {1, 1, two, "hands"}};
  for (const auto& c : cases) {
    const TileSummary summary = Summary(Block(c.times, c.channels, c.hands));
    EXPECT_NEAR(summary.noise_of_unit_weight, kNoise, 0.15 * kNoise) << c.from;
    EXPECT_EQ(summary.noise_from, c.from);
  }
  const TileSummary unknown = Summary(Block(1, 1, one));
  EXPECT_EQ(unknown.noise_of_unit_weight, 0);
  EXPECT_EQ(unknown.noise_from, "");
}

TEST(TileSummary, ASkyThatTurnsBetweenSamplesIsNoNoise) {
  const TileSummary summary = Summary(Block(8, 8, {Polarisation::kXX, Polarisation::kYY}, 5));
  EXPECT_EQ(summary.noise_from, "hands");
  EXPECT_NEAR(summary.noise_of_unit_weight, kNoise, 0.05 * kNoise);
}

TEST(TileSummary, OneHandCopiedToTheOtherSaysNothing) {
  VisibilityBlock block = Block(8, 8, {Polarisation::kXX, Polarisation::kYY});
  for (std::size_t i = 0; i < block.vis.size(); i += 2) block.vis[i + 1] = block.vis[i];
  const TileSummary summary = Summary(block);
  EXPECT_NE(summary.noise_from, "hands");
  EXPECT_NEAR(summary.noise_of_unit_weight, kNoise, 0.05 * kNoise);
}

TEST(TileSummary, OutlierPower) {
  const std::vector<Polarisation> two{Polarisation::kXX, Polarisation::kYY};
  EXPECT_NEAR(Summary(Block(16, 16, two)).outlier_power.value(), 1, 0.03);
  const double bright = Summary(Block(16, 16, two, 5)).outlier_power.value();
  EXPECT_GT(bright, 0.5);
  EXPECT_LT(bright, 2);
  VisibilityBlock block = Block(16, 16, two);
  for (std::size_t k = 0; k < 16 * 2; ++k)
    block.vis[(5 * block.n_baselines() + 1) * 16 * 2 + k] = 1e6F;  // one row of 1056
  EXPECT_GT(Summary(block).outlier_power.value(), 1e6);
  std::fill_n(block.flag.data() + (5 * block.n_baselines() + 1) * 16 * 2, 16 * 2, std::uint8_t{1});
  EXPECT_NEAR(Summary(block).outlier_power.value(), 1, 0.03);
}

TEST(TileSummary, WhatTheUvLimitsLeaveOutDoesNotCount) {
  VisibilityBlock block = Block(16, 16, {Polarisation::kXX, Polarisation::kYY});
  const auto vis = block.vis_view();
  for (std::size_t b = 0; b < block.n_baselines(); ++b) {
    if (block.baselines[b].antenna2 - block.baselines[b].antenna1 == 1) vis(3, b, 2, 0) = 1e6F;
  }
  EXPECT_GT(Summary(block).outlier_power.value(), 1e6);
  EXPECT_NEAR(Summary(block, {700, 0}).outlier_power.value(), 1,
              0.03);  // 100 m are 470 wavelengths
}

// What the imager leaves out says nothing here either: one NaN neither hides the outliers beside it nor makes a figure
// of its own, and one infinity is no outlier.
TEST(TileSummary, SamplesThatAreNotFiniteDoNotCount) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN(), kInfinite = std::numeric_limits<float>::infinity();
  const TileSummary clean = Summary(Block(16, 16, {Polarisation::kXX, Polarisation::kYY}));
  for (const Visibility bad :
       {Visibility(kNan, 0), Visibility(0, kNan), Visibility(kInfinite, 0), Visibility(0, -kInfinite)}) {
    VisibilityBlock block = Block(16, 16, {Polarisation::kXX, Polarisation::kYY});
    for (std::size_t i = 32; i < block.vis.size(); i += 101) block.vis[i] = bad;
    const TileSummary summary = Summary(block);
    EXPECT_NEAR(summary.outlier_power.value(), 1, 0.03) << bad;
    EXPECT_NEAR(summary.noise_of_unit_weight, clean.noise_of_unit_weight, 0.03 * kNoise) << bad;
    block.vis_view()(5, 1, 3, 0) = 1e6F;
    EXPECT_GT(Summary(block).outlier_power.value(), 1e6) << bad;
  }
}

TEST(TileSummary, ExtremesOfFloatGiveFigures) {
  for (const float weight : {1e-39F, 1e38F}) {
    VisibilityBlock block = Block(8, 8, {Polarisation::kXX, Polarisation::kYY});
    std::fill(block.weight.begin(), block.weight.end(), weight);
    const TileSummary summary = Summary(block);
    EXPECT_NEAR(summary.noise_of_unit_weight / std::sqrt(static_cast<double>(weight)), kNoise, 0.05 * kNoise);
    for (std::size_t i = 0; i < block.vis.size(); ++i) block.vis[i] = i % 2 == 0 ? 3e38F : -3e38F;
    EXPECT_NEAR(Summary(block).outlier_power.value(), std::log(2.0), 1e-6);
  }
}

TEST(TileSummary, ThePowerOfZerosIsNotKnown) {
  VisibilityBlock block = Block(8, 8, {Polarisation::kXX, Polarisation::kYY});
  for (std::size_t i = 0; i < block.vis.size(); ++i) block.vis[i] = i % 1000 == 0 ? 1e6F : 0;
  EXPECT_FALSE(Summary(block).outlier_power);
}

}  // namespace
}  // namespace contimg::image
