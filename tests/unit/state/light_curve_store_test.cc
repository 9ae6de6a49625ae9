#include "state/light_curve_store.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>

#include <cmath>

#include "config/error.h"
#include "state/own_source_store.h"
#include "tests/unit/state/temporary_database.h"

namespace contimg::state {
namespace {

class LightCurveStoreTest : public testing::Test {
 protected:
  LightCurveStoreTest() {
    OwnSourceStore sources(opened_.database());
    for (int i = 0; i < 3; ++i) {
      OwnSourceRow row;
      row.ra_deg = 10 + i;
      ids_.push_back(sources.Add(row).id);
    }
  }
  static ObservationRow TileAt(const std::string& group, double mjd) {
    ObservationRow tile;
    tile.group_id = group;
    tile.mjd = mjd;
    tile.duration_s = 309;
    tile.ra_deg = 10;
    tile.lst_deg = 12;
    tile.frequency_hz = 1.4e9;
    return tile;
  }
  MeasurementRow Flux(int i, double flux) const {
    MeasurementRow row;
    row.source_id = ids_[static_cast<std::size_t>(i)];
    row.flux_jy = flux;
    row.flux_error_jy = 0.01;
    row.local_rms_jy = 0.005;
    row.response = 0.5;
    return row;
  }
  std::int64_t Rows(const std::string& table) {
    return opened_.database().handle().execAndGet("SELECT count(*) FROM " + table).getInt64();
  }
  void Run(const std::string& sql) {
    opened_.database().Write([&] { opened_.database().handle().exec(sql); });
  }

  TemporaryDatabase place_;
  SourceStore opened_{place_.path()};
  LightCurveStore store_{opened_.database()};
  std::vector<std::int64_t> ids_;
};

TEST_F(LightCurveStoreTest, ATileProcessedAgainReplacesItsRows) {
  EXPECT_EQ(store_.ReplaceTile(TileAt("b", 101), {Flux(0, 1.5), Flux(1, 2)}), (std::vector{ids_[0], ids_[1]}));
  ObservationRow earlier = TileAt("a", 100);
  earlier.scale = 1.02;
  earlier.flags = quality::kPartialTile.mask();
  MeasurementRow flagged = Flux(0, 1.4);
  flagged.flags = quality::kBlend.mask();
  store_.ReplaceTile(earlier, {flagged});
  auto curve = store_.Measurements(ids_[0]);
  ASSERT_EQ(curve.size(), 2u);
  EXPECT_EQ(curve[0].group_id, "a");
  EXPECT_EQ(curve[0].mjd, 100);
  EXPECT_EQ(curve[0].scale, 1.02);
  EXPECT_EQ(curve[0].lst_deg, 12);
  EXPECT_EQ(curve[0].flags, quality::kPartialTile.mask() | quality::kBlend.mask());
  EXPECT_EQ(curve[1].flux_jy, 1.5);
  EXPECT_EQ(curve[1].local_rms_jy, 0.005);
  EXPECT_EQ(curve[1].response, 0.5);
  EXPECT_FALSE(curve[1].scale);

  // Again, at a time that is a little different, without source 1 and with source 2: all three are to be brought up to
  // date, and the tile keeps its id.
  const auto id = store_.Tile("b")->id;
  EXPECT_EQ(store_.ReplaceTile(TileAt("b", 101.001), {Flux(0, 1.6), Flux(2, 3)}), ids_);
  EXPECT_EQ(store_.Tile("b")->id, id);
  curve = store_.Measurements(ids_[0]);
  ASSERT_EQ(curve.size(), 2u);
  EXPECT_EQ(curve[1].flux_jy, 1.6);
  EXPECT_EQ(curve[1].mjd, 101.001);
  EXPECT_TRUE(store_.Measurements(ids_[1]).empty());
  EXPECT_EQ(store_.MeasurementsOf("b").size(), 2u);
  EXPECT_EQ(store_.Tiles().size(), 2u);
  EXPECT_EQ(store_.Tiles(100.5, 102).front().group_id, "b");
  EXPECT_EQ(store_.Measurements(ids_[0], "forced", 100.5, 102).size(), 1u);
  EXPECT_TRUE(store_.Measurements(ids_[0], "detection").empty());
  EXPECT_EQ(store_.MeasuredSources(), (std::vector{ids_[0], ids_[2]}));
  EXPECT_EQ(store_.KindsOf(ids_[0]), std::vector<std::string>{"forced"});

  EXPECT_EQ(store_.RemoveTile("b"), (std::vector{ids_[0], ids_[2]}));
  EXPECT_EQ(store_.Measurements(ids_[0]).size(), 1u);
  EXPECT_EQ(Rows("observations_drift"), 1);
  EXPECT_TRUE(store_.RemoveTile("b").empty());
  EXPECT_FALSE(store_.Tile("b"));
}

// Whole or absent: one row that cannot be leaves everything as it was.
TEST_F(LightCurveStoreTest, RefusesWhatNoMeasurementHas) {
  store_.ReplaceTile(TileAt("a", 100), {Flux(0, 1)});
  const auto refused = [&](const ObservationRow& tile, const MeasurementRow& row) {
    try {
      store_.ReplaceTile(tile, {Flux(1, 2), row});
      return false;
    } catch (const Error& error) {
      EXPECT_NE(error.kind(), ErrorKind::kBug) << error.what();
      return true;
    }
  };
  const ObservationRow tile = TileAt("a", 100);
  EXPECT_TRUE(refused(tile, Flux(1, 3))) << "twice";
  EXPECT_TRUE(refused(tile, Flux(0, std::nan(""))));
  for (const double wrong : {0.0, -1.0, std::nan(""), HUGE_VAL}) {
    MeasurementRow row = Flux(0, 1);
    row.flux_error_jy = wrong;
    EXPECT_TRUE(refused(tile, row)) << wrong;
  }
  MeasurementRow row = Flux(0, 1);
  row.response = 0;
  EXPECT_TRUE(refused(tile, row));
  row = Flux(0, 1);
  row.source_id = 99;
  EXPECT_TRUE(refused(tile, row));
  row = Flux(0, 1);
  row.kind = "guess";
  EXPECT_TRUE(refused(tile, row));
  for (ObservationRow wrong : {TileAt("", 100), TileAt("a", std::nan(""))}) EXPECT_TRUE(refused(wrong, Flux(0, 1)));
  ObservationRow wrong = tile;
  wrong.scale = 0;
  EXPECT_TRUE(refused(wrong, Flux(0, 1)));
  wrong = tile;
  wrong.lst_deg = 360;
  EXPECT_TRUE(refused(wrong, Flux(0, 1)));
  wrong = tile;
  wrong.frequency_hz = 0;
  EXPECT_TRUE(refused(wrong, Flux(0, 1)));
  EXPECT_EQ(store_.MeasurementsOf("a").size(), 1u);
  EXPECT_EQ(store_.MeasurementsOf("a")[0].flux_jy, 1);
}

TEST_F(LightCurveStoreTest, KeepsTransitsAndStatistics) {
  store_.ReplaceTransits(ids_[0], "forced", 0, 1e9, {{100, 1, 0.1, 2, 0.5, 0}, {101, 2, 0.1, 3, 1.5, 4}});
  store_.ReplaceTransits(ids_[0], "forced", 100.8, 101.2, {{101.001, 3, 0.2, 1, 0, 0}});
  const auto transits = store_.Transits(ids_[0]);
  ASSERT_EQ(transits.size(), 2u);
  EXPECT_EQ(transits[0].tiles, 2);
  EXPECT_EQ(transits[1].flux_jy, 3);
  EXPECT_EQ(store_.Transits(ids_[0], "forced", 101, 102).size(), 1u);
  EXPECT_TRUE(store_.Transits(ids_[0], "detection").empty());

  for (int i = 0; i < 3; ++i) {
    StatisticsRow row;
    row.source_id = ids_[static_cast<std::size_t>(i)];
    row.level = "transit";
    row.before.n = 4;
    row.before.sum_wii = 0.1 + i;
    row.before.m = -0.25;
    row.n = 5 + i;
    row.last_mjd = 100 + i;
    row.eta = 10 - i;
    row.v = 0.1 * i;
    row.p = 0.01;
    store_.SaveStatistics(row);
  }
  const auto back = store_.Statistics(ids_[1], "forced", "transit");
  ASSERT_TRUE(back);
  EXPECT_EQ(back->before.n, 4);
  EXPECT_EQ(back->before.sum_wii, 1.1);
  EXPECT_EQ(back->before.m, -0.25);
  EXPECT_EQ(back->n, 6);
  EXPECT_EQ(back->p, 0.01);
  EXPECT_FALSE(store_.Statistics(ids_[1], "forced", "tile"));
  VariableQuery query;
  const auto all = store_.VariableSources(query);
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].source_id, ids_[0]);
  EXPECT_EQ(all[2].eta, 8);
  query.min_eta = 9;
  EXPECT_EQ(store_.VariableSources(query).size(), 2u);
  query.min_n = 6;
  EXPECT_EQ(store_.VariableSources(query).size(), 1u);
  query = {};
  query.since_mjd = 101;
  query.limit = 1;
  ASSERT_EQ(store_.VariableSources(query).size(), 1u);
  EXPECT_EQ(store_.VariableSources(query)[0].source_id, ids_[1]);
  query = {};
  query.max_p = 0.001;
  EXPECT_TRUE(store_.VariableSources(query).empty());
  query = {};
  query.level = "tile";
  EXPECT_TRUE(store_.VariableSources(query).empty());
  store_.RemoveStatistics(ids_[1], "forced", "transit");
  EXPECT_FALSE(store_.Statistics(ids_[1], "forced", "transit"));
}

// Each key takes along what hangs on it, and nothing else.
TEST_F(LightCurveStoreTest, Cascades) {
  const auto fill = [&] {
    store_.ReplaceTile(TileAt("a", 100), {Flux(0, 1), Flux(1, 2)});
    store_.ReplaceTile(TileAt("b", 101), {Flux(0, 1)});
    StatisticsRow row;
    row.source_id = ids_[0];
    store_.SaveStatistics(row);
    store_.ReplaceTransits(ids_[0], "forced", 0, 1e9, {{100, 1, 0.1, 2, 0.5, 0}});
  };
  fill();
  Run("DELETE FROM observations WHERE group_id = 'a'");
  EXPECT_EQ(Rows("measurements"), 1);
  EXPECT_EQ(Rows("observations_drift"), 1);
  EXPECT_EQ(Rows("sources"), 3);
  fill();
  Run("DELETE FROM missions WHERE name = 'DSA-110'");
  EXPECT_EQ(Rows("instruments") + Rows("observations") + Rows("observations_drift") + Rows("measurements"), 0);
  EXPECT_EQ(Rows("sources"), 3);
  fill();
  Run("DELETE FROM sources WHERE id = " + std::to_string(ids_[0]));
  EXPECT_EQ(Rows("measurements"), 1);
  EXPECT_EQ(Rows("transit_points") + Rows("light_curve_statistics"), 0);
  EXPECT_EQ(Rows("observations"), 2);
  Run("DELETE FROM photometric_sources WHERE name = 'forced'");
  EXPECT_EQ(Rows("measurements"), 0);
  EXPECT_EQ(Rows("observations"), 2);
  opened_.database().CheckThoroughly();
}

}  // namespace
}  // namespace contimg::state
