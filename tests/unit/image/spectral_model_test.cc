#include "image/clean/spectral_model.h"

#include <gtest/gtest.h>

#include <cmath>

#include "config/error.h"
#include "ingest/channel_slice.h"
#include "tests/unit/image/random_tile.h"

namespace contimg::image {
namespace {

const std::vector<double> kX = {-0.06, -0.02, 0.02, 0.06};

TEST(FitSpectrum, FindsTheSlopeOfALine) {
  const std::vector<double> weight = {0.25, 0.25, 0.25, 0.25}, error(4, 0.01);
  std::vector<double> factor;
  for (double x : kX) factor.push_back(1 - 0.7 * x);
  const SpectrumFit fit = FitSpectrum(kX, weight, factor, error, 2, 0);
  EXPECT_NEAR(fit.slope, -0.7, 1e-9);
  // Straight line: σ_slope = σ / sqrt(Σ x²) about a mean of zero.
  EXPECT_NEAR(fit.slope_error, 0.01 / std::sqrt(2 * (0.06 * 0.06 + 0.02 * 0.02)), 1e-9);
  for (std::size_t c = 0; c < 4; ++c) EXPECT_NEAR(fit.factor[c], factor[c], 1e-9);
}

TEST(FitSpectrum, KeepsTheWeightedMeanOne) {
  const std::vector<double> weight = {0.4, 0.3, 0.2, 0.1}, error(4, 0.01);
  const SpectrumFit fit = FitSpectrum(kX, weight, {1.1, 1.3, 0.8, 0.7}, error, 4, 0);
  double mean = 0;
  for (std::size_t c = 0; c < 4; ++c) mean += weight[c] * fit.factor[c];
  EXPECT_NEAR(mean, 1, 1e-12);
  // As many terms as bands: the measured ratios themselves.
  EXPECT_NEAR(fit.factor[1] / fit.factor[0], 1.3 / 1.1, 1e-6);
}

TEST(FitSpectrum, ThePriorKeepsNoiseFlatAndLeavesSignalAlone) {
  const std::vector<double> weight(4, 0.25);
  const std::vector<double> noisy = {0.5, 1.4, 1.2, 0.3}, steep = {1.2, 1.07, 0.93, 0.8};
  const SpectrumFit loose = FitSpectrum(kX, weight, noisy, std::vector<double>(4, 1.0), 2, 3);
  EXPECT_LT(std::abs(loose.slope), 0.5);  // σ of the slope is 11, of the prior 3
  const SpectrumFit tight = FitSpectrum(kX, weight, steep, std::vector<double>(4, 1e-3), 2, 3);
  EXPECT_NEAR(tight.slope, -10.0 / 3, 0.05);
}

TEST(FitSpectrum, AnImpossibleMeanGivesAFlatSpectrum) {
  const SpectrumFit fit =
      FitSpectrum(kX, std::vector<double>(4, 0.25), std::vector<double>(4, -1.0), std::vector<double>(4, 0.1), 2, 3);
  EXPECT_EQ(fit.factor, std::vector<double>(4, 1.0));
}

TEST(BandOperators, TheirMeanIsTheImageOfAllWithNaturalWeights) {
  // With natural weights the bands' weighted mean is the image of the whole tile.
  RandomTile tile;
  tile.n_antennas = 8;
  tile.n_times = 2;
  const VisibilityBlock block = MakeRandomTile(tile, 2);
  ImageGeometry geometry;
  geometry.nx = geometry.ny = 256;
  geometry.cell_rad = 4e-5;
  WeightSettings weights;
  weights.mode = WeightMode::kNatural;
  OperatorSettings settings;
  settings.threads = 2;
  settings.fit_slant = false;
  const VisibilitiesInMemory vis(block);
  const BandOperators one(block, vis, 1, geometry, weights, settings), four(block, vis, 4, geometry, weights, settings);
  ASSERT_EQ(four.n_bands(), 4U);
  EXPECT_EQ(one.figures().n_used, four.figures().n_used);
  EXPECT_NEAR(one.figures().NoiseFactor(), four.figures().NoiseFactor(), 1e-6 * one.figures().NoiseFactor());
  EXPECT_NEAR(one.frequency_hz(), four.frequency_hz(), 1);
  Plane dirty_one(geometry), psf_one(geometry), dirty_four(geometry), psf_four(geometry);
  one.DirtyAndPsf(dirty_one.view(), psf_one.view());
  four.DirtyAndPsf(dirty_four.view(), psf_four.view());
  double error = 0, power = 0;
  for (std::size_t i = 0; i < dirty_one.pixels.size(); ++i) {
    error += std::pow(dirty_one.pixels[i] - dirty_four.pixels[i], 2);
    power += std::pow(dirty_one.pixels[i], 2);
    EXPECT_NEAR(psf_one.pixels[i], psf_four.pixels[i], 2e-4);
  }
  EXPECT_LT(std::sqrt(error / power), 6e-5);  // two images with an accuracy of 3e-5 each
  const auto a = one.weight_by_time_channel(), b = four.weight_by_time_channel();
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a.data()[i], b.data()[i], 1e-4 * (1 + a.data()[i]));
}

TEST(SliceChannels, TakesTheChannelsAndPutsThemBack) {
  RandomTile tile;
  tile.n_antennas = 5;
  VisibilityBlock block = MakeRandomTile(tile);
  VisibilityBlock part = SliceChannels(block, 3, 7, 2);
  ASSERT_EQ(part.n_channels(), 5U);
  EXPECT_EQ(part.frequency_hz.front(), block.frequency_hz[3]);
  EXPECT_EQ(part.vis_view()(1, 2, 4, 1), block.vis_view()(1, 2, 7, 1));
  EXPECT_EQ(part.flag_view()(1, 2, 0, 0), block.flag_view()(1, 2, 3, 0));
  EXPECT_EQ(part.weight_view()(0, 1, 0, 1), block.weight_view()(0, 1, 3, 1));
  const Visibility outside = block.vis_view()(1, 2, 8, 0);
  for (Visibility& v : part.vis) v = {7, 8};
  InsertChannels(part, 3, block, 2);
  EXPECT_EQ(block.vis_view()(1, 2, 3, 0), Visibility(7, 8));
  EXPECT_EQ(block.vis_view()(1, 2, 7, 1), Visibility(7, 8));
  EXPECT_EQ(block.vis_view()(1, 2, 8, 0), outside);
  EXPECT_THROW(SliceChannels(block, 7, 3, 1), Error);
  EXPECT_THROW(SliceChannels(block, 0, block.n_channels(), 1), Error);
}

}  // namespace
}  // namespace contimg::image
