#include "ops/lightcurves/tile_photometry.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>
#include <optional>

#include "config/error.h"
#include "config/quality_flags.h"
#include "config/units.h"
#include "image/products/fits_image.h"
#include "mosaic/table/table.h"
#include "ops/base/checksum.h"
#include "ops/calibration/job_places.h"
#include "ops/job/tile_facts.h"
#include "ops/lightcurves/light_curves.h"
#include "ops/lightcurves/refine_places.h"
#include "state/detection_store.h"
#include "state/observation_store.h"
#include "state/source_store.h"
#include "tests/temporary_folder.h"

namespace contimg::ops {
namespace {

struct SeenAt {
  double ra_deg = 0, dec_deg = 0, flux_jy = 0;
  QualityFlags flags = 0;
  std::string name = {};
};

class TilePhotometryTest : public testing::Test {
 protected:
  // Tables of a tile as the worker makes them, and their rows in products.sqlite3.
  void Make(const std::string& group, double mjd, const std::vector<SeenAt>& known, const std::vector<SeenAt>& found,
            QualityFlags tile_flags = 0) {
    TileFacts facts;
    facts.group = group;
    facts.mjd = mjd;
    facts.duration_s = 309;
    facts.ra_deg = 0.25;
    facts.dec_deg = 16.1;
    facts.frequency_hz = 1.4e9;
    facts.beam_minor_arcsec = 29;
    facts.flags = tile_flags;
    facts.telescope = "OVRO_MMA";
    facts.integration_s = 12.875;
    facts.integrations = 24;
    facts.integration_flags.resize(24);
    facts.integration_flags[7] = quality::kInterference.mask();
    change_(facts);
    Save(group, mjd, "photometry", TableOf(known, facts));
    Save(group, mjd, "sources", TableOf(found, facts));
  }
  // Records what waits; returns the groups.
  std::vector<std::string> Record(double now = 100) {
    std::vector<std::string> groups;
    for (const TileTables& tables : UnrecordedTables(products_, sources_.database(), "")) {
      done_[tables.group] = RecordTables(sources_.database(), tables, now);
      groups.push_back(tables.group);
    }
    return groups;
  }
  std::vector<double> FluxesAt(double ra_deg, double dec_deg) {
    const auto near = own_.Near(ra_deg, dec_deg, Angle::Arcsec(2).deg());
    std::vector<double> fluxes;
    if (near.empty()) return fluxes;
    for (const auto& row : curves_.Measurements(near.front().id)) fluxes.push_back(row.flux_jy);
    return fluxes;
  }

  TemporaryFolder folder_{"tile-photometry"};
  state::SourceStore sources_{folder_ / "master_sources.sqlite3"};
  state::ProductStore products_{folder_ / "products.sqlite3"};
  state::OwnSourceStore own_{sources_.database()};
  state::LightCurveStore curves_{sources_.database()};
  state::DetectionStore detections_{sources_.database()};
  std::map<std::string, RecordedTables> done_;
  std::function<void(TileFacts&)> change_ = [](TileFacts&) {};

  // An image of the group, on record as a product.
  void MakeImage(const std::string& group, const std::string& kind, const std::string& name, std::size_t nx = 8) {
    image::FitsHeader header;
    header.geometry.nx = nx;
    header.geometry.ny = 6;
    header.geometry.cell_rad = 1e-5;
    const std::vector<float> pixels(nx * 6, 1);
    const auto path = folder_ / name;
    std::filesystem::remove(path);
    image::WriteFitsImage(RealOs(), path, {pixels.data(), {6, nx}}, header, {});
    state::ProductRow row;
    row.kind = kind;
    row.path = path.string();
    row.group_id = group;
    products_.Save(row, 50);
  }

 private:
  static mosaic::Table TableOf(const std::vector<SeenAt>& seen, const TileFacts& facts) {
    mosaic::Table table;
    table.name = "rows";
    const auto add = [&](const char* name, const auto& of) {
      std::vector<double> values;
      for (const SeenAt& each : seen) values.push_back(of(each));
      table.columns.push_back({name, "", "", "", 6, values, true});
    };
    add("ra_deg", [](const SeenAt& s) { return s.ra_deg; });
    add("dec_deg", [](const SeenAt& s) { return s.dec_deg; });
    add("ra_error_arcsec", [](const SeenAt&) { return 2.0; });
    add("dec_error_arcsec", [](const SeenAt&) { return 1.0; });
    add("flux_jy", [](const SeenAt& s) { return s.flux_jy; });
    add("flux_error_jy", [](const SeenAt&) { return 0.0003; });
    add("sigma_jy", [](const SeenAt&) { return 0.00029; });
    add("response", [](const SeenAt&) { return 0.9; });
    add("snr", [](const SeenAt& s) { return s.flux_jy / 0.0003; });
    const auto whole = [&](const char* name, const auto& of) {
      std::vector<std::int64_t> values;
      for (const SeenAt& each : seen) values.push_back(of(each));
      table.columns.push_back({name, "", "", "", 6, values, true});
    };
    whole("resolved", [](const SeenAt&) { return 0; });
    whole("source_id", [](const SeenAt& s) { return s.name.empty() ? 0 : 1; });
    std::vector<std::string> names;
    for (const SeenAt& each : seen) names.push_back(each.name);
    table.columns.push_back({"name", "", "", "", 6, names, true});
    whole("flags", [](const SeenAt& s) { return s.flags; });
    table.facts = FactsOf(facts);
    return table;
  }
  void Save(const std::string& group, double mjd, const std::string& kind, const mosaic::Table& table) {
    const auto path = folder_ / (group + "." + kind + ".fits");
    mosaic::WriteTable(RealOs(), path, table, true);
    state::ProductRow row;
    row.kind = kind;
    row.path = path.string();
    row.group_id = group;
    row.start_mjd = mjd;
    row.checksum = ProductChecksum(path);
    products_.Save(row, 50);
  }
};

constexpr double kFiveMinutes = 309.0 / 86400;

TEST_F(TilePhotometryTest, HeadersOfImagesAndFlagsOfIntegrationsGoOnRecordWithTheTile) {
  Make("a", 60000, {{0.1, 16, 0.01}}, {});
  MakeImage("a", "image.pbcor", "a.image.pbcor.fits");
  MakeImage("a", "psf", "a.psf.fits", 16);
  MakeImage("a", "band.image", "a.band1.image.fits");
  MakeImage("a", "band.image", "a.band0.image.fits", 10);
  MakeImage("b", "image", "b.image.fits");
  std::filesystem::remove(folder_ / "a.image.pbcor.fits");  // gone: what was measured in it is none the worse
  EXPECT_EQ(Record(), std::vector<std::string>{"a"});
  state::ObservationStore observations(sources_.database());
  const auto frames = observations.Frames({});
  ASSERT_EQ(frames.size(), 3u);
  EXPECT_EQ(frames[0].type, "band.image");
  EXPECT_EQ(frames[0].axes, (std::vector<std::int64_t>{10, 6, 1, 1}));
  EXPECT_EQ(frames[1].cadence, 1);
  EXPECT_EQ(frames[2].type, "psf");
  EXPECT_EQ(frames[2].role, "calibration");
  EXPECT_EQ(frames[2].path, (folder_ / "a.psf.fits").string());
  EXPECT_EQ(curves_.Tile("a")->n_integrations, 24);
  EXPECT_EQ(curves_.Tile("a")->step_s, 12.875);
  EXPECT_EQ(curves_.Tile("a")->instrument, "DSA-110");
  const auto flags = observations.Flags("a").at(0).flags;
  EXPECT_EQ(flags.size(), 24u);
  EXPECT_EQ(flags[7], quality::kInterference.mask());
  EXPECT_EQ(flags[8], 0u);

  // What an earlier version recorded without them, and images that come later.
  Make("b", 60001, {{0.1, 16, 0.01}}, {});
  Make("c", 60002, {{0.1, 16, 0.01}}, {});
  Record();
  sources_.database().Write([&] { observations.ReplaceFrames("b", {}); });
  EXPECT_EQ(observations.WithoutFrames(0, 9).size(), 2u);
  const std::int64_t first = RecordMissingFrames(products_, sources_.database(), 0, 1);
  EXPECT_GT(first, 0);
  state::FrameQuery of_b;
  of_b.group_id = "b";
  EXPECT_EQ(observations.Frames(of_b).size(), 1u);
  EXPECT_EQ(RecordMissingFrames(products_, sources_.database(), first, 9), 0);
  EXPECT_EQ(observations.WithoutFrames(0, 9).front().second, "c");  // it has no images
}

TEST_F(TilePhotometryTest, WhatFollowedATargetIsAnObservationOfItsType) {
  change_ = [](TileFacts& facts) {
    facts.telescope = "VLA";
    facts.target = "3C286";
  };
  Make("a", 60000, {{0.1, 16, 0.01}}, {});
  Record();
  const auto tile = curves_.Tile("a");
  EXPECT_EQ(tile->type, "tracking");
  EXPECT_EQ(tile->instrument, "VLA");
  EXPECT_EQ(tile->tracking->target, "3C286");
  EXPECT_EQ(tile->tracking->band, "L");
  EXPECT_EQ(tile->tracking->exposure_s, 309);
}

TEST_F(TilePhotometryTest, IntegrationsThatCannotBeAreRefused) {
  for (const auto& change : std::vector<std::function<void(TileFacts&)>>{
           [](TileFacts& facts) { facts.integrations = 5; }, [](TileFacts& facts) { facts.integrations = 2000000; }}) {
    change_ = change;
    Make("a", 60000, {{0.1, 16, 0.01}}, {});
    EXPECT_THROW(Record(), Error);
  }
}

TEST_F(TilePhotometryTest, ATileIsRecordedOnceAndAnewWhenItWasMadeAnew) {
  Make("b", 60001, {{0.1, 16, 0.02}, {0.4, 16.5, 0.5}}, {});
  Make("a", 60000, {{0.1, 16, 0.01}}, {{0.1, 16.0001, 0.011}}, quality::kPartialTile.mask());
  EXPECT_EQ(Record(), (std::vector<std::string>{"a", "b"}));  // by time
  EXPECT_TRUE(Record().empty());
  EXPECT_EQ(done_["a"].measurements, 1);
  EXPECT_EQ(done_["a"].first_met, 1);
  EXPECT_EQ(done_["b"].first_met, 1);
  EXPECT_EQ(FluxesAt(0.1, 16), (std::vector<double>{0.01, 0.02}));
  EXPECT_EQ(curves_.Tile("a")->flags, quality::kPartialTile.mask());
  EXPECT_EQ(curves_.Tile("a")->duration_s, 309);
  ASSERT_EQ(detections_.Of("a").size(), 1u);
  EXPECT_EQ(detections_.Of("a")[0].source_id, own_.Near(0.1, 16, 0.001).front().id);
  EXPECT_EQ(detections_.OfSource(*detections_.Of("a")[0].source_id).front().flux_jy, 0.011);

  Make("b", 60001, {{0.1, 16, 0.03}}, {});
  EXPECT_EQ(Record(), (std::vector<std::string>{"b"}));
  EXPECT_EQ(FluxesAt(0.1, 16), (std::vector<double>{0.01, 0.03}));
  EXPECT_EQ(FluxesAt(0.4, 16.5), (std::vector<double>{}));
  EXPECT_TRUE(own_.Near(0.4, 16.5, 0.001).size() == 1);  // a source stays
}

TEST_F(TilePhotometryTest, WhatAPersonTookOutComesBackOnlyWhenItIsMadeAnew) {
  Make("a", 60000, {{0.1, 16, 0.01}}, {});
  Record();
  LightCurveRecorder(sources_.database()).Forget("a");
  EXPECT_TRUE(Record().empty());
  Make("a", 60000, {{0.1, 16, 0.012}}, {});
  EXPECT_EQ(Record(), (std::vector<std::string>{"a"}));
  EXPECT_EQ(FluxesAt(0.1, 16), (std::vector<double>{0.012}));
}

TEST_F(TilePhotometryTest, MeasurementsOutliveTheirProducts) {
  Make("a", 60000, {{0.1, 16, 0.01}}, {{1, 16, 0.02}});
  Record();
  for (const char* kind : {"photometry", "sources"}) {
    const auto path = (folder_ / (std::string("a.") + kind + ".fits")).string();
    std::filesystem::remove(path);
    products_.SetStatus(products_.FindByPath(path)->id, "removed", "", 60);
  }
  EXPECT_TRUE(Record().empty());
  EXPECT_EQ(FluxesAt(0.1, 16), (std::vector<double>{0.01}));
  EXPECT_EQ(detections_.Of("a").size(), 1u);
}

TEST_F(TilePhotometryTest, AFileThatIsNotWhatWasRecordedIsRefused) {
  Make("a", 60000, {{0.1, 16, 0.01}}, {});
  auto tables = UnrecordedTables(products_, sources_.database(), "a");
  ASSERT_EQ(tables.size(), 1u);
  tables[0].sources_checksum = "0123456789abcdef";
  try {
    RecordTables(sources_.database(), tables[0], 100);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
    EXPECT_NE(std::string(error.what()).find("0123456789abcdef"), std::string::npos) << error.what();
  }
  EXPECT_FALSE(curves_.Tile("a"));
  EXPECT_TRUE(detections_.Recorded().empty());
}

// Across RA 0 h, in whichever order the tiles come.
TEST_F(TilePhotometryTest, WhatTwoTilesOfATransitShowIsASourceFromThenOn) {
  const std::vector<SeenAt> later{{0.0005, 16.0004, 0.009}};
  const std::vector<SeenAt> earlier{{359.9995, 16, 0.007}};
  Make("2026-01-25T00:05:09", 60000 + kFiveMinutes, {}, later);
  Record();
  EXPECT_TRUE(own_.Near(0, 16, 1).empty());
  EXPECT_FALSE(detections_.Of("2026-01-25T00:05:09")[0].source_id);
  Make("2026-01-25T00:00:00", 60000, {}, earlier);
  Record(200);
  EXPECT_EQ(done_["2026-01-25T00:00:00"].found, 1);
  const auto found = own_.Near(0, 16, 1);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].name, "DSA J235959.8+160000");
  EXPECT_EQ(found[0].origin, "detection");
  EXPECT_NEAR(WrapSigned(Angle::Degrees(found[0].ra_deg)).deg(), 0, 1e-9);  // of two of the same weight
  EXPECT_NEAR(found[0].dec_deg, 16.0002, 1e-9);
  EXPECT_NEAR(found[0].flux_jy, 0.008, 1e-9);
  EXPECT_NEAR(found[0].ra_error_arcsec, 2 / std::sqrt(2), 1e-9);
  for (const char* group : {"2026-01-25T00:00:00", "2026-01-25T00:05:09"}) {
    EXPECT_EQ(detections_.Of(group)[0].source_id, found[0].id);
  }
  // The next job measures it; made again, the tiles make no second one.
  const auto places = PlacesOfField(sources_, "", 0, 16, 1, 0);
  ASSERT_EQ(places.size(), 1u);
  EXPECT_EQ(places[0].name, found[0].name);
  EXPECT_EQ(places[0].flags, 0u);
  Make("2026-01-25T00:05:09", 60000 + kFiveMinutes, {{found[0].ra_deg, found[0].dec_deg, 0.0088}}, later);
  Record();
  EXPECT_EQ(own_.Near(0, 16, 1).size(), 1u);
  EXPECT_EQ(FluxesAt(found[0].ra_deg, found[0].dec_deg), (std::vector<double>{0.0088}));
}

// Across RA 0 h; the mean of what counts, with the error of its scatter.
TEST_F(TilePhotometryTest, PlacesAreRefinedAsAVersion) {
  state::OwnSourceRow row;
  row.ra_deg = 359.9999;
  row.dec_deg = 60;
  row.origin = "catalogue";
  const auto source = own_.Add(row);
  row.ra_deg = 10;
  const auto seldom = own_.Add(row);
  for (int day = 0; day < 4; ++day) {
    // 1.8 and 3.6 arcsec east, 1 and 3 north; then what does not count.
    const double far = day % 2;
    Make("day" + std::to_string(day), 60000 + day, {{359.9999, 60, 0.01}},
         {{0.0009 + far * 0.001, 60 + (1 + 2 * far) / 3600, 0.01},
          {359.9999, 60.003, 0.01, quality::kBlend.mask()},
          {10, 60.001, day < 2 ? 0.01 : 0.002}});
  }
  Record();
  const RefinedPlaces done = RefinePlaces(sources_.database(), {}, 300);
  EXPECT_EQ(done.version, 1);
  EXPECT_EQ(done.sources, 1);
  const auto moved = *own_.Find(source.id);
  EXPECT_EQ(moved.name, source.name);
  EXPECT_EQ(moved.place_version, 1);
  EXPECT_NEAR(moved.ra_deg, 0.0014, 1e-9);
  EXPECT_NEAR(moved.dec_deg, 60 + 2.0 / 3600, 1e-9);
  EXPECT_NEAR(done.median_arcsec, std::hypot(2.7, 2), 1e-3);
  EXPECT_NEAR(moved.ra_error_arcsec, std::hypot(2, 0.3) / 2, 1e-9);   // they scatter by less than their errors
  EXPECT_NEAR(moved.dec_error_arcsec, std::sqrt(4.0 / 3) / 2, 1e-9);  // by 1 arcsec each, which is more
  EXPECT_EQ(own_.Find(seldom.id)->place_version, 0);
  // Transits are those of the new place.
  const auto before = curves_.Transits(source.id);
  LightCurveRecorder(sources_.database()).Rebuild();
  ASSERT_EQ(before.size(), curves_.Transits(source.id).size());
  EXPECT_EQ(before.front().mjd, curves_.Transits(source.id).front().mjd);
  // Its place is no catalogue's any more, and another refinement is another version.
  EXPECT_EQ(PlacesOfField(sources_, "", 0, 60, 0.1, 0).at(0).flags, 0u);
  EXPECT_EQ(RefinePlaces(sources_.database(), {}, 400).version, 2);
  PlaceRules rules;
  rules.min_detections = 9;
  EXPECT_EQ(RefinePlaces(sources_.database(), rules, 500).version, 0);
}

// After the loss of the records a source of our own has the name that its measurements have.
TEST_F(TilePhotometryTest, NamesComeBackFromTheTables) {
  Make("a", 60000, {{10, 16, 0.007, 0, "DSA J003959.9+155959"}, {12, 16, 0.01}}, {});
  Record();
  EXPECT_EQ(own_.Near(10, 16, 0.001).at(0).name, "DSA J003959.9+155959");
  EXPECT_EQ(own_.Near(10, 16, 0.001).at(0).origin, "detection");
  EXPECT_EQ(own_.Near(12, 16, 0.001).at(0).name, "DSA J004800.0+160000");
}

TEST_F(TilePhotometryTest, OneTileOrTwoDaysOrSuspectsMakeNoSource) {
  Make("day1", 60000, {}, {{10, 16, 0.007}, {11, 16, 0.007, quality::kArtefact.mask()}, {12, 16, 0.007}});
  Make("day1b", 60000 + kFiveMinutes, {}, {{11, 16, 0.007}, {12, 16.005, 0.007}});  // 18 arcsec beside it
  Make("day2", 60001, {}, {{10, 16, 0.007}});
  Make("bad", 60002, {}, {{10, 16, 0.007}}, quality::kBadTile.mask());
  Make("good", 60002 + kFiveMinutes, {}, {{10, 16, 0.007}});
  Make("none", 60002 + 2 * kFiveMinutes, {}, {{10, 16, 0.007}}, quality::kUncalibrated.mask());
  Record();
  EXPECT_TRUE(own_.Near(11, 16, 5).empty());
  EXPECT_EQ(detections_.Of("bad")[0].flags, quality::kBadTile.mask());
}

TEST_F(TilePhotometryTest, APlaceWithinHalfABeamOfASourceIsThatSource) {
  state::OwnSourceRow row;
  row.ra_deg = 10;
  row.dec_deg = 16;
  const auto source = own_.Add(row);
  // 14 and 15 arcsec north of it, half a beam being 14.5.
  Make("a", 60000, {}, {{10, 16 + 14.0 / 3600, 0.007}, {10, 16 + 15.0 / 3600, 0.006}});
  Record();
  EXPECT_EQ(detections_.Of("a")[0].source_id, source.id);
  EXPECT_FALSE(detections_.Of("a")[1].source_id);
}

TEST(JobPlaces, OursComeFirstAndNoPlaceComesTwice) {
  TemporaryFolder folder("job-places");
  state::SourceStore store(folder / "master_sources.sqlite3");
  const auto listed = [](const char* name, double ra_deg, double dec_deg, double flux_jy) {
    state::SourceRow row;
    row.catalogue = "nvss";
    row.name = name;
    row.ra_deg = ra_deg;
    row.dec_deg = dec_deg;
    row.flux_jy = flux_jy;
    return row;
  };
  store.Save({listed("known", 359.99, 16, 0.1), listed("ours", 0.1, 16, 0.2), listed("twin", 0.1, 16.002, 0.3),
              listed("faint", 0.2, 16, 0.002), listed("far", 5, 16, 1)});
  state::OwnSourceStore own(store.database());
  own.Identify(store.FindByName("nvss", "ours")->id, 10);
  state::OwnSourceRow found;
  found.ra_deg = 0.3;
  found.dec_deg = 16.1;
  found.flux_jy = 0.004;
  found.origin = "detection";
  const auto detection = own.Add(found);
  const auto places = PlacesOfField(store, "nvss", 0, 16, 2, 0.0025);
  ASSERT_EQ(places.size(), 3u);
  EXPECT_EQ(places[0].name, "DSA J000024.0+160000");
  EXPECT_EQ(places[0].flux_jy, 0.2);
  EXPECT_EQ(places[0].flags, quality::kPlaceUnrefined.mask());
  EXPECT_EQ(places[1].source_id, detection.id);
  EXPECT_EQ(places[1].flags, 0u);
  EXPECT_EQ(places[2].source_id, 0);
  EXPECT_EQ(places[2].name, "nvss known");  // the twin is 7 arcsec from ours
  EXPECT_EQ(places[2].flags, quality::kPlaceUnrefined.mask());
  EXPECT_EQ(PlacesOfField(store, "", 0, 16, 2, 0).size(), 2u);
}

}  // namespace
}  // namespace contimg::ops
