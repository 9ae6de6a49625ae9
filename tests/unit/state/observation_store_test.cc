// Instruments, observations of each type, frames, flags of integrations: what they must keep, and what goes with what.
#include "state/observation_store.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <regex>
#include <set>

#include "config/error.h"
#include "config/telescope.h"
#include "state/instruments.h"
#include "state/own_source_store.h"
#include "tests/unit/state/temporary_database.h"

namespace contimg::state {
namespace {

class ObservationStoreTest : public testing::Test {
 protected:
  ObservationStoreTest() {
    OwnSourceRow row;
    row.ra_deg = 10;
    source_ = OwnSourceStore(opened_.database()).Add(row).id;
  }
  static ObservationRow Drift(const std::string& group, double mjd) {
    ObservationRow tile;
    tile.group_id = group;
    tile.mjd = mjd;
    tile.duration_s = 309;
    tile.lst_deg = 12;
    tile.frequency_hz = 1.4e9;
    tile.recorded_at = 5;
    return tile;
  }
  static ObservationRow Tracking(const std::string& group, double mjd, const std::string& target) {
    ObservationRow row = Drift(group, mjd);
    row.type = "tracking";
    row.instrument = "VLA";
    row.tracking = TrackingRow{target, "AB1234", "L", 600};
    return row;
  }
  void Record(const ObservationRow& row) {
    MeasurementRow point;
    point.source_id = source_;
    point.flux_error_jy = 1;
    curves_.ReplaceTile(row, {point});
  }
  static FrameRow Frame(const std::string& type, std::int64_t cadence) {
    FrameRow row;
    row.type = type;
    row.cadence = cadence;
    row.path = "/images/" + type + std::to_string(cadence) + ".fits";
    row.axes = {4800, 4801, 1, 1};
    return row;
  }
  std::int64_t Rows(const std::string& table) {
    return opened_.database().handle().execAndGet("SELECT count(*) FROM " + table).getInt64();
  }
  void Run(const std::string& sql) {
    opened_.database().Write([&] { opened_.database().handle().exec(sql); });
  }
  // What SQLite says of a statement that breaks a rule.
  std::string Refusal(const std::string& sql) {
    try {
      Run(sql);
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  }
  static ErrorKind KindOf(const std::function<void()>& body) {
    try {
      body();
    } catch (const Error& error) {
      return error.kind();
    }
    return ErrorKind::kBug;
  }

  TemporaryDatabase place_;
  SourceStore opened_{place_.path()};
  LightCurveStore curves_{opened_.database()};
  ObservationStore store_{opened_.database()};
  InstrumentStore instruments_{opened_.database()};
  std::int64_t source_ = 0;
};

TEST_F(ObservationStoreTest, TheFirstTileBringsTheTelescopeWithAllItsParts) {
  EXPECT_TRUE(instruments_.List().empty());
  Record(Drift("a", 100));
  const auto all = instruments_.List();
  EXPECT_EQ(all.size(), 1u + 117 * 3 + 1 + 16);
  const InstrumentRow array = all.front();
  EXPECT_EQ(array.name, "DSA-110");
  EXPECT_EQ(array.mission, "DSA-110");
  EXPECT_FALSE(array.parent_id);
  EXPECT_EQ(array.parts, 118);
  std::set<std::string> uuids;
  const std::regex form("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}");
  for (const InstrumentRow& row : all) {
    EXPECT_TRUE(uuids.insert(row.uuid).second && std::regex_match(row.uuid, form)) << row.uuid;
    EXPECT_TRUE(nlohmann::json::parse(row.properties_json).is_object()) << row.name;
  }
  const auto antennas = instruments_.List(array.id);
  EXPECT_EQ(antennas[23].name, "antenna 24");
  const auto facts = nlohmann::json::parse(antennas[23].properties_json);
  EXPECT_EQ(facts["latitude_deg"], Dsa110Stations()[23].latitude_deg);
  EXPECT_EQ(facts["active"], Dsa110Stations()[23].active);
  EXPECT_EQ(instruments_.List(antennas[23].id).size(), 2u);
  const auto subbands = instruments_.List(antennas.back().id);
  ASSERT_EQ(subbands.size(), 16u);
  EXPECT_EQ(subbands[15].name, "sb15");
  // 1.53 GHz − 1024 raw channels is the top of subband 0 but for half a raw channel.
  EXPECT_NEAR(nlohmann::json::parse(subbands[0].properties_json)["high_hz"], 1.53e9 - (1024 - 0.5) * 30517.578125, 1);

  // The next tile finds them, and brings back what somebody took out.
  Record(Drift("b", 101));
  EXPECT_EQ(instruments_.List().front().uuid, array.uuid);
  Run("DELETE FROM instruments WHERE name = 'antenna 24'");
  EXPECT_EQ(Rows("instruments"), 366);
  Record(Drift("c", 102));
  EXPECT_EQ(Rows("instruments"), 369);
  EXPECT_EQ(instruments_.List().front().id, array.id);
}

TEST_F(ObservationStoreTest, AnInstrumentIsNoPartOfItself) {
  InstrumentRow row;
  row.name = "array";
  const std::int64_t array = instruments_.Save(row);
  EXPECT_EQ(instruments_.Save(row), array);
  row.parent_id = array;
  row.name = "antenna";
  row.mission = "array";
  const std::int64_t antenna = instruments_.Save(row);
  row.parent_id = antenna;
  const std::int64_t receptor = instruments_.Save(row);  // of the same name as its parent: it is another's part
  EXPECT_NE(receptor, antenna);
  const auto move = [](std::int64_t id, const std::string& parent) {
    return fmt::format("UPDATE instruments SET parent_id = {} WHERE id = {}", parent, id);
  };
  for (const std::int64_t below : {array, antenna, receptor}) {
    EXPECT_NE(Refusal(move(array, std::to_string(below))), "accepted");
  }
  EXPECT_NE(Refusal("INSERT INTO instruments (id, mission_id, name, parent_id) VALUES (77, 1, 'x', 77)"), "accepted");
  EXPECT_NE(Refusal(move(receptor, "4711")), "accepted");
  // Names are taken once among the parts of one, and once among what stands by itself.
  EXPECT_NE(Refusal(move(receptor, std::to_string(array))), "accepted");
  EXPECT_EQ(Refusal(move(antenna, "NULL")), "accepted");
  EXPECT_NE(Refusal(move(receptor, "NULL")), "accepted");
  EXPECT_EQ(Refusal(move(receptor, std::to_string(array))), "accepted");
  EXPECT_EQ(instruments_.Find(receptor)->parent_id, array);
  EXPECT_FALSE(instruments_.Find(antenna)->parent_id);
  EXPECT_EQ(instruments_.Find(array)->parts, 1);
  Run("DELETE FROM instruments WHERE id = " + std::to_string(array));
  EXPECT_FALSE(instruments_.Find(receptor));
  EXPECT_TRUE(instruments_.Find(antenna));
}

TEST_F(ObservationStoreTest, PropertiesAreAJsonObject) {
  InstrumentRow row;
  row.name = "array";
  for (const char* bad : {"", "{", "[1]", "3", "null", "{'a': 1}"}) {
    row.properties_json = bad;
    EXPECT_EQ(KindOf([&] { instruments_.Save(row); }), ErrorKind::kBadInput) << bad;
  }
  row.properties_json = R"({"dish_m": 4.65})";
  const std::int64_t id = instruments_.Save(row);
  EXPECT_NE(Refusal("UPDATE instruments SET properties_json = '[1]'"), "accepted");
  EXPECT_EQ(instruments_.Find(id)->properties_json, row.properties_json);
  row.parent_id = 99;
  EXPECT_EQ(KindOf([&] { instruments_.Save(row); }), ErrorKind::kBadInput);
  row.parent_id.reset();
  row.name = "";
  EXPECT_EQ(KindOf([&] { instruments_.Save(row); }), ErrorKind::kBadInput);
}

TEST_F(ObservationStoreTest, EachTypeHasItsOwnFields) {
  Record(Drift("a", 100));
  Record(Tracking("b", 101, "3C286"));
  Record(Tracking("c", 102, "3C48"));
  ObservationQuery query;
  query.type = "tracking";
  ASSERT_EQ(store_.List(query).size(), 2u);
  const ObservationRow tracked = store_.List(query).front();
  EXPECT_EQ(tracked.tracking->target, "3C286");
  EXPECT_EQ(tracked.tracking->program, "AB1234");
  EXPECT_EQ(tracked.tracking->band, "L");
  EXPECT_EQ(tracked.tracking->exposure_s, 600);
  EXPECT_EQ(tracked.lst_deg, 12);
  EXPECT_EQ(curves_.Measurements(source_)[1].lst_deg, 12);
  query = {};
  query.target = "3C48";
  EXPECT_EQ(store_.List(query).front().group_id, "c");
  query = {};
  query.instrument = "DSA-110";
  EXPECT_EQ(store_.List(query).size(), 1u);
  EXPECT_FALSE(store_.List(query).front().tracking);
  query = {};
  query.limit = 1;
  query.after = "a";
  EXPECT_EQ(store_.List(query).front().group_id, "b");
  query.after = "z";
  EXPECT_EQ(KindOf([&] { store_.List(query); }), ErrorKind::kUsage);
  query = {};
  query.from_mjd = 100.5;
  query.to_mjd = 101.5;
  EXPECT_EQ(store_.List(query).size(), 1u);

  // One that was taken for another type leaves nothing of it.
  Record(Drift("b", 101));
  EXPECT_EQ(Rows("observations_tracking"), 1);
  EXPECT_EQ(Rows("observations_drift"), 2);
  EXPECT_FALSE(curves_.Tile("b")->tracking);

  for (const auto& change : std::vector<std::function<void(ObservationRow&)>>{
           [](ObservationRow& row) { row.type = "mosaic"; }, [](ObservationRow& row) { row.type = "drift_tile"; },
           [](ObservationRow& row) { row.tracking.reset(); }, [](ObservationRow& row) { row.tracking->target = ""; },
           [](ObservationRow& row) { row.tracking->exposure_s = -1; }, [](ObservationRow& row) { row.step_s = 0; },
           [](ObservationRow& row) { row.n_integrations = 0; },
           [](ObservationRow& row) {
             row.n_integrations = 3;
             row.integration_flags = {1, 2};
           }}) {
    ObservationRow row = Tracking("d", 103, "3C48");
    change(row);
    EXPECT_EQ(KindOf([&] { Record(row); }), ErrorKind::kBadInput);
  }
  EXPECT_FALSE(curves_.Tile("d"));
  EXPECT_NE(
      Refusal("INSERT INTO observations_tracking SELECT id, 0, 'x', '', '', NULL FROM observations WHERE group_id = "
              "'a'"),
      "accepted");
  EXPECT_NE(Refusal("INSERT INTO observations_drift SELECT id, 0 FROM observations WHERE group_id = 'c'"), "accepted");
  EXPECT_NE(Refusal("INSERT INTO observations_drift SELECT id, 0 FROM observations WHERE group_id = 'a'"), "accepted");
}

TEST_F(ObservationStoreTest, FramesAreOncePerTypeCadenceAndObservation) {
  Record(Drift("a", 100));
  Record(Drift("b", 101));
  EXPECT_EQ(store_.WithoutFrames(0, 10).size(), 2u);
  store_.ReplaceFrames("a", {Frame("image", 0), Frame("psf", 0), Frame("band.image", 0), Frame("band.image", 1)});
  FrameRow scaled = Frame("image", 0);
  scaled.bitpix = 16;
  scaled.bscale = 0.5;
  scaled.bzero = 32768;
  scaled.extended = true;
  store_.ReplaceFrames("b", {scaled});
  EXPECT_TRUE(store_.WithoutFrames(0, 10).empty());
  FrameQuery query;
  EXPECT_EQ(store_.Frames(query).size(), 5u);
  query.role = "calibration";
  ASSERT_EQ(store_.Frames(query).size(), 1u);
  EXPECT_EQ(store_.Frames(query)[0].type, "psf");
  EXPECT_EQ(store_.Frames(query)[0].axes, (std::vector<std::int64_t>{4800, 4801, 1, 1}));
  // Again, with one less: who stays keeps its id.
  const std::int64_t psf = store_.Frames(query)[0].id;
  store_.ReplaceFrames("a", {Frame("psf", 0), Frame("image", 0), Frame("band.image", 0)});
  EXPECT_EQ(store_.Frames(query)[0].id, psf);
  EXPECT_EQ(store_.Frames({}).size(), 4u);
  store_.ReplaceFrames("a", {Frame("image", 0), Frame("psf", 0), Frame("band.image", 0), Frame("band.image", 1)});
  query = {};
  query.group_id = "b";
  EXPECT_EQ(store_.Frames(query)[0].bitpix, 16);
  EXPECT_EQ(store_.Frames(query)[0].bzero, 32768);
  EXPECT_TRUE(store_.Frames(query)[0].extended);
  query.limit = 1;
  query.group_id = "a";
  query.after = store_.Frames(query)[0].id;
  EXPECT_EQ(store_.Frames(query)[0].type, "psf");

  EXPECT_EQ(KindOf([&] { store_.ReplaceFrames("a", {Frame("image", 0), Frame("image", 0)}); }), ErrorKind::kBadInput);
  EXPECT_EQ(Rows("fits_frames"), 5);  // whole or not at all
  EXPECT_EQ(KindOf([&] { store_.ReplaceFrames("z", {}); }), ErrorKind::kUsage);
  const std::string columns =
      "INSERT INTO fits_frames (cadence, observation_id, path, simple, bitpix, naxis, naxis_values_json, extended, "
      "bscale, bzero) VALUES ";
  EXPECT_EQ(Refusal(columns + "(0, 1, 'p', 1, -32, 2, '[4, 5]', 0, 1, 0)"), "accepted");
  EXPECT_EQ(opened_.database().handle().execAndGet("SELECT count(*) FROM fits_frames WHERE type = 'basefits'").getInt(),
            1);
  for (const char* bad : {"(0, 1, 'p', 1, -32, 2, '[4, 5]', 0, 1, 0)", "(1, 1, 'p', 1, -32, 3, '[4, 5]', 0, 1, 0)",
                          "(1, 1, 'p', 1, -31, 2, '[4, 5]', 0, 1, 0)", "(-1, 1, 'p', 1, -32, 2, '[4, 5]', 0, 1, 0)",
                          "(1, 99, 'p', 1, -32, 2, '[4, 5]', 0, 1, 0)", "(1, 1, 'p', 2, -32, 2, '[4, 5]', 0, 1, 0)",
                          "(1, 1, '', 1, -32, 2, '[4, 5]', 0, 1, 0)", "(1, 1, 'p', 1, -32, 2, '[4, 5', 0, 1, 0)"}) {
    EXPECT_NE(Refusal(columns + bad), "accepted") << bad;
  }
}

TEST_F(ObservationStoreTest, FlagsOfIntegrationsAreReadWithThoseOfTheObservation) {
  ObservationRow tile = Drift("a", 100);
  tile.flags = quality::kPartialTile.mask();
  tile.step_s = 12.9;
  tile.n_integrations = 3;
  tile.integration_flags = {0, quality::kInterference.mask(), 0};
  Record(tile);
  Record(tile);  // again: in the place of itself
  Record(Drift("b", 101));
  const auto flags = store_.Flags("a");
  ASSERT_EQ(flags.size(), 1u);
  EXPECT_EQ(flags[0].type, "base_quality_flag");
  EXPECT_FALSE(flags[0].source_id);
  EXPECT_EQ(flags[0].created_on, 5);
  EXPECT_EQ(flags[0].flags, (std::vector<QualityFlags>{quality::kPartialTile.mask(),
                                                       quality::kPartialTile.mask() | quality::kInterference.mask(),
                                                       quality::kPartialTile.mask()}));
  EXPECT_EQ(curves_.Tile("a")->n_integrations, 3);
  EXPECT_EQ(store_.Flags("b")[0].flags, std::vector<QualityFlags>{0});

  FlagArrayRow own;
  own.group_id = "a";
  own.source_id = source_;
  own.flags = {0, 0, quality::kEdge.mask()};
  store_.SaveFlags(own);
  store_.SaveFlags(own);
  ASSERT_EQ(store_.Flags("a").size(), 2u);
  EXPECT_EQ(store_.Flags("a")[1].source_id, source_);
  own.type = "other";
  store_.SaveFlags(own);
  EXPECT_EQ(store_.Flags("a").size(), 3u);
  for (const std::vector<QualityFlags>& bad : {std::vector<QualityFlags>(), std::vector<QualityFlags>(4)}) {
    own.flags = bad;
    EXPECT_EQ(KindOf([&] { store_.SaveFlags(own); }), ErrorKind::kBadInput);
  }
  // Twice the same, with and without a source; no words; half a word.
  for (const char* bad : {"(1, NULL, x'00000000', 0)", "(1, 1, x'00000000', 0)", "(2, 1, x'', 0)", "(2, 1, x'0000', 0)",
                          "(99, 1, x'00000000', 0)", "(2, 99, x'00000000', 0)"}) {
    EXPECT_NE(
        Refusal(std::string("INSERT INTO quality_flag_arrays (observation_id, source_id, flags, created_on) VALUES ") +
                bad),
        "accepted")
        << bad;
  }
}

// Each key takes along what hangs on it, and nothing else.
TEST_F(ObservationStoreTest, WhatHangsOnAnObservationGoesWithIt) {
  const auto fill = [&] {
    Record(Drift("a", 100));
    Record(Tracking("b", 101, "3C286"));
    for (const char* group : {"a", "b"}) {
      store_.ReplaceFrames(group, {Frame("image", 0)});
      FlagArrayRow own;
      own.group_id = group;
      own.source_id = source_;
      own.flags = {1};
      store_.SaveFlags(own);
    }
  };
  fill();
  EXPECT_EQ(Rows("quality_flag_arrays"), 4);
  Run("DELETE FROM observations WHERE group_id = 'b'");
  EXPECT_EQ(Rows("observations_tracking"), 0);
  EXPECT_EQ(Rows("observations_drift"), 1);
  EXPECT_EQ(Rows("fits_frames"), 1);
  EXPECT_EQ(Rows("quality_flag_arrays"), 2);
  EXPECT_EQ(Rows("instruments"), 370);  // they outlive what they observed
  fill();
  Run("DELETE FROM instruments WHERE name = 'VLA'");
  EXPECT_EQ(Rows("observations_tracking"), 0);
  EXPECT_EQ(Rows("observations"), 1);
  fill();
  Run("DELETE FROM sources");
  EXPECT_EQ(Rows("quality_flag_arrays"), 2);
  EXPECT_EQ(Rows("observations"), 2);
  EXPECT_EQ(Rows("fits_frames"), 2);
  Run("DELETE FROM missions WHERE name = 'DSA-110'");
  EXPECT_EQ(Rows("instruments"), 1);
  EXPECT_EQ(Rows("fits_frames"), 1);
  EXPECT_EQ(Rows("quality_flag_arrays"), 1);
  EXPECT_EQ(Rows("observations_tracking"), 1);
  opened_.database().CheckThoroughly();
}

}  // namespace
}  // namespace contimg::state
