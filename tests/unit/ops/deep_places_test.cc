#include "ops/mosaics/deep_places.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "config/error.h"
#include "config/quality_flags.h"
#include "config/units.h"
#include "mosaic/table/fits_table.h"
#include "ops/lightcurves/light_curves.h"
#include "state/source_store.h"
#include "tests/unit/state/temporary_database.h"

namespace contimg::ops {
namespace {

struct FoundThere {
  double ra_deg, dec_deg, snr;
  std::int64_t flags = 0, resolved = 0;
};

std::filesystem::path DeepCatalogue(const state::TemporaryDatabase& place, const std::vector<FoundThere>& found) {
  mosaic::Table table;
  table.name = "SOURCES";
  std::vector<double> ra, dec, error, snr;
  std::vector<std::int64_t> flags, resolved;
  for (const FoundThere& each : found) {
    ra.push_back(each.ra_deg), dec.push_back(each.dec_deg), error.push_back(0.4), snr.push_back(each.snr);
    flags.push_back(each.flags), resolved.push_back(each.resolved);
  }
  const auto add = [&](const char* name, auto values) {
    table.columns.push_back({name, "", "", "", 6, std::move(values)});
  };
  add("ra_deg", ra), add("dec_deg", dec), add("ra_error_arcsec", error), add("dec_error_arcsec", error);
  add("snr", snr), add("flags", flags), add("resolved", resolved);
  const auto path = place.directory() / "m.sources.fits";
  mosaic::WriteFitsTable(path, table);
  return path;
}

state::MosaicRow DeepMosaic(int tiles) {
  state::MosaicRow row;
  row.name = "m";
  row.kind = "deep";
  row.strip_deg = 16.1;
  row.lst_start_h = 23.5;
  row.n_used = tiles;
  row.is_reference = true;
  return row;
}

TEST(RefinePlacesFromMosaic, MovesWhatIsFoundThereAndNothingElse) {
  const state::TemporaryDatabase place;
  state::SourceStore store(place.path());
  state::OwnSourceStore sources(store.database());
  const auto add = [&](double ra, double dec) {
    state::OwnSourceRow row;
    row.ra_deg = ra;
    row.dec_deg = dec;
    row.flux_jy = 1;
    return sources.Add(row);
  };
  const double arcsec = Angle::Arcsec(1).deg();
  const auto at_0h = add(359.9985, 16), faint = add(10, 16), blended = add(20, 16), far = add(30, 16),
             resolved = add(40, 16);
  const auto path = DeepCatalogue(place, {{359.9985 + 3 * arcsec, 16 - 2 * arcsec, 50},
                                          {359.9985 - 9 * arcsec, 16, 50},  // farther from it
                                          {10 + arcsec, 16, 9},
                                          {20 + arcsec, 16, 50, quality::kBlend.mask()},
                                          {30, 16 + 20 * arcsec, 50},
                                          {40 + arcsec, 16, 50, 0, 1}});
  const state::MosaicRow mosaic = DeepMosaic(24);
  const RefinedPlaces done = RefinePlacesFromMosaic(store.database(), mosaic, path, {3, 10, 0.3}, 5);
  EXPECT_EQ(done.sources, 1);
  EXPECT_GT(done.version, 0);
  EXPECT_NEAR(done.median_arcsec, std::hypot(3 * std::cos(Angle::Degrees(16).rad()), 2), 0.01);
  const auto moved = sources.Find(at_0h.id);
  EXPECT_NEAR(moved->ra_deg, 359.9985 + 3 * arcsec, 1e-9);
  EXPECT_NEAR(moved->dec_deg, 16 - 2 * arcsec, 1e-9);
  EXPECT_NEAR(moved->ra_error_arcsec, 0.5, 1e-9);
  EXPECT_EQ(moved->name, at_0h.name);
  EXPECT_EQ(moved->place_version, done.version);
  for (const auto& same : {faint, blended, far, resolved}) {
    EXPECT_EQ(sources.Find(same.id)->ra_deg, same.ra_deg);
    EXPECT_EQ(sources.Find(same.id)->place_version, 0);
  }
  const auto versions = sources.PlaceVersions();
  ASSERT_EQ(versions.size(), 1u);
  EXPECT_EQ(versions[0].mosaic, "m");
  EXPECT_EQ(versions[0].tiles, 24);
  EXPECT_THROW(RefinePlacesFromMosaic(store.database(), mosaic, place.path(), {3, 10, 0.3}, 6), Error);
  EXPECT_EQ(sources.PlaceVersions().size(), 1u);
}

state::PlaceVersionRow PlacesOf(const state::MosaicRow& mosaic) {
  return {1, 5, mosaic.name, mosaic.strip_deg, mosaic.lst_start_h, mosaic.n_used};
}

TEST(DeepensPlaces, WhileCoAddsOfTheWindowGrow) {
  const state::MosaicRow mosaic = DeepMosaic(24);
  EXPECT_TRUE(DeepensPlaces(mosaic, {}));
  EXPECT_TRUE(DeepensPlaces(mosaic, {PlacesOf(DeepMosaic(12)), PlacesOf(DeepMosaic(23))}));
  EXPECT_FALSE(DeepensPlaces(mosaic, {PlacesOf(mosaic)})) << "the days are full";
  EXPECT_FALSE(DeepensPlaces(mosaic, {PlacesOf(DeepMosaic(25)), PlacesOf(DeepMosaic(12))}));
  state::MosaicRow none = mosaic;
  none.is_reference = false;
  EXPECT_FALSE(DeepensPlaces(none, {}));
}

TEST(DeepensPlaces, EachWindowAndStripForItself) {
  state::MosaicRow elsewhere = DeepMosaic(60), later = DeepMosaic(60);
  elsewhere.strip_deg = 54;
  later.lst_start_h += 0.5;
  state::PlaceVersionRow of_tiles;
  of_tiles.version = 1;
  EXPECT_TRUE(DeepensPlaces(DeepMosaic(2), {of_tiles, PlacesOf(elsewhere), PlacesOf(later)}));
}

}  // namespace
}  // namespace contimg::ops
