#include "state/mosaic_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "config/error.h"
#include "state/product_store.h"
#include "tests/unit/state/temporary_database.h"

namespace contimg::state {
namespace {

using testing::ElementsAre;

MosaicRow AMosaic(const std::string& name, const std::string& kind = "hourly") {
  MosaicRow row;
  row.name = name;
  row.kind = kind;
  row.strip_deg = 16.1;
  row.lst_start_h = 23.5;
  row.lst_end_h = 0.55;
  row.start_mjd = 61000.2;
  row.end_mjd = 61000.25;
  row.settings_hash = "0123456789abcdef";
  row.grade = "A";
  return row;
}

MosaicTileRow ATile(const std::string& group, double mjd, const std::string& refusal = "") {
  MosaicTileRow tile;
  tile.group_id = group;
  tile.checksum = "sum of " + group;
  tile.mjd = mjd;
  tile.used = refusal.empty();
  tile.refusal = refusal;
  if (!refusal.empty()) tile.why = "its fluxes are off";
  tile.scale = 0.998;
  tile.scale_error = 0.002;
  tile.n_references = 41;
  return tile;
}

TEST(MosaicStore, OneIsOpenedClosedAndMadeAgainUnderItsName) {
  TemporaryDatabase place;
  ProductStore products(place.path());
  MosaicStore store(products.database());
  EXPECT_FALSE(store.Find("a"));
  MosaicRow row = AMosaic("a");
  const std::int64_t id = store.Open(row, 5);
  auto found = store.Find("a");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->state, "open");
  EXPECT_EQ(found->version, 0);
  EXPECT_EQ(found->grade, "");
  EXPECT_EQ(store.Open(row, 6), id);

  ProductRow image;
  image.kind = "mosaic";
  image.path = "/a.image.fits";
  row.image_id = products.Save(image, 6);
  const MosaicRow closed = store.Close(row, {ATile("g2", 2), ATile("g3", 3, "scale"), ATile("g1", 1)}, 7);
  EXPECT_EQ(closed.id, id);
  EXPECT_EQ(closed.state, "closed");
  EXPECT_EQ(closed.version, 1);
  EXPECT_EQ(closed.grade, "A");
  EXPECT_EQ(closed.n_used, 2);
  EXPECT_EQ(closed.n_refused, 1);
  EXPECT_EQ(closed.image_id, row.image_id);
  EXPECT_FALSE(closed.is_reference) << "an hour is no reference";
  EXPECT_EQ(closed.lst_start_h, 23.5);
  EXPECT_EQ(closed.lst_end_h, 0.55);
  const auto tiles = store.Tiles(id);
  ASSERT_EQ(tiles.size(), 3u);
  EXPECT_EQ(tiles[0].group_id, "g1");
  EXPECT_EQ(tiles[2].refusal, "scale");
  EXPECT_EQ(tiles[2].why, "its fluxes are off");
  EXPECT_FALSE(tiles[2].used);
  EXPECT_EQ(tiles[0].scale, 0.998);
  EXPECT_EQ(tiles[0].n_references, 41);

  store.Open(row, 8);
  EXPECT_EQ(store.Find("a")->state, "closed") << "until the next version is there the files are those of this one";
  store.Fail("a", "no memory", 8);
  EXPECT_EQ(store.Find("a")->state, "closed");
  EXPECT_EQ(store.Close(row, {ATile("g1", 1)}, 9).version, 2);
  EXPECT_EQ(store.Tiles(id).size(), 1u);
}

TEST(MosaicStore, TilesThatWereLostComeBackAndNothingElseChanges) {
  TemporaryDatabase place;
  ProductStore products(place.path());
  MosaicStore store(products.database());
  const MosaicRow made = store.Close(AMosaic("a", "deep"), {ATile("g1", 1), ATile("g2", 2, "scale")}, 5);
  store.SaveTiles(made.id, {});
  EXPECT_TRUE(store.Tiles(made.id).empty());
  store.SaveTiles(made.id, {ATile("g1", 1), ATile("g2", 2, "scale")});
  ASSERT_EQ(store.Tiles(made.id).size(), 2u);
  EXPECT_EQ(store.Tiles(made.id)[1].refusal, "scale");
  const MosaicRow found = *store.Find("a");
  EXPECT_EQ(found.version, 1);
  EXPECT_TRUE(found.is_reference);
  EXPECT_EQ(found.updated_at, 5);
}

TEST(MosaicStore, OneWindowIsOneOnEveryDay) {
  EXPECT_TRUE(SameWindow(16.1, 23.5, 16.1, 23.5 + 4.0 / 3600));
  EXPECT_FALSE(SameWindow(16.1, 23.5, 16.1, 23.5 - 6.0 / 3600));
  EXPECT_FALSE(SameWindow(16.1, 23.5, 16.2, 23.5));
  EXPECT_TRUE(SameStrip(16.1, 16.14));
  EXPECT_FALSE(SameStrip(16.1, 16.0));
}

TEST(MosaicStore, TilesAreOfTheStripsOfTheirHourlyMosaics) {
  TemporaryDatabase place;
  ProductStore products(place.path());
  MosaicStore store(products.database());
  store.Close(AMosaic("a"), {ATile("g1", 1), ATile("g2", 2, "scale")}, 5);
  store.Close(AMosaic("deep one", "deep"), {ATile("g3", 1)}, 5);
  MosaicRow other = AMosaic("b");
  other.strip_deg = 16.7;
  store.Close(other, {ATile("g2", 2)}, 5);
  const auto strips = [&](double from_mjd, double to_mjd) {
    std::vector<std::pair<std::string, double>> found;
    for (const TileStripRow& row : store.StripsOfTiles(from_mjd, to_mjd))
      found.emplace_back(row.group_id, row.strip_deg);
    return found;
  };
  using testing::Pair;
  EXPECT_THAT(strips(61000, 61001),
              testing::UnorderedElementsAre(Pair("g1", 16.1), Pair("g2", 16.1), Pair("g2", 16.7)));
  EXPECT_THAT(strips(61001, 61002), testing::IsEmpty());
}

TEST(MosaicStore, WhatCouldNotBeMadeSaysWhy) {
  TemporaryDatabase place;
  ProductStore products(place.path());
  MosaicStore store(products.database());
  store.Open(AMosaic("a"), 5);
  store.Fail("a", "no tile is left", 6);
  EXPECT_EQ(store.Find("a")->state, "failed");
  EXPECT_EQ(store.Find("a")->why, "no tile is left");
  EXPECT_EQ(store.Close(AMosaic("a"), {ATile("g1", 1)}, 7).why, "");
}

TEST(MosaicStore, TheNewestDeepOneThatIsGoodIsTheReference) {
  TemporaryDatabase place;
  ProductStore products(place.path());
  MosaicStore store(products.database());
  EXPECT_FALSE(store.Reference(16.1, 23.5));
  EXPECT_EQ(store.Close(AMosaic("d1", "deep"), {ATile("g1", 1)}, 5).version, 1);
  EXPECT_TRUE(store.Find("d1")->is_reference);
  EXPECT_EQ(store.Close(AMosaic("d2", "deep"), {ATile("g1", 1)}, 6).version, 2);
  EXPECT_FALSE(store.Find("d1")->is_reference);
  MosaicRow bad = AMosaic("d3", "deep");
  bad.grade = "F";
  EXPECT_EQ(store.Close(bad, {ATile("g1", 1)}, 7).version, 3);
  ASSERT_TRUE(store.Reference(16.1, 23.5));
  EXPECT_EQ(store.Reference(16.1, 23.5)->name, "d2");
  MosaicRow elsewhere = AMosaic("d4", "deep");
  elsewhere.lst_start_h = 1;
  EXPECT_EQ(store.Close(elsewhere, {}, 8).version, 1);
  EXPECT_EQ(store.Reference(16.1, 23.5)->name, "d2");
  EXPECT_FALSE(store.Reference(54.5, 23.5));
}

TEST(MosaicStore, ListsWhatIsAskedFor) {
  TemporaryDatabase place;
  ProductStore products(place.path());
  MosaicStore store(products.database());
  store.Close(AMosaic("a"), {ATile("g1", 1), ATile("g2", 2, "beam")}, 5);
  MosaicRow later = AMosaic("b");
  later.start_mjd = 61000.23;
  later.end_mjd = 61000.28;
  later.strip_deg = 54.5;
  store.Open(later, 5);
  const auto names = [&](const MosaicQuery& query) {
    std::vector<std::string> all;
    for (const MosaicRow& row : store.List(query)) all.push_back(row.name);
    return all;
  };
  MosaicQuery query;
  EXPECT_THAT(names(query), ElementsAre("b", "a"));
  query.limit = 1;
  EXPECT_THAT(names(query), ElementsAre("b"));
  query = {};
  query.state = "closed";
  EXPECT_THAT(names(query), ElementsAre("a"));
  query = {};
  query.strip_deg = 54.5;
  EXPECT_THAT(names(query), ElementsAre("b"));
  query = {};
  query.group_id = "g2";
  EXPECT_THAT(names(query), ElementsAre("a"));
  query = {};
  query.before_mjd = 61000.21;
  EXPECT_THAT(names(query), ElementsAre("a"));
  query = {};
  query.from_mjd = 61000.26;
  EXPECT_THAT(names(query), ElementsAre("b"));
  query = {};
  query.kind = "deep";
  EXPECT_THAT(names(query), ElementsAre());
  query = {};
  query.after = "b";
  EXPECT_THAT(names(query), ElementsAre("a"));
  for (const char* none : {"a", "c"}) {
    query.after = none;
    EXPECT_THAT(names(query), ElementsAre()) << none;
  }
  query = {};
  for (const double lst_h : {23.5, 23.9, 0.0, 0.5}) {  // the window goes over 24 h
    query.lst_h = lst_h;
    EXPECT_THAT(names(query), ElementsAre("b", "a")) << lst_h;
  }
  for (const double lst_h : {0.55, 12.0, 23.4}) {
    query.lst_h = lst_h;
    EXPECT_THAT(names(query), ElementsAre()) << lst_h;
  }
  EXPECT_THAT(store.Strips(), ElementsAre(16.1, 54.5));
}

TEST(MosaicStore, ATileIsUsedOrHasAReason) {
  TemporaryDatabase place;
  ProductStore products(place.path());
  MosaicStore store(products.database());
  MosaicTileRow tile = ATile("g1", 1);
  tile.refusal = "scale";
  EXPECT_THROW(store.Close(AMosaic("a"), {tile}, 5), Error);
  EXPECT_FALSE(store.Find("a"));
}

}  // namespace
}  // namespace contimg::state
