#include "mosaic/coadd/open_mosaic.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <set>
#include <vector>

#include "config/error.h"
#include "made_up_tile.h"
#include "mosaic/tile/image_reader.h"

namespace contimg::mosaic {
namespace {

using testing_tile::MadeUpTile;

constexpr std::size_t kSide = 400;
constexpr double kNoise = 0.001;

double ResponseOf(double x, double y) {
  const double r2 = std::pow(x - kSide / 2.0, 2) + std::pow(y - kSide / 2.0, 2);
  return std::exp(-r2 / (2 * 110.0 * 110.0));
}

struct PointSource {
  double ra_deg, dec_deg, flux_jy;
};

// A tile that sees these sources through a Gaussian beam.
MadeUpTile TileWith(double ra_deg, double dec_deg, const std::vector<PointSource>& sources) {
  MadeUpTile tile = testing_tile::MakeTile(kSide, ra_deg, dec_deg);
  for (std::size_t y = 0; y < kSide; ++y) {
    for (std::size_t x = 0; x < kSide; ++x) {
      tile.pb.view()(y, x) = static_cast<float>(ResponseOf(static_cast<double>(x), static_cast<double>(y)));
    }
  }
  for (const PointSource& s : sources) {
    const auto at = PixelOf(tile.header, {Angle::Degrees(s.ra_deg), Angle::Degrees(s.dec_deg)});
    if (at && std::abs(at->x - 200) < 300 && std::abs(at->y - 200) < 300) {
      testing_tile::AddSource(tile, {at->x, at->y, s.flux_jy * ResponseOf(at->x, at->y)});
    }
  }
  return tile;
}

// Tiles have pixels of their own: they are moved, never copied.
template <typename... Tiles>
std::vector<MadeUpTile> Together(Tiles&&... each) {
  std::vector<MadeUpTile> tiles;
  (tiles.push_back(std::move(each)), ...);
  return tiles;
}

std::optional<image::ThinImage> Thin(const image::Plane& plane) {
  image::FitsImage image;
  image.header.geometry.ny = plane.shape[0], image.header.geometry.nx = plane.shape[1];
  image.pixels = Buffer<float>(plane.pixels.size());
  std::copy(plane.pixels.begin(), plane.pixels.end(), image.pixels.begin());
  return image::Thinned(image);
}

TileSky SkyOfTile(const MadeUpTile& tile, double rms = kNoise) {
  image::CoarseMap map;
  map.nx = map.ny = 2;
  map.step = kSide / 2.0;
  map.values.assign(4, static_cast<float>(rms));
  return SkyOf(tile.header, Thin(tile.pb), std::nullopt, map);
}

SkyGrid GridOfTiles(const std::vector<MadeUpTile>& tiles) {
  std::vector<SkyGrid> grids;
  for (const MadeUpTile& tile : tiles) grids.push_back({tile.header.centre, tile.header.geometry});
  return GridAround(grids, {});
}

MosaicMaps Mosaic(const std::vector<MadeUpTile>& tiles, const std::vector<std::size_t>& order, int threads) {
  OpenMosaic mosaic(GridOfTiles(tiles), {.noise_jy = kNoise});
  for (const std::size_t i : order) {
    mosaic.Add(SkyOfTile(tiles[i]), tiles[i].image.view(), tiles[i].residual.view(), 1, threads);
  }
  return std::move(mosaic).Close(threads);
}

// The flux that a mosaic reads at a place.
double ReadAt(const SkyGrid& grid, const image::Plane& map, const PointSource& source) {
  const auto at =
      GridAxes(grid).PixelAt(UnitVector({Angle::Degrees(source.ra_deg).rad(), Angle::Degrees(source.dec_deg).rad()}));
  return ImageReader(map.view(), 0.2).At(at->x, at->y);
}

class OpenMosaicAt : public testing::TestWithParam<double> {};

// Over RA 0 h, at all declinations: fluxes of the sky, whichever tiles see the source.
TEST_P(OpenMosaicAt, HasTheFluxesOfTheSky) {
  const double dec = GetParam(), step = 0.12 / std::cos(Angle::Degrees(dec).rad());
  const std::vector<PointSource> sources{{0.003, dec + 0.001, 0.1},
                                         {WrapPositive(Angle::Degrees(-step / 2)).deg(), dec + 0.03, 0.2},
                                         {step * 0.7, dec - 0.04, 0.3}};
  std::vector<MadeUpTile> tiles;
  for (const int i : {-1, 0, 1}) tiles.push_back(TileWith(WrapPositive(Angle::Degrees(i * step)).deg(), dec, sources));
  const MosaicMaps maps = Mosaic(tiles, {0, 1, 2}, 2);
  const SkyGrid grid = GridOfTiles(tiles);
  for (const PointSource& source : sources) {
    EXPECT_NEAR(ReadAt(grid, maps.image, source) / source.flux_jy, 1, 1e-3) << source.ra_deg;
  }
  EXPECT_GT(maps.covered, kSide * kSide / 2);
  EXPECT_LT(maps.covered, maps.image.pixels.size());
}

INSTANTIATE_TEST_SUITE_P(Declinations, OpenMosaicAt, testing::Values(-30.0, 0.0, 16.1, 54.0, 72.0, 85.0, 89.9));

TEST(OpenMosaic, ResamplesTilesOfThreePixelsToABeamToAThousandth) {
  const auto error = [](double width_px) {
    return ResamplingError({2 * width_px * testing_tile::kCell, width_px * testing_tile::kCell, 0},
                           testing_tile::kCell);
  };
  EXPECT_LT(error(9.6), 5e-5);
  EXPECT_LT(error(5.3), 1e-4);
  EXPECT_LT(error(2.8), 1e-3);
  EXPECT_GT(error(2.4), 2e-3);
}

TEST(OpenMosaic, CountsTheTilesOverEachPlace) {
  std::vector<MadeUpTile> tiles;
  for (unsigned i = 0; i < 3; ++i) tiles.push_back(TileWith(0.11 * i, 16.1, {}));
  const MosaicMaps maps = Mosaic(tiles, {0, 1, 2}, 2);
  const std::size_t ny = maps.rms.shape[0], nx = maps.rms.shape[1], wide = (nx + kSampleStep - 1) / kSampleStep;
  ASSERT_EQ(maps.tiles.size(), wide * ((ny + kSampleStep - 1) / kSampleStep));
  std::set<std::uint16_t> counts;
  for (std::size_t y = 0; y < ny; y += kSampleStep) {
    for (std::size_t x = 0; x < nx; x += kSampleStep) {
      const std::uint16_t n = maps.tiles[y / kSampleStep * wide + x / kSampleStep];
      EXPECT_EQ(n == 0, std::isnan(maps.rms.view()(y, x)));
      counts.insert(n);
    }
  }
  EXPECT_EQ(counts, (std::set<std::uint16_t>{0, 1, 2, 3}));
}

TEST(OpenMosaic, IsTheSameBitsInAnyOrderAndWithAnyThreads) {
  std::vector<MadeUpTile> tiles;
  for (unsigned i = 0; i < 4; ++i) {
    tiles.push_back(TileWith(359.8 + 0.11 * i, 16.1, {{359.9, 16.1, 1}, {0.1, 16.08, 0.01}}));
    testing_tile::AddNoise(tiles.back(), kNoise, 7 + i);
  }
  const MosaicMaps one = Mosaic(tiles, {0, 1, 2, 3}, 1);
  for (const auto& [order, threads] :
       {std::pair{std::vector<std::size_t>{3, 1, 0, 2}, 1}, {{2, 3, 1, 0}, 3}, {{0, 1, 2, 3}, 8}}) {
    const MosaicMaps other = Mosaic(tiles, order, threads);
    for (const auto plane : {&MosaicMaps::image, &MosaicMaps::residual, &MosaicMaps::rms, &MosaicMaps::weight}) {
      const auto &a = one.*plane, &b = other.*plane;
      EXPECT_EQ(std::memcmp(a.pixels.data(), b.pixels.data(), a.pixels.size() * sizeof(float)), 0);
    }
  }
}

TEST(OpenMosaic, WeighsByResponseAndNoise) {
  // Two tiles at one place, the second of twice the noise and of flux 2: M = (2 s/1 + 2·s/4)…
  std::vector<MadeUpTile> tiles = Together(TileWith(10, 40, {}), TileWith(10, 40, {}));
  for (std::size_t i = 0; i < kSide * kSide; ++i) {
    tiles[0].image.pixels[i] = tiles[0].pb.pixels[i];      // 1 Jy/beam everywhere
    tiles[1].image.pixels[i] = 2 * tiles[1].pb.pixels[i];  // 2 Jy/beam
  }
  const SkyGrid grid = GridOfTiles(tiles);
  OpenMosaic mosaic(grid, {.noise_jy = kNoise});
  mosaic.Add(SkyOfTile(tiles[0], kNoise), tiles[0].image.view(), tiles[0].residual.view(), 1, 1);
  mosaic.Add(SkyOfTile(tiles[1], 2 * kNoise), tiles[1].image.view(), tiles[1].residual.view(), 1, 1);
  const MosaicMaps maps = std::move(mosaic).Close(1);
  const std::size_t x = grid.geometry.nx / 2 + 30, y = grid.geometry.ny / 2 - 45;
  const GridAxes axes(grid);
  const auto at = GridAxes({tiles[0].header.centre, tiles[0].header.geometry})
                      .PixelAt(*axes.DirectionAt(static_cast<double>(x), static_cast<double>(y)));
  const double b = ResponseOf(at->x, at->y), weight = b * b * (1 + 0.25) / (kNoise * kNoise);
  EXPECT_NEAR(maps.image.view()(y, x), (1 + 2 * 0.25) / 1.25, 2e-4);
  EXPECT_NEAR(maps.weight.view()(y, x) / weight, 1, 2e-4);
  EXPECT_NEAR(maps.rms.view()(y, x) * std::sqrt(weight), 1, 1e-4);
}

TEST(OpenMosaic, FactorsScaleFluxAndNoise) {
  std::vector<MadeUpTile> tiles = Together(TileWith(10, 40, {{10, 40, 1}}));
  const SkyGrid grid = GridOfTiles(tiles);
  OpenMosaic mosaic(grid, {.noise_jy = kNoise, .residual = false});
  mosaic.Add(SkyOfTile(tiles[0]), tiles[0].image.view(), {}, 1.25, 1);
  const MosaicMaps maps = std::move(mosaic).Close(1);
  EXPECT_NEAR(ReadAt(grid, maps.image, {10, 40, 1}), 1.25, 1e-3);
  EXPECT_NEAR(maps.rms.view()(grid.geometry.ny / 2, grid.geometry.nx / 2) / kNoise, 1.25, 1e-3);
  EXPECT_TRUE(maps.residual.empty());
}

// Blank is blank, never zero: of a pixel that no tile has, and of one that the only tile has not.
TEST(OpenMosaic, BlankIsNotANumber) {
  std::vector<MadeUpTile> tiles = Together(TileWith(0, 16, {{0, 16, 1}}), TileWith(0.05, 16, {{0, 16, 1}}));
  const SkyGrid grid = GridOfTiles(tiles);
  const auto hole =
      GridAxes({tiles[0].header.centre, tiles[0].header.geometry}).PixelAt(UnitVector({0, Angle::Degrees(16).rad()}));
  tiles[0].image.view()(static_cast<std::size_t>(hole->y) + 20, static_cast<std::size_t>(hole->x)) =
      std::numeric_limits<float>::quiet_NaN();
  const MosaicMaps one = Mosaic(tiles, {0}, 1);
  const MosaicMaps two = Mosaic(tiles, {0, 1}, 1);
  const auto blanks = [](const image::Plane& plane) {
    return std::count_if(plane.pixels.begin(), plane.pixels.end(), [](float v) { return std::isnan(v); });
  };
  for (const MosaicMaps* maps : {&one, &two}) {
    for (const auto plane : {&MosaicMaps::image, &MosaicMaps::residual, &MosaicMaps::rms, &MosaicMaps::weight}) {
      EXPECT_EQ(static_cast<std::size_t>(blanks(maps->*plane)) + maps->covered, (maps->*plane).pixels.size());
      EXPECT_GT(blanks(maps->*plane), 0);
    }
    EXPECT_EQ(std::count(maps->weight.pixels.begin(), maps->weight.pixels.end(), 0.0F), 0);
  }
  // The hole is as wide as the kernel; with a second tile there is none.
  const auto at = GridAxes(grid).PixelAt(UnitVector({0, Angle::Degrees(16).rad()}));
  const auto x = static_cast<std::size_t>(std::lround(at->x)), y = static_cast<std::size_t>(std::lround(at->y)) + 20;
  EXPECT_TRUE(std::isnan(one.image.view()(y, x)));
  EXPECT_FALSE(std::isnan(two.image.view()(y, x)));
  EXPECT_NEAR(ReadAt(grid, two.image, {0, 16, 1}), 1, 1e-3);
}

TEST(OpenMosaic, NoiseOfAnotherKindOfTileIsRefused) {
  const std::vector<MadeUpTile> tiles = Together(TileWith(0, 16, {}));
  OpenMosaic mosaic(GridOfTiles(tiles), {.noise_jy = 1});
  EXPECT_THROW(mosaic.Add(SkyOfTile(tiles[0], 0.005), tiles[0].image.view(), tiles[0].residual.view(), 1, 1), Error);
}

double ScatterOf(const std::vector<TilePull>& pulls) {
  double sum = 0;
  for (const TilePull& p : pulls) sum += p.pull * p.pull;
  return std::sqrt(sum / static_cast<double>(pulls.size()));
}

// Tiles of right noise differ from the others by it, with or without the sky; one whose noise is not what it says, or
// with a step in it, by more. It does not matter which was added when.
TEST(OpenMosaic, TellsATileFromTheOthers) {
  std::vector<MadeUpTile> tiles;
  for (unsigned i = 0; i < 3; ++i) {
    tiles.push_back(TileWith(359.9 + 0.1 * i, 16.1, {{359.9, 16.1, 1}, {0.05, 16.08, 0.5}}));
    testing_tile::AddNoise(tiles.back(), kNoise, 70 + i);
  }
  for (float& v : tiles[2].image.pixels) v += 2 * static_cast<float>(kNoise);
  const auto pulls = [&](const std::vector<std::size_t>& order, std::size_t of) {
    OpenMosaic mosaic(GridOfTiles(tiles), {.noise_jy = kNoise});
    std::vector<TileShare> shares(tiles.size());
    for (const std::size_t i : order) {
      shares[i] = mosaic.Add(SkyOfTile(tiles[i]), tiles[i].image.view(), tiles[i].residual.view(), 1, 2);
    }
    EXPECT_NEAR(static_cast<double>(shares[of].samples.size()) * 256 / static_cast<double>(shares[of].pixels), 1, 0.1);
    return mosaic.PullsOf(shares[of].samples);
  };
  const auto first = pulls({0, 1}, 0), last = pulls({1, 0}, 0);
  ASSERT_GT(first.size(), 300U);
  ASSERT_EQ(first.size(), last.size());
  for (std::size_t i = 0; i < first.size(); ++i) {
    EXPECT_EQ(first[i].pull, last[i].pull);
    EXPECT_TRUE(first[i].pb >= 0.1 && first[i].pb <= 1);
  }
  EXPECT_NEAR(ScatterOf(first), 1, 0.12);
  EXPECT_GT(ScatterOf(pulls({0, 1, 2}, 2)), 1.6);
  OpenMosaic alone(GridOfTiles(tiles), {.noise_jy = kNoise});
  const TileShare share = alone.Add(SkyOfTile(tiles[0]), tiles[0].image.view(), tiles[0].residual.view(), 1, 1);
  EXPECT_TRUE(alone.PullsOf(share.samples).empty());
}

// Bright sources beside faint ones are added as exactly as alone: 1e9 times the noise.
TEST(OpenMosaic, LargeFluxesAreExact) {
  std::vector<MadeUpTile> tiles = Together(TileWith(0, 16, {{0, 16, 1e6}}), TileWith(0.01, 16, {{0, 16, 1e6}}));
  const SkyGrid grid = GridOfTiles(tiles);
  const MosaicMaps maps = Mosaic(tiles, {0, 1}, 1), back = Mosaic(tiles, {1, 0}, 1);
  EXPECT_NEAR(ReadAt(grid, maps.image, {0, 16, 1e6}) / 1e6, 1, 1e-3);
  EXPECT_EQ(std::memcmp(maps.image.pixels.data(), back.image.pixels.data(), maps.image.pixels.size() * 4), 0);
}

TEST(SmoothMap, KeepsSmoothImages) {
  image::Plane plane(4800, 4800);
  const auto value = [](double x, double y) {
    return std::exp(-(std::pow(x - 2400, 2) + std::pow(y - 2300, 2)) / (2 * 1630.0 * 1630.0));
  };
  for (std::size_t y = 0; y < 4800; ++y) {
    for (std::size_t x = 0; x < 4800; ++x)
      plane.view()(y, x) = static_cast<float>(value(static_cast<double>(x), static_cast<double>(y)));
  }
  const SmoothMap map(Thin(plane));
  for (const auto& [x, y] : {std::pair{8.0, 8.0}, {2400.5, 2311.25}, {4799.0, 4799.0}, {4790.3, 17.7}}) {
    EXPECT_NEAR(map.At(x, y), value(x, y), 4e-5);
  }
  EXPECT_EQ(SmoothMap(std::nullopt).At(3, 4), 1);
}

}  // namespace
}  // namespace contimg::mosaic
