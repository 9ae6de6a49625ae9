#include "image/clean/minor_cycle.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "tests/unit/image/test_sky.h"

namespace contimg::image {
namespace {

struct Field {
  Field(std::size_t n, unsigned seed) : array(n, 300, 0.06, seed), psf(array.PsfImage()), dirty(n * n) {
    array.Add({{20, 30, 1.0}, {70, 41, 0.6}, {71, 90, -0.5}}, 1, view());
  }
  ArrayView<float, 2> view() { return {dirty.data(), {array.n(), array.n()}}; }
  ArrayView<const float, 2> psf_view() const { return {psf.data(), {array.n(), array.n()}}; }
  TestArray array;
  std::vector<float> psf, dirty;
};

// Högbom's algorithm on the whole image, written down plainly.
std::vector<CleanComponent> Hogbom(Field& field, double gain, double level, bool negative) {
  const auto n = static_cast<std::ptrdiff_t>(field.array.n());
  std::vector<float> r = field.dirty;
  std::vector<CleanComponent> components;
  while (true) {
    std::ptrdiff_t best = 0;
    double peak = 0;
    for (std::ptrdiff_t i = 0; i < n * n; ++i) {
      const double value = negative ? std::abs(r[static_cast<std::size_t>(i)]) : r[static_cast<std::size_t>(i)];
      if (value > peak) peak = value, best = i;
    }
    if (peak < level) return components;
    const std::ptrdiff_t x = best % n, y = best / n;
    const auto flux = static_cast<float>(gain * r[static_cast<std::size_t>(best)]);
    components.push_back({static_cast<std::int32_t>(x), static_cast<std::int32_t>(y), 0, flux});
    for (std::ptrdiff_t j = 0; j < n; ++j) {
      for (std::ptrdiff_t i = 0; i < n; ++i) {
        const std::ptrdiff_t px = i - x + n / 2, py = j - y + n / 2;
        if (px >= 0 && py >= 0 && px < n && py < n) {
          r[static_cast<std::size_t>(j * n + i)] -= flux * field.psf[static_cast<std::size_t>(py * n + px)];
        }
      }
    }
  }
}

TEST(MinorCycle, FindsTheComponentsOfPlainHogbomWhileNothingOutsideTheListRises) {
  // 100 is no multiple of the cell, so the last cell of each row overhangs the image.
  Field field(100, 1);
  const PaddedPsf psf(field.psf_view(), 1);
  MinorCycleParams params;
  params.stop_level = 0.35F;
  params.max_iterations = 1000;
  const MinorCycleResult found = RunMinorCycle(field.view(), psf, {}, params, 1);
  const auto expected = Hogbom(field, 0.1, 0.35, true);
  ASSERT_EQ(found.components.size(), expected.size());
  ASSERT_GT(expected.size(), 15U);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(found.components[i].x, expected[i].x);
    EXPECT_EQ(found.components[i].y, expected[i].y);
    EXPECT_NEAR(found.components[i].flux_jy, expected[i].flux_jy, 1e-6);
  }
  EXPECT_EQ(found.stop, MinorCycleStop::kLevelReached);
  EXPECT_LT(found.final_peak, 0.35F);
}

// A PSF of noise with a peak: side lobes of any size anywhere, over many tiles and beyond the edges of the PSF.
TEST(ActiveTilesOf, HoldThePeakOfPlainSubtractionAtEveryStep) {
  constexpr std::size_t kNx = 334, kNy = 262;
  std::mt19937 random(7);
  std::normal_distribution<float> gauss;
  std::vector<float> psf(kNx * kNy), residual(kNx * kNy), weight(kNx * kNy);
  for (float& p : psf) p = 0.02F * gauss(random);
  for (std::size_t i = 0; i < 60; ++i) psf[random() % psf.size()] = 0.5F * gauss(random);
  psf[kNy / 2 * kNx + kNx / 2] = 1;
  for (float& r : residual) r = gauss(random);
  for (float& w : weight) w = 0.25F * static_cast<float>(random() % 5);
  const PaddedPsf padded({psf.data(), {kNy, kNx}}, 2);
  std::vector<ActiveCell> cells;
  for (std::int32_t y = 0; y < static_cast<std::int32_t>(kNy); ++y) {
    for (std::int32_t x = 0; x < static_cast<std::int32_t>(kNx); x += 16) cells.push_back({x, y});
  }
  std::shuffle(cells.begin(), cells.end(), random);
  ActiveTiles tiles(cells, padded, true, [&](const ActiveCell& cell, float* value, float* cell_weight) {
    for (std::size_t k = 0; k < 16 && static_cast<std::size_t>(cell.x) + k < kNx; ++k) {
      const std::size_t pixel = static_cast<std::size_t>(cell.y) * kNx + static_cast<std::size_t>(cell.x) + k;
      value[k] = residual[pixel];
      cell_weight[k] = weight[pixel];
    }
  });
  for (int step = 0; step < 400; ++step) {
    std::size_t best = 0;
    for (std::size_t i = 0; i < residual.size(); ++i) {
      if (std::abs(residual[i]) * weight[i] > std::abs(residual[best]) * weight[best]) best = i;
    }
    const ActiveTiles::Peak peak = tiles.FindPeak();
    const auto x = static_cast<std::ptrdiff_t>(best % kNx), y = static_cast<std::ptrdiff_t>(best / kNx);
    ASSERT_NEAR(peak.search_value, std::abs(residual[best]) * weight[best], 1e-5) << step;
    ASSERT_EQ(peak.x, x) << step;
    ASSERT_EQ(peak.y, y) << step;
    const float flux = 0.3F * peak.value;
    tiles.Subtract(peak.x, peak.y, flux);
    for (std::ptrdiff_t j = 0; j < static_cast<std::ptrdiff_t>(kNy); ++j) {
      for (std::ptrdiff_t i = 0; i < static_cast<std::ptrdiff_t>(kNx); ++i) {
        const std::ptrdiff_t px = i - x + static_cast<std::ptrdiff_t>(kNx / 2);
        const std::ptrdiff_t py = j - y + static_cast<std::ptrdiff_t>(kNy / 2);
        if (px < 0 || py < 0 || px >= static_cast<std::ptrdiff_t>(kNx) || py >= static_cast<std::ptrdiff_t>(kNy))
          continue;
        residual[static_cast<std::size_t>(j) * kNx + static_cast<std::size_t>(i)] -=
            flux * psf[static_cast<std::size_t>(py) * kNx + static_cast<std::size_t>(px)];
      }
    }
  }
}

TEST(MinorCycle, LeavesNegativePixelsAloneWhenAsked) {
  Field field(100, 1);
  MinorCycleParams params;
  params.stop_level = 0.3F;
  params.max_iterations = 1000;
  params.allow_negative = false;
  const MinorCycleResult found = RunMinorCycle(field.view(), PaddedPsf(field.psf_view(), 1), {}, params, 1);
  ASSERT_FALSE(found.components.empty());
  for (const CleanComponent& c : found.components) EXPECT_GT(c.flux_jy, 0);
}

TEST(MinorCycle, StaysInsideMaskAndBorder) {
  Field field(100, 1);
  std::vector<std::uint8_t> mask(100 * 100, 0);
  for (std::size_t y = 0; y < 60; ++y) std::fill_n(&mask[y * 100 + 60], 20, std::uint8_t{1});
  MinorCycleParams params;
  params.stop_level = 0.2F;
  params.max_iterations = 1000;
  SearchWeights weights;
  weights.mask = {mask.data(), {100, 100}};
  const MinorCycleResult masked = RunMinorCycle(field.view(), PaddedPsf(field.psf_view(), 1), weights, params, 1);
  ASSERT_FALSE(masked.components.empty());
  for (const CleanComponent& c : masked.components) {
    EXPECT_TRUE(c.x >= 60 && c.x < 80 && c.y < 60) << c.x << ' ' << c.y;
  }
  params.border_px = 25;
  const MinorCycleResult inner = RunMinorCycle(field.view(), PaddedPsf(field.psf_view(), 1), {}, params, 1);
  for (const CleanComponent& c : inner.components) {
    EXPECT_TRUE(c.x >= 25 && c.x < 75 && c.y >= 25 && c.y < 75) << c.x << ' ' << c.y;
  }
}

TEST(MinorCycle, WeightsSteerTheSearchAndNotTheFlux) {
  Field field(100, 1);
  std::vector<float> weight(100 * 100, 1.0F);
  for (std::size_t i = 0; i < 50 * 100; ++i) weight[i] = 0.01F;  // the two brightest sources stand in the lower half
  MinorCycleParams params;
  params.stop_level = 0.3F;
  params.max_iterations = 1;
  SearchWeights weights;
  weights.weight = {weight.data(), {100, 100}};
  const MinorCycleResult found = RunMinorCycle(field.view(), PaddedPsf(field.psf_view(), 1), weights, params, 1);
  ASSERT_EQ(found.components.size(), 1U);
  EXPECT_EQ(found.components[0].x, 71);
  EXPECT_EQ(found.components[0].y, 90);
  EXPECT_NEAR(found.components[0].flux_jy, 0.1 * field.dirty[90 * 100 + 71], 1e-6);
}

TEST(MinorCycle, RaisesTheLevelWhenTooManyCellsAreActive) {
  Field field(100, 1);
  MinorCycleParams params;
  params.stop_level = 1e-3F;
  params.max_iterations = 10;
  params.max_cells = 20;
  const MinorCycleResult found = RunMinorCycle(field.view(), PaddedPsf(field.psf_view(), 1), {}, params, 1);
  EXPECT_GT(found.level, 1e-3F);
  EXPECT_LE(found.cells, 20U);
  EXPECT_FALSE(found.components.empty());
}

TEST(MinorCycle, DoesNotDependOnTheNumberOfThreads) {
  Field field(100, 3);
  MinorCycleParams params;
  params.stop_level = 0.1F;
  params.max_iterations = 500;
  const auto one = RunMinorCycle(field.view(), PaddedPsf(field.psf_view(), 1), {}, params, 1);
  const auto four = RunMinorCycle(field.view(), PaddedPsf(field.psf_view(), 4), {}, params, 4);
  ASSERT_EQ(one.components.size(), four.components.size());
  for (std::size_t i = 0; i < one.components.size(); ++i) {
    EXPECT_EQ(one.components[i].flux_jy, four.components[i].flux_jy);
    EXPECT_EQ(one.components[i].x, four.components[i].x);
  }
}

TEST(MinorCycle, DoesNothingBelowTheLevel) {
  Field field(100, 1);
  MinorCycleParams params;
  params.stop_level = 10;
  params.max_iterations = 10;
  const auto found = RunMinorCycle(field.view(), PaddedPsf(field.psf_view(), 1), {}, params, 1);
  EXPECT_TRUE(found.components.empty());
  EXPECT_EQ(found.stop, MinorCycleStop::kNothingToDo);
}

}  // namespace
}  // namespace contimg::image
