#include "mosaic/gate/tile_gate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "config/units.h"
#include "made_up_tile.h"

namespace contimg::mosaic {
namespace {

using testing::HasSubstr;

// Six tiles of a drift over RA 0 h that share 60 sources each with the next.
std::vector<TileFigures> SixTiles() {
  std::vector<TileFigures> tiles;
  std::mt19937 random(3);
  std::normal_distribution<double> normal;
  for (int i = 0; i < 6; ++i) {
    TileFigures f;
    f.name = "t" + std::to_string(i);
    f.grid.centre = {WrapPositive(Angle::Degrees(1.3 * (i - 2.5))).rad(), Angle::Degrees(16.1).rad()};
    f.grid.geometry.nx = f.grid.geometry.ny = 4800;
    f.grid.geometry.cell_rad = Angle::Arcsec(3).rad();
    f.beam = {Angle::Arcsec(53).rad(), Angle::Arcsec(29).rad(), Angle::Degrees(170).rad()};
    f.frequency_hz = 1.405e9;
    f.start_mjd_s = 5.267e9 + 309 * i;
    f.end_mjd_s = f.start_mjd_s + 309;
    f.rms_jy = 3e-4;
    f.pixels_checksum = std::to_string(i);
    for (int k = 0; k < 120; ++k) {
      const double ra = 1.3 * (i - 3.5) + 1.3 * k / 60, flux = 0.02 * std::pow(1.05, (60 * i + k) % 60);
      ScaleReference r;
      r.direction = UnitVector({Angle::Degrees(ra).rad(), Angle::Degrees(16 + 0.01 * ((60 * i + k) % 60)).rad()});
      r.error_jy = 3e-4;
      r.flux_jy = flux + r.error_jy * normal(random);
      f.references.push_back(r);
    }
    tiles.push_back(f);
  }
  return tiles;
}

void Scale(TileFigures& tile, double factor) {
  for (ScaleReference& r : tile.references) r.flux_jy *= factor, r.error_jy *= factor;
}

std::vector<TileVerdict> Judged(const std::vector<TileFigures>& tiles, const GateLimits& limits = {}) {
  return JudgeTiles(tiles, std::vector<TileVerdict>(tiles.size()), limits).verdicts;
}

// Only tile `bad` is refused, for this, with these words.
void ExpectRefused(const std::vector<TileVerdict>& verdicts, std::size_t bad, Refusal refusal,
                   const std::string& words) {
  for (std::size_t i = 0; i < verdicts.size(); ++i) {
    EXPECT_EQ(ToString(verdicts[i].refusal), ToString(i == bad ? refusal : Refusal::kNone)) << i;
    EXPECT_EQ(verdicts[i].why.empty(), i != bad);
  }
  EXPECT_THAT(verdicts[bad].why, HasSubstr(words));
}

TEST(TileGate, GoodTilesAreUsedAndTheirScalesAreOne) {
  for (const TileVerdict& verdict : Judged(SixTiles())) {
    EXPECT_EQ(verdict.refusal, Refusal::kNone);
    EXPECT_NEAR(verdict.scale.scale, 1, 0.005);
    EXPECT_LT(verdict.scale.error, 0.005);
    EXPECT_GE(verdict.scale.references, 60U);
    EXPECT_EQ(verdict.frequency_factor, 1);
  }
}

TEST(TileGate, ATileOfDeadAntennasIsRefusedByItsScale) {
  std::vector<TileFigures> tiles = SixTiles();
  Scale(tiles[2], 0.69);
  const auto verdicts = Judged(tiles);
  ExpectRefused(verdicts, 2, Refusal::kScale, "times those of the others");
  EXPECT_NEAR(verdicts[2].scale.scale, 0.69, 0.004);
  EXPECT_NEAR(verdicts[3].scale.scale, 1, 0.005);
  // The first and the last of a drift have one neighbour.
  tiles = SixTiles();
  Scale(tiles[5], 0.69);
  ExpectRefused(Judged(tiles), 5, Refusal::kScale, "0.69");
}

TEST(TileGate, OfTwoTilesThatDisagreeNeitherIsRight) {
  std::vector<TileFigures> tiles = SixTiles();
  tiles.resize(2);
  Scale(tiles[1], 0.8);
  const auto verdicts = Judged(tiles);
  EXPECT_EQ(verdicts[0].refusal, Refusal::kScale);
  EXPECT_EQ(verdicts[1].refusal, Refusal::kScale);
  EXPECT_EQ(Judged(tiles, {.scale_error = 0.2})[0].refusal, Refusal::kNone);
}

TEST(TileGate, ABrightVariableInAnOverlapMovesNothing) {
  std::vector<TileFigures> tiles = SixTiles();
  auto brightest = std::max_element(tiles[3].references.begin(), tiles[3].references.end(),
                                    [](const auto& a, const auto& b) { return a.flux_jy < b.flux_jy; });
  brightest->flux_jy *= 3;
  for (const TileVerdict& verdict : Judged(tiles)) EXPECT_NEAR(verdict.scale.scale, 1, 0.006);
}

TEST(TileGate, ScalesWithoutSharedSourcesAreNotKnown) {
  std::vector<TileFigures> tiles = SixTiles();
  tiles = {tiles[0], tiles[3]};  // two tiles without overlap
  for (const TileVerdict& verdict : Judged(tiles)) {
    EXPECT_EQ(verdict.refusal, Refusal::kNone);
    EXPECT_EQ(verdict.scale.references, 0U);
  }
  tiles.resize(1);  // one tile
  EXPECT_EQ(Judged(tiles)[0].refusal, Refusal::kNone);
}

TEST(TileGate, GradeFIsRefused) {
  std::vector<TileFigures> tiles = SixTiles();
  tiles[1].grade = "F";
  tiles[2].grade = "C";
  ExpectRefused(Judged(tiles), 1, Refusal::kGrade, "grade F");
}

// It would weigh ten thousand times as much as the others, and be the mosaic.
TEST(TileGate, ATileWithHardlyAnyNoiseIsRefused) {
  std::vector<TileFigures> tiles = SixTiles();
  for (TileFigures& tile : tiles) tile.least_rms_jy = 2.5e-4;
  EXPECT_EQ(Judged(tiles)[3].refusal, Refusal::kNone);
  tiles[3].rms_jy = 3e-6, tiles[3].least_rms_jy = 2.5e-6;
  ExpectRefused(Judged(tiles), 3, Refusal::kNoise, "its noise of 2.5e-06 Jy/beam is less than 1/30 of the usual one");
}

TEST(TileGate, TilesWithoutAFrequencyDoNotMoveTheOthers) {
  std::vector<TileFigures> tiles = SixTiles();
  tiles.resize(2);
  tiles[0].frequency_hz = 0;
  ExpectRefused(Judged(tiles), 0, Refusal::kFrequency, "no frequency");
  tiles = SixTiles();
  for (std::size_t i = 0; i < 4; ++i) tiles[i].frequency_hz = 0;
  const auto verdicts = Judged(tiles);
  for (std::size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(ToString(verdicts[i].refusal), ToString(i < 4 ? Refusal::kFrequency : Refusal::kNone)) << i;
  }
  for (TileFigures& tile : tiles) tile.frequency_hz = 0;
  EXPECT_EQ(Judged(tiles)[0].refusal, Refusal::kNone) << "when none has one";
}

TEST(TileGate, ATileTwiceIsUsedOnce) {
  std::vector<TileFigures> tiles = SixTiles();
  tiles.push_back(tiles[1]);
  tiles.back().name = "t1 under another name";
  ExpectRefused(Judged(tiles), 6, Refusal::kTwice, "pixels are those of t1");
  tiles.back().pixels_checksum = "made anew of the same data";
  ExpectRefused(Judged(tiles), 6, Refusal::kTwice, "of the same time and place as t1");
  tiles.back().start_mjd_s += 86164;  // the next sidereal day
  EXPECT_EQ(Judged(tiles)[6].refusal, Refusal::kNone);
}

TEST(TileGate, OtherPixelsThanMostAreRefused) {
  std::vector<TileFigures> tiles = SixTiles();
  tiles[0].grid.geometry.nx = 4096;
  ExpectRefused(Judged(tiles), 0, Refusal::kPixels, "4096 x 4800 pixels");
  tiles = SixTiles();
  tiles[4].grid.geometry.cell_rad *= 1.5;
  ExpectRefused(Judged(tiles), 4, Refusal::kPixels, "4.5\"");
}

TEST(TileGate, AnotherBeamIsRefused) {
  std::vector<TileFigures> tiles = SixTiles();
  const GateLimits one_beam{.beam_error = kBeamsAgree};
  tiles[0].beam.major_rad *= 1.03;
  ExpectRefused(Judged(tiles, one_beam), 0, Refusal::kBeam, "3.0 %");
  EXPECT_NEAR(Judged(tiles)[0].beam_difference, 0.03, 1e-9);
  EXPECT_EQ(Judged(tiles)[0].refusal, Refusal::kNone);
  tiles = SixTiles();
  tiles[5].beam.angle_rad += Angle::Degrees(10).rad();
  ExpectRefused(Judged(tiles, one_beam), 5, Refusal::kBeam, "180 degrees");
  tiles = SixTiles();
  tiles[3].beam.minor_rad *= 1.01;
  EXPECT_EQ(Judged(tiles, one_beam)[3].refusal, Refusal::kNone);
  tiles[3].beam.minor_rad *= 1.25;  // too far from the others for a common one
  ExpectRefused(Judged(tiles), 3, Refusal::kBeam, "at most 20 %");
}

// Two that agree among four: the others are the odd ones, one by one, however they lie between.
TEST(TileGate, TheUsualBeamIsThatOfMost) {
  std::vector<TileFigures> tiles = SixTiles();
  tiles.resize(4);
  const double major = tiles[0].beam.major_rad, minor = tiles[0].beam.minor_rad;
  tiles[1].beam.major_rad = 1.125 * major, tiles[1].beam.minor_rad = 1.04 * minor;
  tiles[2].beam.major_rad = 1.025 * major, tiles[2].beam.minor_rad = 1.12 * minor;
  const auto verdicts = Judged(tiles, {.beam_error = kBeamsAgree});
  for (const std::size_t i : {0U, 3U}) EXPECT_EQ(verdicts[i].refusal, Refusal::kNone);
  for (const std::size_t i : {1U, 2U}) EXPECT_EQ(verdicts[i].refusal, Refusal::kBeam);
}

TEST(TileGate, FrequenciesAreBroughtTogetherOrRefused) {
  std::vector<TileFigures> tiles = SixTiles();
  tiles[2].frequency_hz *= 1.01;  // missing subbands
  Scale(tiles[2], std::pow(1.01, -0.7));
  auto verdicts = Judged(tiles);
  EXPECT_EQ(verdicts[2].refusal, Refusal::kNone);
  EXPECT_NEAR(verdicts[2].frequency_factor, std::pow(1.01, 0.7), 1e-9);
  EXPECT_NEAR(verdicts[2].scale.scale, 1, 0.004);
  tiles[2].frequency_hz *= 1.05;
  ExpectRefused(Judged(tiles), 2, Refusal::kFrequency, "MHz");
  tiles[2].frequency_hz = 0;
  ExpectRefused(Judged(tiles), 2, Refusal::kFrequency, "no frequency");
}

TEST(TileGate, TheOrderOfTilesChangesNothing) {
  std::vector<TileFigures> tiles = SixTiles();
  Scale(tiles[2], 0.69);
  tiles[4].beam.major_rad *= 1.1;
  const auto verdicts = Judged(tiles);
  std::vector<TileFigures> turned(tiles.rbegin(), tiles.rend());
  const auto back = Judged(turned);
  for (std::size_t i = 0; i < tiles.size(); ++i) {
    const TileVerdict& other = back[tiles.size() - 1 - i];
    EXPECT_EQ(verdicts[i].refusal, other.refusal);
    EXPECT_EQ(verdicts[i].why, other.why);
    EXPECT_NEAR(verdicts[i].scale.scale, other.scale.scale, 1e-12);
  }
}

TEST(FindReferences, AreIsolatedBrightSourcesWithTheirFluxOnTheSky) {
  testing_tile::MadeUpTile tile = testing_tile::MakeTile(400, 0, 54);
  testing_tile::AddNoise(tile, 1e-3, 5);
  testing_tile::AddSource(tile, {100.3, 120.8, 0.1});
  testing_tile::AddSource(tile, {300, 300, 0.2});
  testing_tile::AddSource(tile, {318, 305, 0.02});  // beside it
  testing_tile::AddSource(tile, {50, 300, 0.015});  // too faint
  image::CoarseMap rms;
  rms.nx = rms.ny = 1;
  rms.values = {1e-3F};
  TileImages images = tile.images();
  images.pb = {};
  const auto references = FindReferences(
      images, rms, [](double, double) { return 0.5; }, {}, 2);
  ASSERT_EQ(references.size(), 1U);
  EXPECT_NEAR(references[0].flux_jy, 0.2, 4 * 0.002);
  EXPECT_NEAR(references[0].error_jy, 0.002, 1e-6);
  const auto at = GridAxes({tile.header.centre, tile.header.geometry}).PixelAt(references[0].direction);
  EXPECT_NEAR(at->x, 100.3, 0.2);
  EXPECT_NEAR(at->y, 120.8, 0.2);
}

}  // namespace
}  // namespace contimg::mosaic
