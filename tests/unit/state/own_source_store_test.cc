#include "state/own_source_store.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>

#include "config/error.h"
#include "state/light_curve_store.h"
#include "tests/unit/state/temporary_database.h"

namespace contimg::state {
namespace {

OwnSourceRow Place(double ra, double dec) {
  OwnSourceRow row;
  row.ra_deg = ra;
  row.dec_deg = dec;
  row.flux_jy = 0.1;
  return row;
}

TEST(OwnSourceStore, NamesAreTruncatedPlaces) {
  EXPECT_EQ(NameOfPlace(202.784533, 30.509155), "DSA J133108.2+303032");
  EXPECT_EQ(NameOfPlace(0, 0), "DSA J000000.0+000000");
  EXPECT_EQ(NameOfPlace(359.9999999, -0.0001), "DSA J235959.9-000000");
  EXPECT_EQ(NameOfPlace(15.0, 90), "DSA J010000.0+900000");  // 15 deg is an hour, whatever a product of doubles says
  EXPECT_EQ(NameOfPlace(0.0004166667, -89.9999), "DSA J000000.1-895959");
}

TEST(OwnSourceStore, IdsAndNamesNeverChangeNorReturn) {
  TemporaryDatabase place;
  SourceStore opened(place.path());
  OwnSourceStore store(opened.database());
  const OwnSourceRow first = store.Add(Place(202.784533, 30.509155));
  EXPECT_EQ(first.name, "DSA J133108.2+303032");
  EXPECT_EQ(store.Add(Place(202.784535, 30.509157)).name, "DSA J133108.2+303032a");
  EXPECT_EQ(store.Add(Place(202.784537, 30.509159)).name, "DSA J133108.2+303032b");
  EXPECT_EQ(store.Near(202.7845, 30.5092, 0.01).size(), 3u);
  EXPECT_EQ(store.FindByName(first.name)->id, first.id);
  auto& db = opened.database();
  EXPECT_THROW(db.Write([&] { db.handle().exec("UPDATE sources SET name = 'x' WHERE id = 1"); }), Error);
  EXPECT_THROW(db.Write([&] { db.handle().exec("UPDATE sources SET id = 77 WHERE id = 1"); }), Error);
  db.Write([&] { db.handle().exec("DELETE FROM sources"); });
  EXPECT_TRUE(store.Near(202.78, 30.5, 1).empty());
  EXPECT_EQ(store.Add(Place(10, 10)).id, 4);
  EXPECT_THROW(store.Add(Place(360, 0)), Error);
  EXPECT_THROW(store.Add(Place(0, 91)), Error);
}

TEST(OwnSourceStore, FindsTheNearestAcrossRa0AndAtThePole) {
  TemporaryDatabase place;
  SourceStore opened(place.path());
  OwnSourceStore store(opened.database());
  const auto east = store.Add(Place(0.001, 16)), west = store.Add(Place(359.998, 16)), pole = store.Add(Place(200, 90));
  const auto near = store.Near(359.9999, 16, 0.01);
  ASSERT_EQ(near.size(), 2u);
  EXPECT_EQ(near[0].id, east.id);
  EXPECT_EQ(near[1].id, west.id);
  ASSERT_EQ(store.Near(20, 89.999, 0.01).size(), 1u);
  EXPECT_EQ(store.Near(20, 89.999, 0.01)[0].id, pole.id);
}

// A better place is no other name; without one of its own a source is named after its place.
TEST(OwnSourceStore, MovesWithoutAnotherName) {
  TemporaryDatabase place;
  SourceStore opened(place.path());
  OwnSourceStore store(opened.database());
  OwnSourceRow row;
  row.ra_deg = 0.0001;
  row.dec_deg = 16;
  const OwnSourceRow source = store.Add(row);
  PlaceVersionRow version;
  version.made_at = 7;
  store.Move(source.id, 359.9999, 16.001, 0.5, 0.25, store.AddPlaceVersion(version));
  const auto moved = store.Near(359.9999, 16.001, 0.0001);
  ASSERT_EQ(moved.size(), 1u);
  EXPECT_EQ(moved[0].name, source.name);
  EXPECT_EQ(moved[0].place_version, 1);
  version.mosaic = "m";
  version.strip_deg = -16.1;
  version.lst_start_h = 23.5;
  version.tiles = 24;
  EXPECT_EQ(store.AddPlaceVersion(version), 2);
  const auto versions = store.PlaceVersions();
  ASSERT_EQ(versions.size(), 2u);
  EXPECT_EQ(versions[0].made_at, 7);
  EXPECT_EQ(versions[0].mosaic, "");
  EXPECT_EQ(versions[1].version, 2);
  EXPECT_EQ(versions[1].mosaic, "m");
  EXPECT_EQ(versions[1].strip_deg, -16.1);
  EXPECT_EQ(versions[1].lst_start_h, 23.5);
  EXPECT_EQ(versions[1].tiles, 24);
  EXPECT_EQ(moved[0].ra_error_arcsec, 0.5);
  EXPECT_EQ(moved[0].dec_error_arcsec, 0.25);
  EXPECT_TRUE(store.Near(0.0001, 16, 0.0005).empty());
  EXPECT_THROW(store.Move(source.id, 360, 16, 0, 0, 0), Error);
  row.name = "DSA J000001.0+155959";
  EXPECT_EQ(store.Add(row).name, "DSA J000001.0+155959");
  EXPECT_EQ(store.Add(row).name, "DSA J000001.0+155959a");
}

// A catalogue is identified with sources of our own; it may go, and what was measured stays.
TEST(OwnSourceStore, CataloguesComeAndGo) {
  TemporaryDatabase place;
  SourceStore opened(place.path());
  OwnSourceStore store(opened.database());
  SourceRow row;
  row.catalogue = "nvss";
  row.name = "133108+303033";
  row.ra_deg = 202.7845;
  row.dec_deg = 30.5092;
  row.flux_jy = 15;
  row.spectral_index = -0.5;
  SourceRow other = row;
  other.catalogue = "vlass";
  other.name = "J1331";
  other.ra_deg += 3.0 / 3600;
  SourceRow far = row;
  far.name = "far";
  far.dec_deg += 11.0 / 3600;
  opened.Save({row, other, far});
  EXPECT_FALSE(store.Called("133108+303033"));  // nothing of ours stands there yet
  const auto id = opened.FindByName("nvss", "133108+303033")->id;
  const OwnSourceRow own = store.Identify(id, 5);
  EXPECT_EQ(own.origin, "catalogue");
  EXPECT_EQ(own.flux_jy, 15);
  EXPECT_EQ(own.spectral_index, -0.5);
  EXPECT_EQ(store.Identify(id, 6).id, own.id);
  EXPECT_EQ(store.Identify(opened.FindByName("vlass", "J1331")->id, 7).id, own.id);
  EXPECT_NE(store.Identify(opened.FindByName("nvss", "far")->id, 8).id, own.id);
  EXPECT_EQ(store.Called("J1331")->id, own.id);
  EXPECT_EQ(store.Called(own.name)->id, own.id);
  EXPECT_EQ(store.NamesElsewhere(own.id), (std::vector<std::string>{"nvss 133108+303033", "vlass J1331"}));
  EXPECT_THROW(store.Identify(99, 1), Error);

  // By its place: ours where there is one, else the catalogue's, else a new one.
  bool made = true;
  EXPECT_EQ(store.AtPlace(202.7846, 30.5093, {}, 9, &made).id, own.id);
  EXPECT_FALSE(made);
  SourceRow listed = row;
  listed.name = "listed";
  listed.ra_deg = 100;
  opened.Save({listed});
  EXPECT_FALSE(store.Called("listed"));
  const OwnSourceRow met = store.AtPlace(100.0005, 30.5092, {}, 9, &made);
  EXPECT_TRUE(made);
  EXPECT_EQ(met.ra_deg, 100);
  EXPECT_EQ(met.origin, "catalogue");
  EXPECT_EQ(store.NamesElsewhere(met.id), std::vector<std::string>{"nvss listed"});
  const OwnSourceRow fresh = store.AtPlace(101, 30, {}, 9, &made);
  EXPECT_EQ(fresh.origin, "manual");
  EXPECT_EQ(fresh.ra_deg, 101);
  // A catalogue that comes later names it all the same.
  listed.name = "later";
  listed.ra_deg = 101;
  listed.dec_deg = 30.0001;
  opened.Save({listed});
  EXPECT_EQ(store.Called("later")->id, fresh.id);

  LightCurveStore curves(opened.database());
  ObservationRow tile;
  tile.group_id = "2026-01-25T00:00:00";
  tile.mjd = 61065;
  tile.frequency_hz = 1.4e9;
  MeasurementRow m;
  m.source_id = own.id;
  m.flux_error_jy = 0.1;
  curves.ReplaceTile(tile, {m});
  opened.Save({row});  // again: still identified
  EXPECT_EQ(opened.FindByName("nvss", "133108+303033")->source_id, own.id);
  EXPECT_EQ(opened.RemoveCatalogue("nvss"), 4);
  EXPECT_FALSE(store.Called("133108+303033"));
  EXPECT_EQ(store.Find(own.id)->name, own.name);
  EXPECT_EQ(curves.Measurements(own.id).size(), 1u);
}

}  // namespace
}  // namespace contimg::state
