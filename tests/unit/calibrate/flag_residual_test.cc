#include "calibrate/flag_residual.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <vector>

#include "config/error.h"

namespace contimg::calibrate {
namespace {

constexpr std::size_t kTimes = 24, kChannels = 300;

// A bright source with a fringe of `turns` over the band on each baseline, plus unit noise per component.
VisibilityBlock SourceBlock(int n_antennas, float amplitude, double turns, std::vector<Visibility>* model = nullptr) {
  VisibilityBlock block;
  for (int a = 0; a < n_antennas; ++a) {
    block.antennas.names.push_back(std::to_string(a));
    for (int b = a; b < n_antennas; ++b) block.baselines.push_back({a, b});
  }
  for (std::size_t t = 0; t < kTimes; ++t) block.time_mjd_s.push_back(static_cast<double>(t));
  for (std::size_t c = 0; c < kChannels; ++c) block.frequency_hz.push_back(1e9 + 1e6 * static_cast<double>(c));
  block.polarisations = {Polarisation::kXX, Polarisation::kYY};
  block.Allocate();
  std::mt19937 random(9);
  std::normal_distribution<float> normal;
  auto vis = block.vis_view();
  for (std::size_t t = 0; t < kTimes; ++t) {
    for (std::size_t b = 0; b < block.n_baselines(); ++b) {
      for (std::size_t c = 0; c < kChannels; ++c) {
        const double angle = 2 * M_PI * (turns * static_cast<double>(c) / kChannels + 0.01 * static_cast<double>(t));
        const Visibility source = std::polar(amplitude, static_cast<float>(angle));
        if (model != nullptr) model->push_back(source);
        for (std::size_t p = 0; p < 2; ++p) vis(t, b, c, p) = source + Visibility(normal(random), normal(random));
      }
    }
  }
  return block;
}

std::size_t CountFlags(const VisibilityBlock& block) {
  return std::accumulate(block.flag.begin(), block.flag.end(), std::size_t{0});
}

// The limit of 7 scaled MADs above the median is 5.8 σ of a Rayleigh distribution: 4e-8 of the noise exceeds it.
TEST(ClipResiduals, LeavesSourcesAlone) {
  // φ over 3 channels: 50 (1 − cos 0.06) = 0.1, 4 (1 − cos 0.63) = 0.8.
  VisibilityBlock bright = SourceBlock(4, 50, 1);
  EXPECT_EQ(ClipResiduals(bright, {}, {}, 2), 0u);
  VisibilityBlock offset = SourceBlock(4, 4, 10);
  EXPECT_EQ(ClipResiduals(offset, {}, {}, 2), 0u);
}

TEST(ClipResiduals, FindsAnOutlierUnderABrightSource) {
  VisibilityBlock block = SourceBlock(4, 50, 1);
  block.vis_view()(5, 1, 100, 0) += Visibility(0, 10);
  EXPECT_EQ(ClipResiduals(block, {}, {}, 1), 2u);
  EXPECT_EQ(block.flag_view()(5, 1, 100, 0), 1);
  EXPECT_EQ(block.flag_view()(5, 1, 100, 1), 1);
}

TEST(ClipResiduals, TakesTheModelOffWhenThereIsOne) {
  std::vector<Visibility> model;
  VisibilityBlock block = SourceBlock(4, 50, 140, &model);  // turns too fast for the local median
  for (std::size_t c = 100; c < 120; ++c) block.vis_view()(5, 1, c, 1) += Visibility(9, 0);  // too wide for it as well
  const ArrayView<const Visibility, 3> view(model.data(), {kTimes, block.n_baselines(), kChannels});
  EXPECT_EQ(ClipResiduals(block, view, {}, 1), 40u);
}

TEST(ClipResiduals, SeesNeitherFlaggedSamplesNorAutocorrelations) {
  VisibilityBlock block = SourceBlock(3, 5, 3);
  auto vis = block.vis_view();
  for (std::size_t c = 100; c < 140; ++c) {
    for (std::size_t p = 0; p < 2; ++p) {
      vis(5, 1, c, p) = Visibility(NAN, 1e20f);
      block.flag_view()(5, 1, c, p) = 1;
    }
  }
  ASSERT_TRUE(block.baselines[0].is_auto());
  vis(3, 0, 7, 0) = 1000;
  const std::size_t before = CountFlags(block);
  EXPECT_EQ(ClipResiduals(block, {}, {}, 1), 0u);
  EXPECT_EQ(CountFlags(block), before);
}

TEST(ClipResiduals, DoesNothingWhenOffOrAllIsFlagged) {
  VisibilityBlock block = SourceBlock(3, 0, 0);
  block.vis_view()(5, 1, 100, 0) = 1000;
  FlagSettings off;
  off.residual_sigma = 0;
  EXPECT_EQ(ClipResiduals(block, {}, off, 1), 0u);
  std::fill(block.flag.begin(), block.flag.end(), std::uint8_t{1});
  EXPECT_EQ(ClipResiduals(block, {}, {}, 1), 0u);
}

// Median and MAD by sorting, for a small block without flags and with a model of zero.
TEST(ClipResiduals, ClipsAtTheLimitOfTheDefinition) {
  VisibilityBlock block = SourceBlock(2, 0, 0);
  const std::vector<Visibility> model(kTimes * block.n_baselines() * kChannels);
  std::vector<float> amplitude;
  for (std::size_t t = 0; t < kTimes; ++t) {
    for (std::size_t c = 0; c < kChannels; ++c) amplitude.push_back(std::abs(block.vis_view()(t, 1, c, 0)));
  }
  auto middle = [](std::vector<float> x) {
    std::sort(x.begin(), x.end());
    return x[x.size() / 2];
  };
  const float median = middle(amplitude);
  std::vector<float> deviation;
  for (float a : amplitude) deviation.push_back(std::abs(a - median));
  const float limit = median + 7 * 1.4826f * middle(deviation);
  block.vis_view()(3, 1, 50, 0) = limit * 1.01f;
  block.vis_view()(3, 1, 60, 0) = limit * 0.99f;
  EXPECT_EQ(ClipResiduals(block, {model.data(), {kTimes, block.n_baselines(), kChannels}}, {}, 1), 2u);
  EXPECT_EQ(block.flag_view()(3, 1, 50, 0), 1);
  EXPECT_EQ(block.flag_view()(3, 1, 60, 0), 0);
}

TEST(ClipResiduals, RefusesAModelOfAnotherShape) {
  VisibilityBlock block = SourceBlock(2, 0, 0);
  const std::vector<Visibility> model(10);
  EXPECT_THROW(ClipResiduals(block, {model.data(), {1, 1, 10}}, {}, 1), Error);
}

}  // namespace
}  // namespace contimg::calibrate
