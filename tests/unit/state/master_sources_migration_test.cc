// A database as contimg made it before there were sources of our own.
#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>

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
  EXPECT_EQ(store.database().version(), 6);
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

}  // namespace
}  // namespace contimg::state
