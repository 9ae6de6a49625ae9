#include "mosaic/grid/sky_grid.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "config/error.h"
#include "config/units.h"
#include "mosaic/grid/node_map.h"

namespace contimg::mosaic {
namespace {

SkyGrid TileAt(double ra_deg, double dec_deg, std::size_t n = 4800, double cell_arcsec = 3) {
  SkyGrid grid;
  grid.centre = {WrapPositive(Angle::Degrees(ra_deg)).rad(), Angle::Degrees(dec_deg).rad()};
  grid.geometry.nx = grid.geometry.ny = n;
  grid.geometry.cell_rad = Angle::Arcsec(cell_arcsec).rad();
  return grid;
}

// Tiles of a drift, `step_deg` of right ascension apart, about `ra_deg`.
std::vector<SkyGrid> Drift(double ra_deg, double dec_deg, int n, double step_deg = 1.29) {
  std::vector<SkyGrid> tiles;
  for (int i = 0; i < n; ++i) tiles.push_back(TileAt(ra_deg + step_deg * (i - 0.5 * (n - 1)), dec_deg));
  return tiles;
}

double SeparationArcsec(const Vector3& a, const Vector3& b) {
  const Vector3 c = convert::Cross(a, b);
  return Angle::Radians(std::sqrt(convert::Dot(c, c))).arcsec();
}

TEST(SkyGrid, ZeaIsInvertedAndHasPixelsOfOneArea) {
  SkyGrid grid = TileAt(10, 54, 20000, 3);
  grid.geometry.projection = image::Projection::kZea;
  const GridAxes axes(grid);
  const double cell2 = std::pow(grid.geometry.cell_rad, 2);
  for (const auto& [x, y] : {std::pair{10000.0, 10000.0}, {100.3, 9000.7}, {19000.2, 400.0}}) {
    const auto at = axes.DirectionAt(x, y), right = axes.DirectionAt(x + 1, y), up = axes.DirectionAt(x, y + 1);
    ASSERT_TRUE(at && right && up);
    EXPECT_NEAR(convert::Dot(*at, *at), 1, 1e-14);
    const auto back = axes.PixelAt(*at);
    ASSERT_TRUE(back);
    EXPECT_NEAR(back->x, x, 1e-7);
    EXPECT_NEAR(back->y, y, 1e-7);
    Vector3 e, n;
    for (std::size_t k = 0; k < 3; ++k) e[k] = (*right)[k] - (*at)[k], n[k] = (*up)[k] - (*at)[k];
    const Vector3 area = convert::Cross(e, n);
    EXPECT_NEAR(std::sqrt(convert::Dot(area, area)) / cell2, 1, 2e-5);
  }
}

TEST(SkyGrid, HourZeroAndThePolesArePlacesLikeOthers) {
  const SkyGrid zero = GridAround(Drift(0, 16.1, 6), {}), six = GridAround(Drift(90, 16.1, 6), {});
  EXPECT_NEAR(std::remainder(zero.centre.ra_rad, 2 * kPi), 0, 1e-12);
  EXPECT_EQ(zero.geometry.nx, six.geometry.nx);
  EXPECT_EQ(zero.geometry.ny, six.geometry.ny);
  // Six tiles at dec 16: 5 steps of 1.24 degrees and a tile of 4.
  EXPECT_NEAR(static_cast<double>(zero.geometry.nx) * 3 / 3600, 5 * 1.29 * std::cos(Angle::Degrees(16.1).rad()) + 4,
              0.15);
  // Tiles all around the pole.
  std::vector<SkyGrid> pole;
  for (const double ra : {10.0, 100.0, 190.0, 280.0}) pole.push_back(TileAt(ra, 88));
  const SkyGrid about = GridAround(pole, {});
  EXPECT_NEAR(Angle::Radians(about.centre.dec_rad).deg(), 90, 1e-9);
  EXPECT_LT(static_cast<double>(about.geometry.nx) * 3 / 3600, 9);
}

TEST(SkyGrid, HoldsEveryTileAndNoMuchMore) {
  for (const double dec : {-40.0, 16.1, 54.0, 72.0, 85.0, 89.5}) {
    const std::vector<SkyGrid> tiles = Drift(359.3, dec, 3);
    const SkyGrid grid = GridAround(tiles, {});
    double x0 = 1e9, x1 = -1e9;
    for (const SkyGrid& tile : tiles) {
      const auto box = BoxIn(grid, tile);
      ASSERT_TRUE(box);
      EXPECT_GE(box->x0, -2);
      EXPECT_GE(box->y0, -2);
      EXPECT_LE(box->x1, static_cast<std::ptrdiff_t>(grid.geometry.nx) + 2);
      EXPECT_LE(box->y1, static_cast<std::ptrdiff_t>(grid.geometry.ny) + 2);
      x0 = std::min(x0, static_cast<double>(box->x0)), x1 = std::max(x1, static_cast<double>(box->x1));
    }
    EXPECT_NEAR(x1 - x0, static_cast<double>(grid.geometry.nx), 8);
  }
}

TEST(SkyGrid, TooWideASpanIsRefused) {
  EXPECT_NO_THROW(GridAround({TileAt(0, 16), TileAt(55, 16)}, {}));
  EXPECT_THROW(GridAround({TileAt(0, 16), TileAt(65, 16)}, {}), Error);
  EXPECT_THROW(GridAround({TileAt(0, 16), TileAt(180, 16)}, {}), Error);
  EXPECT_THROW(GridAround({TileAt(0, 0), TileAt(120, 0), TileAt(240, 0)}, {}), Error);
  GridWishes sin;
  sin.projection = image::Projection::kSin;
  EXPECT_THROW(GridAround(Drift(0, 0, 20), sin), Error);
  EXPECT_NO_THROW(GridAround(Drift(0, 0, 6), sin));
}

TEST(SkyGrid, TheRefusalNamesTheTilesFarthestApart) {
  const auto refusal = [](const std::vector<SkyGrid>& tiles, const GridWishes& wishes = {},
                          const std::vector<std::string>& names = {"a", "b", "c", "d"}) -> std::string {
    try {
      GridAround(tiles, wishes, names);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
      return error.message();
    }
    return "none";
  };
  using testing::HasSubstr;
  EXPECT_THAT(refusal({TileAt(359, 0), TileAt(0, 0), TileAt(65, 0), TileAt(20, 0)}),
              HasSubstr("the 60 degrees of a mosaic in ZEA (a and c are 66.0 degrees apart)"));
  EXPECT_THAT(refusal({TileAt(0, 0), TileAt(120, 0), TileAt(241, 0)}), HasSubstr("(b and c are 121.0 degrees apart)"));
  EXPECT_THAT(refusal({TileAt(0, 0), TileAt(180, 0)}, {}, {}),
              HasSubstr("(tile 1 and tile 2 are 180.0 degrees apart)"));
  GridWishes wishes;
  wishes.centre = PhaseCentre{0, Angle::Degrees(-54).rad()};
  EXPECT_THAT(refusal({TileAt(0, 50), TileAt(0, 54)}, wishes), HasSubstr("(b and --centre are 108.0 degrees apart)"));
  wishes.centre = PhaseCentre{Angle::Degrees(40).rad(), 0};
  EXPECT_THAT(refusal({TileAt(0, 0), TileAt(80, 0)}, wishes), HasSubstr("(a and b are 80.0 degrees apart)"));
}

TEST(NodeMap, IsExactToATenThousandthOfAPixel) {
  std::mt19937 random(5);
  std::uniform_real_distribution<double> uniform(0, 1);
  for (const image::Projection projection : {image::Projection::kZea, image::Projection::kSin}) {
    for (const double dec : {0.0, 16.1, 54.0, 72.0, 85.0, 89.9}) {
      const std::vector<SkyGrid> tiles = Drift(0.4, dec, 12);
      GridWishes wishes;
      wishes.projection = projection;
      const SkyGrid grid = GridAround(tiles, wishes);
      for (const SkyGrid& tile : {tiles.front(), tiles[5]}) {
        const auto box = BoxIn(grid, tile);
        ASSERT_TRUE(box);
        const NodeMap map = MapGrid(tile, grid, *box, 16, 2);
        EXPECT_GE(map.step, 8U) << dec;
        const double step = static_cast<double>(map.step);
        const GridAxes from(tile), to(grid);
        double worst = 0;
        for (int trial = 0; trial < 3000; ++trial) {
          const double u = uniform(random) * static_cast<double>(map.nx - 1),
                       v = uniform(random) * static_cast<double>(map.ny - 1);
          const auto i = static_cast<std::size_t>(u), j = static_cast<std::size_t>(v);
          const double fu = u - static_cast<double>(i), fv = v - static_cast<double>(j);
          const auto lerp = [&](double image::PixelPosition::*c) {
            return (map.At(i, j).*c * (1 - fu) + map.At(i + 1, j).*c * fu) * (1 - fv) +
                   (map.At(i, j + 1).*c * (1 - fu) + map.At(i + 1, j + 1).*c * fu) * fv;
          };
          const auto direction =
              to.DirectionAt(static_cast<double>(box->x0) + u * step, static_cast<double>(box->y0) + v * step);
          ASSERT_TRUE(direction);
          const auto exact = from.PixelAt(*direction);
          ASSERT_TRUE(exact);
          worst = std::max(
              worst, std::hypot(lerp(&image::PixelPosition::x) - exact->x, lerp(&image::PixelPosition::y) - exact->y));
          if (trial < 10) {
            EXPECT_LT(SeparationArcsec(*from.DirectionAt(exact->x, exact->y), *direction), 1e-7);
          }
        }
        EXPECT_LT(worst, kMapTolerance) << dec;
      }
    }
  }
}

TEST(NodeMap, HasMoreNodesWhereTheMapBends) {
  // Pixels of half a minute far from the centre.
  const SkyGrid tile = TileAt(0, 20, 400, 30);
  SkyGrid grid = GridAround({tile, TileAt(40, 20, 400, 30)}, {});
  const NodeMap map = MapGrid(tile, grid, *BoxIn(grid, tile), 16, 1);
  EXPECT_LT(map.step, 16U);
}

}  // namespace
}  // namespace contimg::mosaic
