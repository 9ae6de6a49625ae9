#include "calibrate/flag_tile.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <random>

#include "config/error.h"

namespace contimg::calibrate {
namespace {

// Noise of n antennas with autocorrelations.
VisibilityBlock NoiseBlock(int n_antennas, std::size_t n_times = 12, std::size_t n_channels = 64) {
  VisibilityBlock block;
  for (int a = 0; a < n_antennas; ++a) {
    block.antennas.names.push_back(std::to_string(a));
    block.antennas.numbers.push_back(a);
    for (int b = a; b < n_antennas; ++b) block.baselines.push_back({a, b});
  }
  for (std::size_t t = 0; t < n_times; ++t) block.time_mjd_s.push_back(5e9 + 12.9 * static_cast<double>(t));
  block.channel_width_hz = 1e6;
  for (std::size_t c = 0; c < n_channels; ++c) block.frequency_hz.push_back(1.4e9 + 1e6 * static_cast<double>(c));
  block.polarisations = {Polarisation::kXX, Polarisation::kYY};
  block.Allocate();
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  for (Visibility& v : block.vis) v = {normal(random), normal(random)};
  return block;
}

std::size_t Reason(const FlagReport& report, FlagReason reason) {
  return report.by_reason[static_cast<std::size_t>(reason)];
}

std::size_t BaselineOf(const VisibilityBlock& block, int a, int b) {
  for (std::size_t i = 0; i < block.n_baselines(); ++i) {
    if (block.baselines[i].antenna1 == a && block.baselines[i].antenna2 == b) return i;
  }
  ADD_FAILURE();
  return 0;
}

FlagSettings WithoutSearch() {
  FlagSettings settings;
  settings.enabled = false;
  return settings;
}

TEST(FlagTile, FlagsZerosAndWhatIsNotFinite) {
  VisibilityBlock block = NoiseBlock(4);
  const std::size_t b = BaselineOf(block, 1, 2);
  auto vis = block.vis_view();
  vis(3, b, 10, 0) = 0;
  vis(4, b, 11, 1) = {std::numeric_limits<float>::quiet_NaN(), 1};
  vis(5, b, 12, 1) = {1, -std::numeric_limits<float>::infinity()};
  vis(6, b, 13, 0) = {0, 1e-30f};  // not zero
  block.flag_view()(0, b, 0, 0) = 1;
  const FlagReport report = FlagTile(block, WithoutSearch(), 2);
  EXPECT_EQ(Reason(report, FlagReason::kInput), 1u);
  EXPECT_EQ(Reason(report, FlagReason::kZero), 1u);
  EXPECT_EQ(Reason(report, FlagReason::kNonFinite), 2u);
  EXPECT_EQ(block.flag_view()(3, b, 10, 0), 1);
  EXPECT_EQ(block.flag_view()(4, b, 11, 1), 1);
  EXPECT_EQ(block.flag_view()(5, b, 12, 1), 1);
  EXPECT_EQ(block.flag_view()(6, b, 13, 0), 0);
  EXPECT_EQ(report.baselines[b].flagged, 4u);
  EXPECT_EQ(report.channels[10].flagged, 1u);
  EXPECT_EQ(report.total.flagged, 4u);
}

TEST(FlagTile, FlagsAutocorrelationsWithoutCountingThemAsLoss) {
  VisibilityBlock block = NoiseBlock(3);
  const FlagReport report = FlagTile(block, WithoutSearch(), 1);
  EXPECT_EQ(Reason(report, FlagReason::kAutocorrelation), 3u * 12 * 64 * 2);
  EXPECT_EQ(report.total.flagged, 0u);
  EXPECT_EQ(report.total.samples, 3u * 12 * 64 * 2);
  EXPECT_EQ(report.baselines[BaselineOf(block, 1, 1)].fraction(), 1.0);
  EXPECT_EQ(report.antennas[1].fraction(), 0.0);
}

TEST(FlagTile, FlagsTheBadBandsAndEveryChannelThatOverlapsThem) {
  VisibilityBlock block = NoiseBlock(3);
  FlagSettings settings = WithoutSearch();
  settings.bad_bands_mhz = "1410.4-1412.6, 1450-1450.1";  // channels are 1 MHz wide about whole MHz
  const FlagReport report = FlagTile(block, settings, 1);
  for (std::size_t c = 0; c < 64; ++c) {
    const bool bad = (c >= 10 && c <= 13) || c == 50;
    EXPECT_EQ(report.channels[c].fraction(), bad ? 1.0 : 0.0) << c;
  }
  EXPECT_EQ(Reason(report, FlagReason::kBadBand), 3u * 12 * 2 * 5);
}

TEST(FlagTile, FlagsADeadReceptorAndKeepsTheLivingOne) {
  VisibilityBlock block = NoiseBlock(6);
  auto vis = block.vis_view();
  for (std::size_t b = 0; b < block.n_baselines(); ++b) {
    if (block.baselines[b].antenna1 != 2 && block.baselines[b].antenna2 != 2) continue;
    for (std::size_t t = 0; t < 12; ++t) {
      for (std::size_t c = 0; c < 62; ++c) vis(t, b, c, 1) = 0;  // 97 % of YY
    }
  }
  const FlagReport report = FlagTile(block, WithoutSearch(), 1);
  EXPECT_EQ(report.receptors_with_data, 12u);
  EXPECT_EQ(report.dead_receptors, 1u);
  EXPECT_TRUE(report.dead_antennas.empty());
  EXPECT_EQ(report.receptors[2][1].fraction(), 1.0);
  EXPECT_EQ(report.receptors[2][0].fraction(), 0.0);
  EXPECT_NEAR(report.antennas[2].fraction(), 0.5, 1e-12);
  EXPECT_EQ(report.living.flagged, 0u);
  EXPECT_EQ(Reason(report, FlagReason::kDeadAntenna), 5u * 12 * 2);
}

// Rows that the input does not have are neither flagged samples nor signs of a dead antenna.
TEST(FlagTile, RowsThatDoNotExistCountNowhere) {
  VisibilityBlock block = NoiseBlock(4);
  block.windows = {{0, 0, 48, ""}, {1, 48, 16, ""}};
  block.absent.assign(12 * block.n_baselines() * 2, 0);
  const auto drop = [&](std::size_t t, std::size_t b, std::size_t w) {
    block.absent[(t * block.n_baselines() + b) * 2 + w] = 1;
    const SpectralWindow& window = block.windows[w];
    std::fill_n(&block.flag_view()(t, b, window.first_channel, 0), window.n_channels * 2, std::uint8_t{1});
    std::fill_n(&block.weight_view()(t, b, window.first_channel, 0), window.n_channels * 2, 0.0F);
    std::fill_n(&block.vis_view()(t, b, window.first_channel, 0), window.n_channels * 2, Visibility(0));
  };
  // Antenna 3 has one integration, antenna 2 lacks the second window, 0-1 has one flagged sample.
  for (std::size_t b = 0; b < block.n_baselines(); ++b) {
    for (std::size_t t = 0; t < 12; ++t) {
      const bool three = block.baselines[b].antenna2 == 3 && t != 5;
      const bool two = block.baselines[b].antenna1 == 2 || block.baselines[b].antenna2 == 2;
      if (three) drop(t, b, 0);
      if (three || two) drop(t, b, 1);
    }
  }
  block.flag_view()(7, BaselineOf(block, 0, 1), 9, 0) = 1;
  const FlagReport report = FlagTile(block, WithoutSearch(), 2);
  EXPECT_TRUE(report.dead_antennas.empty());
  EXPECT_EQ(report.dead_receptors, 0u);
  EXPECT_EQ(report.receptors_with_data, 8u);
  EXPECT_EQ(Reason(report, FlagReason::kInput), 1u);
  EXPECT_EQ(Reason(report, FlagReason::kZero), 0u);
  // 0-1 whole, 0-2 and 1-2 without the second window, 0-3 and 1-3 once whole, 2-3 once without it.
  const std::size_t samples = 2 * (12 * 64 + 2 * 12 * 48 + 2 * 64 + 48);
  EXPECT_EQ(report.total.samples, samples);
  EXPECT_EQ(report.total.flagged, 1u);
  EXPECT_EQ(report.living.samples, samples);
  EXPECT_EQ(report.absent, 2 * 6 * 12 * 64 - samples);
  EXPECT_EQ(report.antennas[3].samples, 2u * (2 * 64 + 48));
  EXPECT_EQ(report.antennas[3].flagged, 0u);
  EXPECT_EQ(report.channels[60].samples, 2u * (12 + 2));
  EXPECT_EQ(report.channels[9].flagged, 1u);
}

// With four of six antennas dead, the living ones have lost four fifths of their baselines: that is no fault of theirs.
TEST(FlagTile, DoesNotTakePartnersOfDeadAntennasForDead) {
  VisibilityBlock block = NoiseBlock(6);
  auto vis = block.vis_view();
  for (std::size_t b = 0; b < block.n_baselines(); ++b) {
    if (block.baselines[b].antenna2 < 2) continue;  // 2 … 5 are dead
    for (std::size_t t = 0; t < 12; ++t) {
      for (std::size_t c = 0; c < 64; ++c) vis(t, b, c, 0) = vis(t, b, c, 1) = 0;
    }
  }
  FlagSettings settings = WithoutSearch();
  settings.dead_antenna_fraction = 0.7;
  const FlagReport report = FlagTile(block, settings, 1);
  EXPECT_EQ(report.dead_antennas, (std::vector<std::size_t>{2, 3, 4, 5}));
  EXPECT_EQ(report.baselines[BaselineOf(block, 0, 1)].flagged, 0u);
  EXPECT_EQ(report.living.fraction(), 0.0);
}

TEST(FlagTile, FindsInterferenceAndCountsEverySampleOnce) {
  VisibilityBlock block = NoiseBlock(8);
  auto vis = block.vis_view();
  const std::size_t b = BaselineOf(block, 2, 5);
  for (std::size_t t = 0; t < 12; ++t) vis(t, b, 20, 0) += 30.0f;
  for (std::size_t t = 0; t < 12; ++t) vis(t, BaselineOf(block, 0, 1), 5, 1) = 0;
  const FlagReport report = FlagTile(block, {}, 2);
  EXPECT_GE(Reason(report, FlagReason::kInterference), 24u);
  EXPECT_GE(report.baselines[b].flagged, 24u);
  const std::size_t flagged = std::accumulate(block.flag.begin(), block.flag.end(), std::size_t{0});
  EXPECT_EQ(std::accumulate(report.by_reason.begin(), report.by_reason.end(), std::size_t{0}), flagged);
}

TEST(FlagTile, ExtendsInterferenceButNotOtherFlags) {
  VisibilityBlock block = NoiseBlock(4);
  auto vis = block.vis_view();
  const std::size_t b = BaselineOf(block, 0, 3);
  vis(6, b, 20, 0) = 100;
  vis(6, b, 40, 0) = vis(6, b, 40, 1) = 0;
  FlagSettings settings;
  settings.extend_times = 1;
  settings.extend_channels = 2;
  const FlagReport report = FlagTile(block, settings, 1);
  for (std::size_t t = 5; t <= 7; ++t) {
    for (std::size_t c = 18; c <= 22; ++c) EXPECT_EQ(block.flag_view()(t, b, c, 1), 1);
  }
  EXPECT_EQ(block.flag_view()(6, b, 41, 0), 0);
  EXPECT_GE(Reason(report, FlagReason::kExtension), 14u * 2);
}

TEST(FlagTile, TakesABlockThatIsAllFlagged) {
  VisibilityBlock block = NoiseBlock(3);
  std::fill(block.flag.begin(), block.flag.end(), std::uint8_t{1});
  const FlagReport report = FlagTile(block, {}, 1);
  EXPECT_EQ(report.total.fraction(), 1.0);
  EXPECT_EQ(Reason(report, FlagReason::kInput), block.flag.size());
  EXPECT_EQ(report.dead_antennas.size(), 3u);
  EXPECT_EQ(report.living.fraction(), 0.0);
}

TEST(FlagTile, GivesTheSameReportForAnyNumberOfThreads) {
  VisibilityBlock one = NoiseBlock(9), three = NoiseBlock(9);
  const FlagReport a = FlagTile(one, {}, 1), b = FlagTile(three, {}, 3);
  EXPECT_EQ(a.by_reason, b.by_reason);
  EXPECT_TRUE(std::equal(one.flag.begin(), one.flag.end(), three.flag.begin()));
}

TEST(ParseBands, ReadsPairsAndRefusesEverythingElse) {
  EXPECT_TRUE(ParseBands("").empty());
  const auto bands = ParseBands("1420.2-1420.6,1381 - 1382");
  ASSERT_EQ(bands.size(), 2u);
  EXPECT_DOUBLE_EQ(bands[0].first, 1420.2e6);
  EXPECT_DOUBLE_EQ(bands[1].second, 1382e6);
  for (const char* bad : {"1420", "1420-", "1420-1410", "a-b", "1-2;3-4", "1-2-3"}) {
    EXPECT_THROW(ParseBands(bad), Error) << bad;
  }
}

}  // namespace
}  // namespace contimg::calibrate
