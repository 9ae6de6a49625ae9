// A database as contimg made it before there were sources of our own.
#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>

#include "state/light_curve_store.h"
#include "state/own_source_store.h"
#include "state/query.h"
#include "state/schema/schemas.h"
#include "state/source_store.h"
#include "tests/unit/state/temporary_database.h"

namespace contimg::state {
namespace {

TEST(MasterSourcesMigration, CataloguesStayWhatTheyWere) {
  TemporaryDatabase place;
  {
    Schema first = MasterSourcesSchema();
    first.migrations.resize(1);
    Database old(place.path(), first);
    old.Write([&] {
      old.handle().exec(
          "INSERT INTO sources VALUES (3, 'nvss', 'zero', 0.0001, 16.2, 0.5, 0.01, NULL, 1, 2, 3),"
          "(5, 'mine', '3C286', 202.7845, 30.5092, 14.9, 0.1, -0.5, 0, 0, 0),"
          "(9, 'nvss', '3C286', 202.7846, 30.5091, 14.8, 0.1, NULL, 0, 0, 0);"
          "INSERT INTO sources_sky VALUES (3, 0.9602, 0.9603, 0, 0.00001, 0.2789, 0.279),"
          "(5, -0.7944, -0.7943, -0.3337, -0.3336, 0.5076, 0.5077), (9, -0.7944, -0.7943, -0.3337, -0.3336, 0.5076, "
          "0.5077);");
    });
  }
  SourceStore store(place.path());
  EXPECT_EQ(store.database().version(), static_cast<int>(MasterSourcesSchema().migrations.size()));
  store.database().CheckThoroughly();
  EXPECT_EQ(store.Catalogues(), (std::vector<std::pair<std::string, std::int64_t>>{{"mine", 1}, {"nvss", 2}}));
  EXPECT_EQ(store.Find(3)->name, "zero");
  EXPECT_EQ(store.Find(3)->minor_arcsec, 2);
  EXPECT_EQ(store.FindByName("mine", "3C286")->spectral_index, -0.5);
  EXPECT_EQ(store.FindByName("3C286").size(), 2u);
  EXPECT_EQ(store.Cone(359.9999, 16.2, 0.01).size(), 1u);
  EXPECT_EQ(store.Cone(202.7845, 30.5092, 0.01).size(), 2u);
  EXPECT_EQ(store.Catalogue("nvss")->mission, "nvss");
  // Nothing is one of our own yet; new rows get ids that were never given.
  EXPECT_TRUE(OwnSourceStore(store.database()).Near(0, 0, 90).empty());
  SourceRow row;
  row.catalogue = "nvss";
  row.name = "new";
  store.Save({row});
  EXPECT_EQ(store.FindByName("nvss", "new")->id, 10);
  EXPECT_EQ(store.RemoveCatalogue("nvss"), 3);
  EXPECT_EQ(store.Cone(202.7845, 30.5092, 0.01).size(), 1u);
}

std::vector<std::string> Shape(Database& database) {
  Query query(database,
              "SELECT type || ' ' || name || ' ' || coalesce(sql, '') FROM sqlite_schema ORDER BY type, name");
  return query.Texts();
}

// From every version that has measurements, all rows stay and the schema is that of a new database.
class MigrationFrom : public testing::TestWithParam<int> {};

TEST_P(MigrationFrom, EveryVersionKeepsItsRowsAndEndsAlike) {
  TemporaryDatabase place, fresh;
  {
    Schema old = MasterSourcesSchema();
    old.migrations.resize(static_cast<std::size_t>(GetParam()));
    Database database(place.path(), old);
    database.Write([&] {
      database.handle().exec(
          "INSERT INTO missions (name, description, time_unit, time_epoch, time_epoch_scale, time_epoch_format) VALUES "
          "('DSA-110', '', 'day', 0, 'utc', 'mjd');"
          "INSERT INTO instruments (mission_id, name) VALUES (1, 'DSA-110');"
          "INSERT INTO observations (type, instrument_id, group_id, mjd, duration_s, ra_deg, dec_deg, frequency_hz, "
          "scale, scale_error, flags, recorded_at) VALUES ('drift_tile', 1, '2026-01-20T00:00:00', 61060, 309, 10, 16, "
          "1.4e9, NULL, NULL, 4, 1), ('drift_tile', 1, '2026-01-21T00:00:00', 61061, 309, 10, 16, 1.4e9, 1.1, 0.01, 0, "
          "2);"
          "INSERT INTO observations_drift VALUES (1, 10), (2, 11);"
          "INSERT INTO sources (name, ra_deg, dec_deg, ra_error_arcsec, dec_error_arcsec, flux_jy, flux_error_jy, "
          "origin, made_at) VALUES ('DSA J000128.1+161204', 0.367, 16.2, 0, 0, 0.1, 0.01, 'manual', 1);"
          "INSERT INTO measurements VALUES (1, 61060, 1, 1, 0.1, 0.01, 0.001, 1, 2), (1, 61061, 2, 1, 0.2, 0.01, "
          "0.001, 1, 0);"
          "INSERT INTO transit_points VALUES (1, 1, 61061, 0.2, 0.01, 1, 0, 0);"
          "INSERT INTO light_curve_statistics VALUES (1, 1, 'transit', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 61061, "
          "61061, 0.22, 0.22, 0.22, 0, 0, 0, 0, 1);");
    });
  }
  SourceStore store(place.path()), empty(fresh.path());
  store.database().CheckThoroughly();
  EXPECT_EQ(Shape(store.database()), Shape(empty.database()));
  LightCurveStore curves(store.database());
  ASSERT_EQ(curves.Tiles().size(), 2u);
  EXPECT_EQ(curves.Tile("2026-01-21T00:00:00")->scale, 1.1);
  EXPECT_EQ(curves.Tile("2026-01-21T00:00:00")->lst_deg, 11);
  const auto points = curves.Measurements(1);
  ASSERT_EQ(points.size(), 2u);
  EXPECT_EQ(points[0].flags, 6u);
  EXPECT_EQ(points[1].flux_jy, 0.2);
  EXPECT_EQ(curves.Transits(1).size(), 1u);
  EXPECT_EQ(curves.Statistics(1, "forced", "transit")->mean_jy, 0.22);
  EXPECT_EQ(OwnSourceStore(store.database()).Find(1)->name, "DSA J000128.1+161204");
}

INSTANTIATE_TEST_SUITE_P(Versions, MigrationFrom,
                         testing::Range(2, static_cast<int>(MasterSourcesSchema().migrations.size())),
                         [](const auto& each) { return "Version" + std::to_string(each.param); });

}  // namespace
}  // namespace contimg::state
