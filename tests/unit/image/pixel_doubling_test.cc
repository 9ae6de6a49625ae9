#include "image/operator/pixel_doubling.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <tuple>
#include <vector>

#include "config/units.h"
#include "image/operator/image_grid.h"
#include "tests/unit/image/random_tile.h"

namespace contimg::image {
namespace {

ImageGeometry FineGeometry(std::size_t nx, std::size_t ny, double cell_rad = 1e-5) {
  ImageGeometry g;
  g.nx = nx;
  g.ny = ny;
  g.cell_rad = cell_rad;
  return g;
}

struct Pixels {
  explicit Pixels(const ImageGeometry& g) : values(g.nx * g.ny), shape{g.ny, g.nx} {}
  ArrayView<float, 2> view() { return {values.data(), shape}; }
  ArrayView<const float, 2> view() const { return {values.data(), shape}; }
  std::vector<float> values;
  std::array<std::size_t, 2> shape;
};

constexpr double kTestBand = 0.36;  // cycles per wide pixel: a DSA-110 tile at 3"

class DoubledSizes : public testing::TestWithParam<std::tuple<int, int>> {};

// Waves of every direction up to the edge of the band, evaluated at the fine pixels by their definition.
TEST_P(DoubledSizes, WavesOfTheBandAreExactBetweenPixels) {
  const auto [nx, ny] = GetParam();
  const ImageGeometry fine = FineGeometry(static_cast<std::size_t>(nx), static_cast<std::size_t>(ny));
  for (const double error : {1e-3, 1e-5}) {
    const auto doubling = PixelDoubling::Make(kTestBand, error);
    ASSERT_TRUE(doubling);
    EXPECT_LE(doubling->largest_error(), error);
    const ImageGeometry wide = doubling->Wide(fine);
    EXPECT_DOUBLE_EQ(wide.cell_rad, 2 * fine.cell_rad);
    for (const auto& [fu, fv] : {std::pair{0.0, 0.0}, {kTestBand, 0.0}, {0.0, -kTestBand}, {0.3, 0.2}, {-0.25, 0.25}}) {
      const auto wave = [&, u = fu, v = fv](double x, double y) { return std::cos(2 * kPi * (u * x + v * y) + 0.7); };
      Pixels in(wide), out(fine);
      for (std::size_t y = 0; y < wide.ny; ++y) {
        for (std::size_t x = 0; x < wide.nx; ++x) {
          in.view()(y, x) = static_cast<float>(wave(static_cast<double>(x) - static_cast<double>(wide.nx / 2),
                                                    static_cast<double>(y) - static_cast<double>(wide.ny / 2)));
        }
      }
      doubling->Double(in.view(), out.view(), 2);
      for (std::size_t y = 0; y < fine.ny; ++y) {
        for (std::size_t x = 0; x < fine.nx; ++x) {
          const double expected = wave((static_cast<double>(x) - static_cast<double>(fine.nx / 2)) / 2,
                                       (static_cast<double>(y) - static_cast<double>(fine.ny / 2)) / 2);
          ASSERT_NEAR(out.view()(y, x), expected, error + 1e-6) << x << ", " << y << ": " << fu << ", " << fv;
        }
      }
    }
  }
}

TEST_P(DoubledSizes, TransposeIsTheTranspose) {
  const auto [nx, ny] = GetParam();
  const ImageGeometry fine = FineGeometry(static_cast<std::size_t>(nx), static_cast<std::size_t>(ny));
  const auto doubling = PixelDoubling::Make(kTestBand, 1e-5);
  ASSERT_TRUE(doubling);
  const ImageGeometry wide = doubling->Wide(fine);
  Pixels a(wide), doubled(fine), b(fine), taken(wide);
  std::mt19937 random(3);
  std::normal_distribution<float> gauss;
  for (float& v : a.values) v = gauss(random);
  for (float& v : b.values) v = gauss(random);
  doubling->Double(a.view(), doubled.view(), 1);
  doubling->Transpose(b.view(), taken.view(), 3);
  double in_fine = 0, in_wide = 0;
  for (std::size_t i = 0; i < b.values.size(); ++i) in_fine += static_cast<double>(b.values[i]) * doubled.values[i];
  for (std::size_t i = 0; i < a.values.size(); ++i) in_wide += static_cast<double>(a.values[i]) * taken.values[i];
  EXPECT_NEAR(in_fine, in_wide, 1e-5 * std::sqrt(static_cast<double>(nx * ny)));
}

INSTANTIATE_TEST_SUITE_P(HalvesEvenAndOdd, DoubledSizes,
                         testing::Values(std::tuple{64, 64}, std::tuple{66, 60}, std::tuple{62, 70}, std::tuple{34, 36},
                                         std::tuple{2, 4}));

TEST(PixelDoublingBand, NothingWhereTooManyPixelsWouldBeNeeded) {
  EXPECT_FALSE(PixelDoubling::Make(0.5, 1e-5));
  EXPECT_FALSE(PixelDoubling::Make(0.46, 1e-5));
  EXPECT_FALSE(PixelDoubling::Make(std::nan(""), 1e-5));
  EXPECT_LT(PixelDoubling::Make(0.2, 1e-5)->taps(), PixelDoubling::Make(0.38, 1e-5)->taps());
}

TEST(ImageGridOf, WidePixelsOnlyWhereTheBaselinesAllowThem) {
  RandomTile tile;
  tile.height_rms_m = 0;
  const VisibilityBlock block = MakeRandomTile(tile);
  double longest = 0;
  const auto uvw = block.uvw_view();
  for (std::size_t t = 0; t < block.n_times(); ++t) {
    for (std::size_t b = 0; b < block.n_baselines(); ++b) {
      longest = std::max(longest, std::hypot(uvw(t, b, 0u), uvw(t, b, 1u)) * block.frequency_hz.back() / kSpeedOfLight);
    }
  }
  const auto chosen = [&](double pixels_per_period, double max_uv = 1e300, double error = 1e-5) {
    return ChooseGrid(block, FineGeometry(512, 512, 1 / (pixels_per_period * longest)), max_uv, error);
  };
  EXPECT_TRUE(chosen(6).doubling);
  EXPECT_LT(chosen(6).geometry.nx, 300u);
  EXPECT_FALSE(chosen(4.2).doubling);
  EXPECT_EQ(chosen(4.2).geometry.nx, 512u);
  EXPECT_TRUE(chosen(4.2, 0.6 * longest).doubling);  // the long ones are left out
  EXPECT_FALSE(chosen(6, 1e300, 0).doubling);
}

}  // namespace
}  // namespace contimg::image
