#include "state/dataset_store.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>

#include "config/error.h"
#include "state/own_source_store.h"
#include "tests/unit/state/temporary_database.h"

namespace contimg::state {
namespace {

class DatasetStoreTest : public testing::Test {
 protected:
  DatasetStoreTest() {
    OwnSourceRow row;
    row.ra_deg = 10;
    source_ = OwnSourceStore(opened_.database()).Add(row).id;
  }
  DatasetRow Named(const std::string& name) const {
    DatasetRow row;
    row.source_id = source_;
    row.name = name;
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
  DatasetStore store_{opened_.database()};
  std::int64_t source_ = 0;
};

TEST_F(DatasetStoreTest, KeepsSeriesAndWhatTheyAreMadeOf) {
  MissionRow mission;
  mission.name = "TESS";
  mission.time_epoch = 2457000;
  mission.time_epoch_scale = "tdb";
  mission.time_epoch_format = "jd";
  mission.time_format_name = "BTJD";
  store_.SaveMission(mission);
  store_.SaveMission(mission);
  EXPECT_EQ(store_.Mission("TESS")->time_epoch, 2457000);
  EXPECT_EQ(store_.Mission("TESS")->uuid.size(), 36u);
  EXPECT_FALSE(store_.Mission("Kepler"));
  store_.SavePhotometry("aperture", "sum of pixels");

  DatasetRow row = Named("sector 14");
  row.mission = "TESS";
  row.photometry = "aperture";
  row.unit = "";
  row.time_frame = "bmjd_tdb";
  row.times = {100.5, 101.25, 102};
  row.fluxes = {1, 0, -2};
  row.errors = {0.1, 0, 0.3};
  row.flags = {0, 0xffffffffu, 1};
  row.provenance_json = R"({"file": "a.fits"})";
  const DatasetRow raw = store_.Save(row, {}, 5);
  EXPECT_EQ(raw.times, row.times);
  EXPECT_EQ(raw.fluxes, row.fluxes);
  EXPECT_EQ(raw.errors, row.errors);
  EXPECT_EQ(raw.flags, row.flags);
  EXPECT_EQ(raw.mission, "TESS");
  EXPECT_FALSE(raw.method);
  EXPECT_EQ(raw.made_at, 5);

  DatasetRow derived = Named("flat");
  derived.method = ProcessingMethodRow{"preprocess 1", "", R"({"polyorder": 2})", "1"};
  derived.times = {100.5};
  derived.fluxes = {1};
  derived.errors = {0.1};
  derived.flags = {0};
  const DatasetRow flat = store_.Save(derived, {raw.id}, 6);
  EXPECT_EQ(flat.method->parameters_json, R"({"polyorder": 2})");
  derived.name = "flatter";
  const DatasetRow flatter = store_.Save(derived, {raw.id, flat.id}, 7);
  EXPECT_EQ(store_.Parents(flatter.id), (std::vector{raw.id, flat.id}));
  EXPECT_EQ(store_.Children(raw.id), (std::vector{flat.id, flatter.id}));
  EXPECT_EQ(store_.Ancestors(flatter.id), (std::vector{raw.id, flat.id}));
  EXPECT_EQ(store_.Of(source_).size(), 3u);
  EXPECT_EQ(Rows("processing_methods"), 1);

  // Anew: the id and what was made of it stay.
  row.fluxes = {2, 0, -2};
  EXPECT_EQ(store_.Save(row, {}, 8).id, raw.id);
  EXPECT_EQ(store_.FindByName(source_, "sector 14")->fluxes[0], 2);
  EXPECT_EQ(store_.Children(raw.id).size(), 2u);
  Run("DELETE FROM datasets WHERE id = " + std::to_string(flatter.id));
  EXPECT_EQ(Rows("dataset_lineage"), 1);
}

TEST_F(DatasetStoreTest, RefusesCirclesAndRaggedSeries) {
  const DatasetRow a = store_.Save(Named("a"), {}, 1), b = store_.Save(Named("b"), {a.id}, 1),
                   c = store_.Save(Named("c"), {b.id}, 1);
  EXPECT_THROW(store_.Save(Named("a"), {c.id}, 2), Error);
  EXPECT_THROW(store_.Save(Named("a"), {a.id}, 2), Error);
  EXPECT_TRUE(store_.Parents(a.id).empty());
  // Whoever goes by SQL is held up too.
  EXPECT_THROW(Run("INSERT INTO dataset_lineage VALUES (1, 3)"), Error);
  DatasetRow ragged = Named("d");
  ragged.times = {1, 2};
  ragged.fluxes = ragged.errors = {1};
  ragged.flags = {0, 0};
  EXPECT_THROW(store_.Save(ragged, {}, 1), Error);
  ragged.fluxes = ragged.errors = {1, 2};
  EXPECT_NO_THROW(store_.Save(ragged, {}, 1));
  ragged.times = {2, 2};
  EXPECT_THROW(store_.Save(ragged, {}, 1), Error);
}

TEST_F(DatasetStoreTest, Cascades) {
  const auto fill = [&] {
    DatasetRow row = Named("foreign");
    row.mission = "TESS";
    const auto parent = store_.Save(row, {}, 1);
    DatasetRow made = Named("made");
    made.method = ProcessingMethodRow{"m", "", "{}", "h"};
    store_.Save(made, {parent.id}, 1);
  };
  fill();
  Run("DELETE FROM missions WHERE name = 'TESS'");
  EXPECT_EQ(Rows("datasets"), 1);
  EXPECT_EQ(Rows("dataset_lineage"), 0);
  fill();
  Run("DELETE FROM processing_methods");
  EXPECT_EQ(Rows("datasets"), 1);
  fill();
  Run("DELETE FROM photometric_sources WHERE name = 'forced'");
  EXPECT_EQ(Rows("datasets") + Rows("dataset_lineage"), 0);
  store_.SavePhotometry("forced", "");
  fill();
  Run("DELETE FROM sources");
  EXPECT_EQ(Rows("datasets") + Rows("dataset_lineage"), 0);
}

}  // namespace
}  // namespace contimg::state
