#include "mosaic/variability/flux_scale.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "mosaic/variability/statistics.h"

namespace contimg::mosaic {
namespace {

struct MadeUpTiles {
  std::vector<ScalePoint> points;
  std::vector<double> truth;  // what each tile's fluxes were multiplied by
};

// Tiles of one sky whose flux scales scatter by 2 %, 60 sources of 20 to 500 σ, each with 0.5 % of its own.
MadeUpTiles Tiles(std::size_t tiles, std::size_t sources, unsigned seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal(0, 1);
  MadeUpTiles made;
  for (std::size_t t = 0; t < tiles; ++t) made.truth.push_back(1 + 0.02 * normal(random));
  for (std::size_t s = 0; s < sources; ++s) {
    const double flux = 0.006 * std::pow(25.0, static_cast<double>(s) / static_cast<double>(sources));
    for (std::size_t t = 0; t < tiles; ++t) {
      made.points.push_back(
          {s, t, made.truth[t] * flux * (1 + 0.005 * normal(random)) + 0.0003 * normal(random), 0.0003});
    }
  }
  return made;
}

// Of tiles whose references are their own.
std::vector<std::optional<TileScale>> ScalesOfTiles(const std::vector<ScalePoint>& points, std::size_t sources,
                                                    std::size_t tiles) {
  const std::vector<std::optional<double>> references = ReferenceFluxes(points, sources, tiles);
  std::vector<std::vector<ScalePoint>> by_tile(tiles);
  for (const ScalePoint& p : points) by_tile[p.tile].push_back(p);
  std::vector<std::optional<TileScale>> scales;
  for (std::vector<ScalePoint>& tile : by_tile) {
    std::sort(tile.begin(), tile.end(), [](const ScalePoint& a, const ScalePoint& b) { return a.source < b.source; });
    std::vector<ReferencePoint> known;
    for (const ScalePoint& p : tile) {
      if (references[p.source]) known.push_back({p.flux_jy, p.error_jy, *references[p.source]});
    }
    scales.push_back(ScaleOfTile(known));
  }
  return scales;
}

double WorstOf(const MadeUpTiles& made, const std::vector<std::optional<TileScale>>& found) {
  std::vector<double> products;
  for (std::size_t t = 0; t < found.size(); ++t) products.push_back(found[t]->scale * made.truth[t]);
  std::sort(products.begin(), products.end());
  const double middle = products[products.size() / 2];
  return std::max(products.back() / middle - 1, 1 - products.front() / middle);
}

TEST(FluxScale, TilesAgreeAfterwards) {
  const MadeUpTiles made = Tiles(40, 60, 1);
  const auto found = ScalesOfTiles(made.points, 60, 40);
  EXPECT_LT(WorstOf(made, found), 0.006);  // 50 references of 1 to 4 %
  std::vector<double> before, after;
  for (std::size_t s = 30; s < 60; ++s) {
    std::vector<FluxPoint> raw, scaled;
    for (const ScalePoint& p : made.points) {
      if (p.source != s) continue;
      raw.push_back({static_cast<double>(p.tile), p.flux_jy, p.error_jy});
      scaled.push_back({static_cast<double>(p.tile), p.flux_jy * found[p.tile]->scale, p.error_jy});
    }
    before.push_back(VariabilityOf(raw).eta);
    after.push_back(VariabilityOf(scaled).eta);
  }
  EXPECT_GT(*std::min_element(before.begin(), before.end()), 1.5);
  EXPECT_LT(*std::max_element(after.begin(), after.end()), 1.5);
  for (const auto& scale : found) {
    EXPECT_NEAR(scale->error, 0.0018, 0.001);
    EXPECT_GT(scale->references, 30);
  }
}

TEST(FluxScale, DoesNotDependOnTheOrder) {
  MadeUpTiles made = Tiles(20, 40, 2);
  const auto found = ScalesOfTiles(made.points, 40, 20);
  std::mt19937_64 random(3);
  std::shuffle(made.points.begin(), made.points.end(), random);
  const auto again = ScalesOfTiles(made.points, 40, 20);
  for (std::size_t t = 0; t < 20; ++t) EXPECT_EQ(found[t]->scale, again[t]->scale);
}

// Perfect tiles stay as they are to a part in a thousand; a bright variable and a flare in one tile move nothing.
TEST(FluxScale, CostsNothingAndIsNotLedAstray) {
  MadeUpTiles made = Tiles(30, 60, 4);
  for (ScalePoint& p : made.points) p.flux_jy /= made.truth[p.tile];
  made.truth.assign(30, 1.0);
  EXPECT_LT(WorstOf(made, ScalesOfTiles(made.points, 60, 30)), 0.005);
  for (ScalePoint& p : made.points) {
    if (p.source == 59) p.flux_jy *= 1 + 0.5 * std::sin(static_cast<double>(p.tile));
    if (p.source == 58 && p.tile == 7) p.flux_jy *= 3;
  }
  EXPECT_LT(WorstOf(made, ScalesOfTiles(made.points, 60, 30)), 0.005);
}

// A tile that nobody had when the references were found: its scale, whatever part of it varies.
TEST(FluxScale, ATileOfItsOwnIsToldByKnownReferences) {
  MadeUpTiles made = Tiles(41, 60, 7);
  std::vector<ScalePoint> earlier, last;
  for (const ScalePoint& p : made.points) (p.tile < 40 ? earlier : last).push_back(p);
  const auto references = ReferenceFluxes(earlier, 60, 40);
  std::vector<ReferencePoint> known;
  int steady = 0;
  for (const ScalePoint& p : last) {
    if (!references[p.source]) continue;
    known.push_back({0.7 * p.flux_jy, 0.7 * p.error_jy, *references[p.source]});
    if (p.source > 50) {
      known.back().flux_jy *= 1.5;
    } else {
      steady += p.flux_jy > 25 * p.error_jy ? 1 : 0;
    }
  }
  double middle = 0;
  for (std::size_t t = 0; t < 40; ++t) middle += made.truth[t] / 40;
  const auto scale = ScaleOfTile(known);
  ASSERT_TRUE(scale);
  EXPECT_NEAR(scale->scale, middle / (0.7 * made.truth[40]), 0.006 * scale->scale);
  EXPECT_NEAR(scale->error / scale->scale, 0.002, 0.001);
  EXPECT_EQ(scale->references, steady);
}

TEST(FluxScale, WithoutReferencesThereIsNone) {
  const MadeUpTiles few = Tiles(10, 9, 5);
  int with = 0;
  for (const auto& scale : ScalesOfTiles(few.points, 9, 10)) with += scale.has_value() ? 1 : 0;
  EXPECT_EQ(with, 0);
  // One tile alone has nothing to agree with.
  EXPECT_FALSE(ScalesOfTiles(Tiles(1, 60, 6).points, 60, 1)[0]);
  EXPECT_TRUE(ScalesOfTiles({}, 0, 0).empty());
}

}  // namespace
}  // namespace contimg::mosaic
