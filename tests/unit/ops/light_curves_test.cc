#include "ops/lightcurves/light_curves.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <random>

#include "config/error.h"
#include "ops/lightcurves/flux_scales.h"
#include "state/source_store.h"
#include "tests/temporary_folder.h"

namespace contimg::ops {
namespace {

using mosaic::FluxPoint;
using state::MeasurementRow;
using state::ObservationRow;

constexpr double kTileDays = 309.0 / 86400;
constexpr double kSiderealRate = 360.98564736629;

class LightCurvesTest : public testing::Test {
 protected:
  LightCurvesTest() {
    for (const double ra : {0.2, 359.9, 90.0}) {
      state::OwnSourceRow row;
      row.ra_deg = ra;
      row.dec_deg = 16;
      sources_.push_back(state::OwnSourceStore(opened_.database()).Add(row));
    }
  }
  // The tile of that day and number, about RA 0 h at number 0.
  static ObservationRow TileOf(int day, int number) {
    ObservationRow tile;
    tile.group_id = "day" + std::to_string(day) + "_" + std::to_string(number);
    tile.mjd = 60000 + day * 360 / kSiderealRate + number * kTileDays;
    tile.lst_deg = std::fmod(360 + number * kTileDays * kSiderealRate, 360);
    tile.frequency_hz = 1.4e9;
    return tile;
  }
  MeasurementRow Of(std::size_t source, double flux, double error = 0.01) const {
    MeasurementRow row;
    row.source_id = sources_[source].id;
    row.flux_jy = flux;
    row.flux_error_jy = error;
    return row;
  }
  // Everything that is derived, in one text.
  std::string Figures() {
    std::string all;
    for (const auto& source : sources_) {
      for (const state::TransitRow& t : curves_.Transits(source.id)) {
        all += std::to_string(source.id) + " " + Bits({t.mjd, t.flux_jy, t.flux_error_jy, t.chi2}) +
               std::to_string(t.tiles) + " " + std::to_string(t.flags) + "\n";
      }
      for (const char* level : {"tile", "transit"}) {
        const auto s = curves_.Statistics(source.id, "forced", level);
        if (!s) continue;
        all += std::to_string(source.id) + level + std::to_string(s->n) + " " + std::to_string(s->before.n) +
               Bits({s->before.sum_w, s->before.sum_wi, s->before.sum_wii, s->before.sum_i, s->before.sum_ii,
                     s->before.min_jy, s->before.max_jy, s->before.vs, s->before.m, s->first_mjd, s->last_mjd,
                     s->mean_jy, s->min_jy, s->max_jy, s->eta, s->v, s->vs, s->m, s->p}) +
               "\n";
      }
    }
    return all;
  }
  std::vector<ObservationRow> Normalise() { return NormaliseTiles(opened_.database(), {}, {}).tiles; }
  static std::string Bits(std::initializer_list<double> values) {
    std::string text;
    char word[32];
    for (const double value : values) {
      std::snprintf(word, sizeof word, "%a ", value);
      text += word;
    }
    return text;
  }

  TemporaryFolder folder_{"light-curves"};
  state::SourceStore opened_{folder_ / "master_sources.sqlite3"};
  state::LightCurveStore curves_{opened_.database()};
  LightCurveRecorder recorder_{opened_.database()};
  std::vector<state::OwnSourceRow> sources_;
};

struct Recorded {
  ObservationRow tile;
  std::vector<MeasurementRow> rows;
};

// In the order of time, shuffled, twice, a tile taken out and put back, reckoned anew: the same bits.
TEST_F(LightCurvesTest, DoNotDependOnTheOrderOfTiles) {
  std::mt19937_64 random(1);
  std::normal_distribution<double> noise(0, 0.01);
  std::vector<Recorded> all;
  for (int day = 0; day < 6; ++day) {
    for (int number = -2; number <= 2; ++number) {
      Recorded each{TileOf(day, number), {Of(0, 0.5 + noise(random)), Of(1, 0.02 + noise(random))}};
      each.rows[0].flags = number == 2 ? quality::kEdge.mask() : 0;
      if (day == 3) each.tile.scale = 1.01;
      if (day == 4 && number == 0) each.tile.flags = quality::kBadTile.mask();
      if (number == 1) each.rows.push_back(Of(2, 1 + noise(random)));
      all.push_back(each);
    }
  }
  for (const Recorded& each : all) recorder_.Record(each.tile, each.rows);
  const std::string in_order = Figures();
  EXPECT_EQ(curves_.Statistics(sources_[0].id, "forced", "tile")->n, 6 * 4 - 1);
  EXPECT_EQ(curves_.Statistics(sources_[0].id, "forced", "transit")->n, 6);
  EXPECT_EQ(curves_.Transits(sources_[0].id).at(0).tiles, 4);
  EXPECT_EQ(curves_.Transits(sources_[0].id).at(4).tiles, 3);
  EXPECT_EQ(recorder_.Rebuild(), 3);
  EXPECT_EQ(Figures(), in_order);

  // Again, with other numbers first.
  Recorded other = all[7];
  other.rows = {Of(0, 3), Of(2, 4)};
  recorder_.Record(other.tile, other.rows);
  EXPECT_NE(Figures(), in_order);
  recorder_.Record(all[7].tile, all[7].rows);
  EXPECT_EQ(Figures(), in_order);
  EXPECT_TRUE(recorder_.Forget(all.back().tile.group_id));
  EXPECT_NE(Figures(), in_order);
  EXPECT_FALSE(recorder_.Forget(all.back().tile.group_id));
  recorder_.Record(all.back().tile, all.back().rows);
  EXPECT_EQ(Figures(), in_order);

  for (const Recorded& each : all) recorder_.Forget(each.tile.group_id);
  EXPECT_EQ(Figures(), "");
  std::shuffle(all.begin(), all.end(), random);
  for (const Recorded& each : all) recorder_.Record(each.tile, each.rows);
  EXPECT_EQ(Figures(), in_order);
}

// What the running sums say is what the light curve says.
TEST_F(LightCurvesTest, StatisticsAreThoseOfTheLightCurve) {
  for (int day = 0; day < 10; ++day) {
    for (int number = -1; number <= 1; ++number) {
      ObservationRow tile = TileOf(day, number);
      tile.scale = 1 + 0.001 * day;
      recorder_.Record(tile, {Of(0, 0.5 + 0.05 * std::sin(day) + 0.001 * number)});
    }
  }
  LightCurveRequest request;
  request.normalised = true;
  for (const LightCurveLevel level : {LightCurveLevel::kTile, LightCurveLevel::kTransit}) {
    request.level = level;
    std::vector<FluxPoint> points;
    for (const LightCurvePoint& p : LightCurveOf(curves_, sources_[0], request)) {
      points.push_back({p.mjd, p.flux_jy, p.error_jy});
    }
    const mosaic::Variability figures = mosaic::VariabilityOf(points);
    const auto on_record = curves_.Statistics(sources_[0].id, "forced", ToString(level));
    EXPECT_EQ(on_record->eta, figures.eta);
    EXPECT_EQ(on_record->v, figures.v);
    EXPECT_EQ(on_record->vs, figures.vs);
    EXPECT_EQ(on_record->p, figures.p);
    EXPECT_EQ(on_record->n, figures.n);
  }
  EXPECT_GT(curves_.VariableSources({}).at(0).eta, 10);
}

TEST_F(LightCurvesTest, LevelsScalesAndFlags) {
  ObservationRow first = TileOf(0, -1), second = TileOf(0, 1), later = TileOf(1, 0);
  first.scale = 1.1;
  recorder_.Record(first, {Of(0, 1.0, 0.1)});
  MeasurementRow edge = Of(0, 2.0, 0.1);
  edge.flags = quality::kEdge.mask();
  recorder_.Record(second, {Of(0, 1.2, 0.2)});
  recorder_.Record(TileOf(0, 2), {edge});
  recorder_.Record(later, {Of(0, 1.0, 0.1)});
  LightCurveRequest request;
  auto tiles = LightCurveOf(curves_, sources_[0], request);
  ASSERT_EQ(tiles.size(), 3u);
  EXPECT_EQ(tiles[0].flux_jy, 1.0);
  EXPECT_EQ(tiles[0].scale, 1);
  EXPECT_EQ(tiles[0].group_id, first.group_id);
  request.normalised = true;
  tiles = LightCurveOf(curves_, sources_[0], request);
  EXPECT_EQ(tiles[0].flux_jy, 1.1);
  EXPECT_EQ(tiles[0].error_jy, 0.1 * 1.1);
  EXPECT_EQ(tiles[1].flux_jy, 1.2);
  request.normalised = false;
  request.mask = 0;
  EXPECT_EQ(LightCurveOf(curves_, sources_[0], request).size(), 4u);
  request.mask = kDefaultQualityMask;
  request.level = LightCurveLevel::kTransit;
  const auto transits = LightCurveOf(curves_, sources_[0], request);
  ASSERT_EQ(transits.size(), 2u);
  EXPECT_NEAR(transits[0].flux_jy, (100 * 1.0 + 25 * 1.2) / 125, 1e-12);
  EXPECT_EQ(transits[0].tiles, 2);
  // The source stands 0.2 deg east of RA 0 h, which passes at the middle of tile 0.
  EXPECT_NEAR(transits[0].mjd, 60000 + 0.2 / kSiderealRate, 1e-8);
  request.level = LightCurveLevel::kNight;
  EXPECT_EQ(LightCurveOf(curves_, sources_[0], request).size(), 2u);
  request.from_mjd = 60000.5;
  EXPECT_EQ(LightCurveOf(curves_, sources_[0], request).size(), 1u);
  EXPECT_EQ(ParseLightCurveLevel("night"), LightCurveLevel::kNight);
  EXPECT_THROW(ParseLightCurveLevel("hour"), Error);
}

// Places find their sources, two that stand close stay two, whichever comes first; one place twice is refused.
TEST_F(LightCurvesTest, PlacesFindTheirSources) {
  const auto measured = [](double ra, double dec, double flux) {
    PlacedMeasurement m;
    m.ra_deg = ra;
    m.dec_deg = dec;
    m.flux_jy = flux;
    m.flux_error_jy = 0.1;
    return m;
  };
  const double close = 8.0 / 3600;
  EXPECT_EQ(recorder_.Record(TileOf(0, 0), {measured(0.2, 16, 1), measured(50, 16, 2), measured(50, 16 + close, 3)}, 5),
            2);
  const auto first = curves_.MeasurementsOf("day0_0");
  ASSERT_EQ(first.size(), 3u);
  EXPECT_EQ(first[0].source_id, sources_[0].id);
  // In another order, and a little off: the same sources.
  EXPECT_EQ(recorder_.Record(
                TileOf(0, 1),
                {measured(50, 16 + 0.9 * close, 3), measured(50, 16 + 0.1 * close, 2), measured(0.2001, 16, 1)}, 6),
            0);
  for (const MeasurementRow& row : first) {
    const auto curve = curves_.Measurements(row.source_id);
    ASSERT_EQ(curve.size(), 2u);
    EXPECT_EQ(curve[0].flux_jy, curve[1].flux_jy);
  }
  // One of the two alone.
  EXPECT_EQ(recorder_.Record(TileOf(0, 2), {measured(50, 16 + close, 3)}, 7), 0);
  EXPECT_EQ(curves_.Measurements(first[2].source_id).size(), 3u);
  EXPECT_THROW(recorder_.Record(TileOf(0, 3), {measured(50, 16, 1), measured(50, 16, 2)}, 8), Error);
  EXPECT_THROW(recorder_.Record(TileOf(0, 3), {measured(70, 16, 1), measured(70, 16.00001, 2)}, 8), Error);
  EXPECT_TRUE(state::OwnSourceStore(opened_.database()).Near(70, 16, 0.1).empty());
}

// Two tiles a transit, each with its own scale: told by fifty constants, on record with the tile, in the figures.
TEST_F(LightCurvesTest, TilesAreBroughtToOneScale) {
  std::mt19937_64 random(9);
  std::normal_distribution<double> normal(0, 1);
  state::OwnSourceStore sources(opened_.database());
  std::vector<std::int64_t> ids;
  for (int i = 0; i < 50; ++i) {
    state::OwnSourceRow row;
    row.ra_deg = 1;
    row.dec_deg = 10 + 0.1 * i;
    ids.push_back(sources.Add(row).id);
  }
  std::vector<double> truth;
  for (int day = 0; day < 10; ++day) {
    for (int number = 0; number < 2; ++number) {
      truth.push_back(1 + 0.03 * normal(random));
      std::vector<MeasurementRow> rows;
      for (std::size_t i = 0; i < ids.size(); ++i) {
        MeasurementRow row = Of(0, truth.back() * 0.1 + 0.0005 * normal(random), 0.0005);
        row.source_id = ids[i];
        if (i == 0) row.flux_jy *= day == 5 ? 2 : 1;
        rows.push_back(row);
      }
      recorder_.Record(TileOf(day, number), rows);
    }
  }
  EXPECT_GT(curves_.Statistics(ids[1], "forced", "tile")->eta, 3);
  const auto tiles = Normalise();
  ASSERT_EQ(tiles.size(), 20u);
  std::vector<double> products;
  for (std::size_t t = 0; t < 20; ++t) products.push_back(tiles[t].scale.value() * truth[t]);
  EXPECT_LT(*std::max_element(products.begin(), products.end()) / *std::min_element(products.begin(), products.end()),
            1.012);
  EXPECT_LT(curves_.Statistics(ids[1], "forced", "tile")->eta, 1);
  EXPECT_EQ(curves_.VariableSources({}).at(0).source_id, ids[0]);
  EXPECT_GT(curves_.VariableSources({}).at(0).eta, 100);
  LightCurveRequest raw, normalised;
  normalised.normalised = true;
  const auto one = *sources.Find(ids[1]);
  EXPECT_EQ(LightCurveOf(curves_, one, normalised).at(3).flux_jy,
            LightCurveOf(curves_, one, raw).at(3).flux_jy * *tiles[3].scale);
  // Again: the same bits. Without enough references: none.
  const std::string before = Bits({*tiles[0].scale, *tiles[19].scale});
  const auto again = Normalise();
  EXPECT_EQ(Bits({*again[0].scale, *again[19].scale}), before);
  recorder_.Record(TileOf(10, 0), {Of(0, 1)});
  EXPECT_FALSE(Normalise().back().scale);
}

}  // namespace
}  // namespace contimg::ops
