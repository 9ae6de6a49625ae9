#include "calibrate/lost_sky.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "calibrate/flag_tile.h"
#include "tests/unit/calibrate/synthetic_block.h"

namespace contimg::calibrate {
namespace {

using namespace testkit;

// 24 antennas, 6 integrations, 64 channels of 244 kHz.
BlockShape Shape() {
  BlockShape shape;
  shape.n_antennas = 24;
  shape.n_times = 6;
  shape.n_windows = 2;
  shape.channels_per_window = 32;
  return shape;
}

// Point sources of 1 ± 0.5 Jy strewn over 2.5 degrees, as a Measurement Set has them.
std::vector<Visibility> Field(const VisibilityBlock& block, int n_sources, double scale) {
  std::mt19937 random(7);
  std::uniform_real_distribution<double> place(-0.022, 0.022), flux(0.5, 1.5);
  std::vector<Visibility> model(block.n_times() * block.n_baselines() * block.n_channels());
  for (int s = 0; s < n_sources; ++s) {
    const double l = place(random), m = place(random), jy = scale * flux(random);
    for (std::size_t i = 0; i < block.n_times() * block.n_baselines(); ++i) {
      const double* uvw = block.uvw_m.data() + 3 * i;
      const double path = uvw[0] * l + uvw[1] * m + uvw[2] * (std::sqrt(1 - l * l - m * m) - 1);
      for (std::size_t c = 0; c < block.n_channels(); ++c) {
        const double phase = 2 * kPi * path * block.frequency_hz[c] / kSpeedOfLight;
        model[i * block.n_channels() + c] +=
            Visibility(static_cast<float>(jy * std::cos(phase)), static_cast<float>(jy * std::sin(phase)));
      }
    }
  }
  return model;
}

// Scales what a receptor (or both) sees of the sky, before noise: its gain.
void ScaleReceptor(const VisibilityBlock& block, Gains& gains, std::size_t antenna, std::size_t receptor, double by) {
  for (std::size_t c = 0; c < block.n_channels(); ++c) gains[(antenna * block.n_channels() + c) * 2 + receptor] *= by;
}

void ScaleAntenna(const VisibilityBlock& block, Gains& gains, std::size_t antenna, double by) {
  for (std::size_t r = 0; r < 2; ++r) ScaleReceptor(block, gains, antenna, r, by);
}

// Raw data: any phase, amplitudes 0.7 to 1.3, delays of 100 ns.
Gains RawGains(const VisibilityBlock& block) {
  Gains gains = RandomGains(block, 100);
  for (auto& g : gains) g *= (0.7 + 0.6 * (std::abs(g) - 0.5)) / std::abs(g);
  return gains;
}

TEST(LostSky, FindsReceptorsWithoutSkyInRawDataAndNoOthers) {
  for (const int n_sources : {1, 30}) {
    for (const std::size_t n_lost : {0u, 1u, 4u, 10u}) {
      VisibilityBlock block = MakeBlock(Shape());
      Gains gains = RawGains(block);
      for (std::size_t a = 0; a < n_lost; ++a) ScaleAntenna(block, gains, 2 * a + 1, 0);
      ScaleReceptor(block, gains, 0, 1, 0);
      FillVisibilities(block, Field(block, n_sources, n_sources == 1 ? 4 : 0.8), gains, 3, 10 + n_lost);
      const LostSky lost = FindLostSky(block, FlagSettings(), 2);
      EXPECT_EQ(lost.Count(SkyVerdict::kLost), 2 * n_lost + 1) << n_sources << " sources, " << n_lost << " lost";
      EXPECT_EQ(lost.Count(SkyVerdict::kSeen), 2 * (24 - n_lost) - 1);
      EXPECT_EQ(lost.receptors[0][1].verdict, SkyVerdict::kLost);
      EXPECT_EQ(lost.receptors[0][0].verdict, SkyVerdict::kSeen);
      EXPECT_FALSE(lost.AllLost(0));
      for (std::size_t a = 0; a < n_lost; ++a) EXPECT_TRUE(lost.AllLost(2 * a + 1)) << a;
    }
  }
}

// Whatever multiplies sky and noise alike is a matter of gain and not seen at all; what takes the sky only is.
TEST(LostSky, PowerIsTheShareOfTheSkyAndItsErrorThatOfTheNoise) {
  VisibilityBlock block = MakeBlock(Shape());
  Gains gains(block.antennas.size() * block.n_channels() * 2, 1.0);
  ScaleAntenna(block, gains, 3, 0);
  ScaleAntenna(block, gains, 5, 0.15);  // hardly any sky
  ScaleAntenna(block, gains, 7, 0.5);   // a partial loss
  double squares = 0, errors = 0, partial = 0;
  constexpr int kRuns = 20;
  for (int run = 0; run < kRuns; ++run) {
    FillVisibilities(block, ConstantModel(block, 1.5F), gains, 3, 100 + static_cast<unsigned>(run));
    auto vis = block.vis_view();
    for (std::size_t b = 0; b < block.n_baselines(); ++b) {
      const double gain = (block.baselines[b].antenna1 == 9 ? 0.1 : 1) * (block.baselines[b].antenna2 == 11 ? 7 : 1);
      for (std::size_t t = 0; t < block.n_times(); ++t) {
        for (std::size_t i = 0; i < 2 * block.n_channels(); ++i) vis[t][b].data()[i] *= static_cast<float>(gain);
      }
    }
    const LostSky lost = FindLostSky(block, FlagSettings(), 1);
    EXPECT_EQ(lost.Antennas(), (std::vector<std::size_t>{3, 5})) << run;
    partial += lost.receptors[7][0].power / kRuns;
    EXPECT_NEAR(lost.receptors[9][0].power, 1.0, 0.1);
    EXPECT_NEAR(lost.receptors[11][1].power, 1.0, 0.1);
    for (std::size_t r = 0; r < 2; ++r) {
      // |x| of nothing: Rayleigh, so its square has twice the variance of a part.
      squares += lost.receptors[3][r].power * lost.receptors[3][r].power / 2;
      errors += lost.receptors[3][r].error * lost.receptors[3][r].error;
    }
  }
  EXPECT_NEAR(std::sqrt(squares / errors), 1.0, 0.3);
  // The share of the sky is S/(S + N), S/N in a cell of six channels six times 1.5²/9.
  const double s = 6 * 2.25 / 9, usual = s / (1 + s), half = 0.25 * s / (1 + 0.25 * s);
  EXPECT_NEAR(partial, half / usual, 0.05);
}

// Cells of 1.5 MHz see nothing of an antenna whose delay is 700 ns; the finer ones do.
TEST(LostSky, ALongDelayIsNoLoss) {
  VisibilityBlock block = MakeBlock(Shape());
  Gains gains = RawGains(block);
  ScaleAntenna(block, gains, 6, 0);
  for (std::size_t c = 0; c < block.n_channels(); ++c) {
    for (std::size_t r = 0; r < 2; ++r) {
      gains[(4 * block.n_channels() + c) * 2 + r] *=
          std::polar(1.0, 2 * kPi * 700e-9 * (block.frequency_hz[c] - block.frequency_hz[0]));
    }
  }
  FillVisibilities(block, ConstantModel(block, 2.5F), gains, 3, 3);
  EXPECT_EQ(FindLostSky(block, FlagSettings(), 1).Antennas(), std::vector<std::size_t>{6});
}

TEST(LostSky, DoesNotGuessWhenTheSkyIsFaint) {
  VisibilityBlock block = MakeBlock(Shape());
  Gains gains(block.antennas.size() * block.n_channels() * 2, 1.0);
  ScaleAntenna(block, gains, 3, 0);
  for (const float jy : {0.0F, 0.1F, 0.5F}) {
    for (unsigned seed = 0; seed < 10; ++seed) {
      FillVisibilities(block, ConstantModel(block, jy), gains, 3, 50 + seed);
      const LostSky lost = FindLostSky(block, FlagSettings(), 1);
      EXPECT_EQ(lost.Count(SkyVerdict::kLost), 0u) << jy;
      EXPECT_EQ(lost.Count(SkyVerdict::kCannotTell), 48u) << jy;
    }
  }
}

// One baseline with interference, or a few antennas that see each other: that is not the sky of the others.
TEST(LostSky, WhatAFewSeeIsNotTheSky) {
  VisibilityBlock block = MakeBlock(Shape());
  const Gains one(block.antennas.size() * block.n_channels() * 2, 1.0);
  for (const std::size_t few : {2u, 5u, 11u}) {
    Gains gains = one;
    for (std::size_t a = few; a < 24; ++a) ScaleAntenna(block, gains, a, 0);
    FillVisibilities(block, ConstantModel(block, 30), gains, 3, 5);
    EXPECT_EQ(FindLostSky(block, FlagSettings(), 1).Count(SkyVerdict::kLost), 0u) << few;
  }
}

// Interference that was not flagged, in a part of the band and on the baselines of two thirds of the antennas, is not
// the sky that the others miss; those who miss the sky are found beside it.
TEST(LostSky, InterferenceThatSomeSeeCondemnsNoOthers) {
  for (const bool one_is_lost : {false, true}) {
    VisibilityBlock block = MakeBlock(Shape());
    Gains gains = RawGains(block);
    if (one_is_lost) ScaleAntenna(block, gains, 20, 0);
    FillVisibilities(block, ConstantModel(block, 2.5F), gains, 3, 3);
    auto vis = block.vis_view();
    for (std::size_t t = 0; t < block.n_times(); ++t) {
      for (std::size_t b = 0; b < block.n_baselines(); ++b) {
        if (block.baselines[b].antenna1 >= 16 || block.baselines[b].antenna2 >= 16) continue;
        for (std::size_t c = 4; c < 20; ++c) vis(t, b, c, 0) += 100, vis(t, b, c, 1) += 100;
      }
    }
    const auto expected = one_is_lost ? std::vector<std::size_t>{20} : std::vector<std::size_t>{};
    EXPECT_EQ(FindLostSky(block, FlagSettings(), 1).Antennas(), expected);
  }
}

// Emission that only the baselines of a compact core see says nothing about antennas far out.
TEST(LostSky, ExtendedEmissionDoesNotCondemnAntennasFarOut) {
  VisibilityBlock block = MakeBlock(Shape());
  for (std::size_t a = 0; a < 14; ++a) {
    for (std::size_t axis = 0; axis < 3; ++axis) {
      double& x = block.antennas.positions_itrf_m[a][axis];
      const double centre[3] = {-2409150.0, -4478573.0, 3838617.0};
      x = centre[axis] + (x - centre[axis]) / 40;
    }
  }
  for (std::size_t a = 14; a < 24; ++a) block.antennas.positions_itrf_m[a][1] += a % 2 == 0 ? 1500 : -1500;
  for (const float faint : {0.0F, 0.2F, 2.0F}) {
    std::vector<Visibility> model(block.n_times() * block.n_baselines() * block.n_channels(), Visibility(faint, 0));
    for (std::size_t t = 0; t < block.n_times(); ++t) {
      for (std::size_t b = 0; b < block.n_baselines(); ++b) {
        if (block.baselines[b].antenna1 >= 14 || block.baselines[b].antenna2 >= 14) continue;
        std::fill_n(model.begin() + static_cast<std::ptrdiff_t>((t * block.n_baselines() + b) * block.n_channels()),
                    block.n_channels(), Visibility(50, 0));
      }
    }
    FillVisibilities(block, model, Gains(block.antennas.size() * block.n_channels() * 2, 1.0), 3, 8);
    const LostSky lost = FindLostSky(block, FlagSettings(), 1);
    EXPECT_EQ(lost.Count(SkyVerdict::kLost), 0u) << faint;
    EXPECT_EQ(lost.Count(SkyVerdict::kSeen), faint == 2.0F ? 48u : lost.Count(SkyVerdict::kSeen));
  }
}

TEST(LostSky, OneChannelIsComparedInTime) {
  BlockShape shape = Shape();
  shape.n_windows = shape.channels_per_window = 1;
  shape.n_times = 24;
  VisibilityBlock block = MakeBlock(shape);
  Gains gains = RawGains(block);
  ScaleAntenna(block, gains, 6, 0);
  FillVisibilities(block, ConstantModel(block, 4), gains, 1, 3);
  EXPECT_EQ(FindLostSky(block, FlagSettings(), 1).Antennas(), std::vector<std::size_t>{6});
}

// Sources far out turn through phases from one channel of 6 MHz to the next, but not within ten seconds.
TEST(LostSky, WideChannelsAreComparedInTime) {
  BlockShape shape = Shape();
  shape.n_windows = 1;
  shape.channels_per_window = 8;
  shape.n_times = 12;
  VisibilityBlock block = MakeBlock(shape);
  block.channel_width_hz = 6e6;
  for (std::size_t c = 0; c < block.n_channels(); ++c) block.frequency_hz[c] = 1.3e9 + 6e6 * static_cast<double>(c);
  Gains gains = RawGains(block);
  ScaleAntenna(block, gains, 6, 0);
  std::vector<Visibility> model = ConstantModel(block, 4);
  const std::size_t plane = block.n_baselines() * block.n_channels();
  for (std::size_t i = 0; i < model.size(); ++i) {
    model[i] *= std::polar(1.0F, static_cast<float>(i % plane) * 2.4F * static_cast<float>(i % plane % 7));
  }
  FillVisibilities(block, model, gains, 1, 3);
  EXPECT_EQ(FindLostSky(block, FlagSettings(), 1).Antennas(), std::vector<std::size_t>{6});
}

TEST(LostSky, FlaggedSamplesAndMissingWindowsDoNotCount) {
  VisibilityBlock block = MakeBlock(Shape());
  Gains gains = RawGains(block);
  ScaleAntenna(block, gains, 6, 0);
  FillVisibilities(block, ConstantModel(block, 2.5F), gains, 3, 3);
  auto flag = block.flag_view();
  auto vis = block.vis_view();
  for (std::size_t t = 0; t < block.n_times(); ++t) {
    for (std::size_t b = 0; b < block.n_baselines(); ++b) {
      for (std::size_t c = 0; c < block.n_channels(); ++c) {
        for (std::size_t p = 0; p < 2; ++p) {
          if (c % 7 != 0 && t != 2) continue;
          vis(t, b, c, p) = 1000;  // interference, and an integration without data
          flag(t, b, c, p) = 1;
        }
      }
    }
  }
  EXPECT_EQ(FindLostSky(block, FlagSettings(), 1).Antennas(), std::vector<std::size_t>{6});
  std::fill(block.flag.begin(), block.flag.end(), std::uint8_t{1});
  const LostSky none = FindLostSky(block, FlagSettings(), 1);
  EXPECT_EQ(none.Count(SkyVerdict::kNoData), 48u);
}

TEST(LostSky, DoesNotDependOnThreads) {
  VisibilityBlock block = MakeBlock(Shape());
  FillVisibilities(block, Field(block, 12, 1), RawGains(block), 3, 3);
  const LostSky one = FindLostSky(block, FlagSettings(), 1), three = FindLostSky(block, FlagSettings(), 3);
  for (std::size_t a = 0; a < 24; ++a) {
    for (std::size_t r = 0; r < 2; ++r) {
      EXPECT_EQ(one.receptors[a][r].power, three.receptors[a][r].power);
      EXPECT_EQ(one.receptors[a][r].error, three.receptors[a][r].error);
    }
  }
}

TEST(LostSky, FlagTileFlagsThemCountsThemAndCanBeToldNotTo) {
  VisibilityBlock block = MakeBlock(Shape());
  Gains gains = RawGains(block);
  ScaleAntenna(block, gains, 6, 0);
  ScaleReceptor(block, gains, 9, 1, 0);
  FillVisibilities(block, ConstantModel(block, 2.5F), gains, 3, 3);
  FlagSettings off;
  off.lost_sky_fraction = 0;
  VisibilityBlock other = MakeBlock(Shape());
  std::copy(block.vis.begin(), block.vis.end(), other.vis.begin());
  const FlagReport without = FlagTile(other, off, 1);
  EXPECT_TRUE(without.sky.receptors.empty());
  EXPECT_EQ(without.dead_receptors, 0u);

  const FlagReport report = FlagTile(block, FlagSettings(), 2);
  EXPECT_EQ(report.sky.Antennas(), (std::vector<std::size_t>{6, 9}));
  EXPECT_EQ(report.dead_antennas, std::vector<std::size_t>{6});
  EXPECT_EQ(report.dead_receptors, 3u);
  EXPECT_EQ(report.receptors[6][0].fraction(), 1.0);
  EXPECT_EQ(report.receptors[9][1].fraction(), 1.0);
  EXPECT_LT(report.receptors[9][0].fraction(), 0.1);
  const auto reason = [&](const FlagReport& r, FlagReason which) {
    return r.by_reason[static_cast<std::size_t>(which)];
  };
  const std::size_t plane = block.n_times() * block.n_channels();
  EXPECT_NEAR(static_cast<double>(reason(report, FlagReason::kLostSky)), static_cast<double>((23 * 2 + 22) * plane),
              0.01 * static_cast<double>(68 * plane));
  EXPECT_EQ(reason(report, FlagReason::kInterference), reason(without, FlagReason::kInterference));
  // Nothing else is touched.
  for (std::size_t i = 0; i < block.flag.size(); ++i) ASSERT_GE(block.flag[i], other.flag[i]);
  EXPECT_EQ(std::count(block.flag.begin(), block.flag.end(), 1) - std::count(other.flag.begin(), other.flag.end(), 1),
            static_cast<std::ptrdiff_t>(reason(report, FlagReason::kLostSky)));
}

}  // namespace
}  // namespace contimg::calibrate
