// Files of other writers: each row of the table in docs/formats/uvh5.md, "Files of other writers".
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "config/error.h"
#include "config/units.h"
#include "ingest/uvh5_inspect.h"
#include "ingest/uvh5_reader.h"
#include "tests/temporary_folder.h"
#include "tests/unit/ingest/uvh5_fixture.h"

namespace contimg::ingest {
namespace {

using Path = std::filesystem::path;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using testkit::Put;
using testkit::PutString;
using testkit::Remove;
using testkit::Uvh5Fixture;

constexpr hsize_t kRows = 30;  // of the fixture: 10 baselines, 3 times
constexpr double kLatitude = 37.2333752 * kPi / 180;
constexpr double kDeclination = 0.65;
// Of the fixture's first time and longitude, by ERFA 2.0 (gst06a, atco13 without refraction, UT1 = UTC).
constexpr double kLst = 1.85212541242096, kLstStep = 0.00093958198;
constexpr double kRa = 1.45, kDec = 0.66;  // ICRS
constexpr double kAppRa = 1.457771250376325, kAppDec = 0.6603172934210593;

// One value per row: `first` and `step` more at each of the three times.
void PutRows(const Path& path, const std::string& name, double first, double step = 0) {
  std::vector<double> values;
  for (hsize_t row = 0; row < kRows; ++row) values.push_back(first + step * static_cast<double>(row / 10));
  Put(path, "Header/" + name, {kRows}, values);
}

void PutIds(const Path& path, const std::vector<double>& ids) {
  Put(path, "Header/phase_center_id_array", {kRows}, ids, H5::PredType::STD_I64LE);
}

struct Entry {
  std::string id = "0";
  std::string type = "sidereal";
  std::string frame = "icrs";
  double lon = kRa, lat = kDec, epoch = 2000;
};

// An entry of phase_center_catalog as pyuvdata 3 writes it; "no value" is an empty data set.
void PutEntry(const Path& path, const Entry& entry) {
  const H5::H5File file(path.string(), H5F_ACC_RDWR);
  if (H5Lexists(file.getId(), "Header/phase_center_catalog", H5P_DEFAULT) <= 0) {
    file.createGroup("Header/phase_center_catalog");
  }
  const std::string name = "Header/phase_center_catalog/" + entry.id + "/";
  file.createGroup(name);
  PutString(file, name + "cat_name", "target");
  PutString(file, name + "cat_type", entry.type);
  if (entry.type == "unprojected") {
    for (const char* empty : {"cat_lon", "cat_lat", "cat_frame", "cat_epoch"}) {
      file.createDataSet(name + empty, H5::PredType::IEEE_F32LE, H5::DataSpace(H5S_NULL));
    }
    return;
  }
  Put(file, name + "cat_lon", {}, {entry.lon});
  Put(file, name + "cat_lat", {}, {entry.lat});
  PutString(file, name + "cat_frame", entry.frame);
  Put(file, name + "cat_epoch", {}, {entry.epoch});
}

// What pyuvdata 2.2 and later put into any header.
void Rewrite(const Path& path, const Entry& entry, double app_ra, double app_ra_step, double app_dec) {
  Remove(path, "Header/phase_type");
  Remove(path, "Header/phase_center_app_dec");
  PutEntry(path, entry);
  PutIds(path, std::vector<double>(kRows, std::stod(entry.id)));
  Put(path, "Header/Nphase", {}, {1}, H5::PredType::STD_I64LE);
  PutString(path, "Header/version", "1.2");
  PutRows(path, "lst_array", kLst, kLstStep);
  PutRows(path, "phase_center_app_ra", app_ra, app_ra_step);
  PutRows(path, "phase_center_app_dec", app_dec);
  PutRows(path, "phase_center_frame_pa", 0);
}
void Unprojected(const Path& path, double app_dec) {
  Rewrite(path, {"0", "unprojected", "", 0, 0, 0}, kLst, kLstStep, app_dec);
}
void Sidereal(const Path& path, const Entry& entry = {}) { Rewrite(path, entry, kAppRa, 0, kAppDec); }
void WithoutKeywords(const Path& path) { Remove(path, "Header/extra_keywords"); }
void OldPhased(const Path& path) {
  PutString(path, "Header/phase_type", "phased");
  Remove(path, "Header/phase_center_app_dec");
  Put(path, "Header/phase_center_ra", {}, {kRa});
  Put(path, "Header/phase_center_dec", {}, {kDec});
  Put(path, "Header/phase_center_epoch", {}, {2000.0});
}

struct Case {
  std::string name;
  std::function<void(const Path&)> edit;
  std::string expected;  // part of DescribePhasing, or of the refusal
  bool refused = false;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

std::vector<Case> Cases() {
  const std::string drift = "drift scan, fringes stopped at hour angle 0, declination +37.24226 deg (apparent; ";
  const std::string sidereal = "phased to ICRS 83.078880 +37.815214 deg (";
  const std::string on_meridian = "the dishes stood on the meridian at declination +37.24226 deg (apparent)";
  const std::string unknown = "where the dishes pointed is not said";
  const std::string unstopped = "holds data without fringe stopping";
  return {
      {"Correlator", [](const Path&) {}, drift + "phase_type = drift)"},
      {"WithoutPhaseType", [](const Path& p) { Remove(p, "Header/phase_type"); }, drift + "no phase_type)"},
      {"HadecPhased", [](const Path& p) { PutString(p, "Header/phase_type", "phased"); }, drift},
      {"UnknownPhaseType", [](const Path& p) { PutString(p, "Header/phase_type", "unknown"); },
       "Header/phase_type is unknown: expected drift or phased", true},

      // A DSA-110 file read and written by pyuvdata.
      {"UnprojectedAtTheLatitude", [](const Path& p) { Unprojected(p, kLatitude); },
       drift + "phase_center_catalog: unprojected 'target')"},
      {"UnprojectedAtThePointing", [](const Path& p) { Unprojected(p, kDeclination); }, drift},
      {"UnprojectedElsewhere", [](const Path& p) { Unprojected(p, 0.5); },
       "phase_center_app_dec is 0.5000000 rad, but extra_keywords/phase_center_dec is 0.6500000 rad", true},
      {"UnprojectedNeverFilledIn",
       [](const Path& p) { Unprojected(p, kLatitude), PutRows(p, "phase_center_app_ra", 0); }, drift},
      {"UnprojectedWithoutKeywords", [](const Path& p) { Unprojected(p, kLatitude), WithoutKeywords(p); }, unstopped,
       true},
      {"UnprojectedAtAPointingWithoutKeywords", [](const Path& p) { Unprojected(p, kDeclination), WithoutKeywords(p); },
       unstopped, true},
      {"OldDriftWithApparentPlaces",
       [](const Path& p) {
         PutRows(p, "phase_center_app_dec", kLatitude), PutRows(p, "phase_center_app_ra", kLst, kLstStep);
       },
       drift + "phase_type = drift)"},
      {"OldDriftWithApparentPlacesWithoutKeywords",
       [](const Path& p) {
         PutRows(p, "phase_center_app_dec", kLatitude), PutRows(p, "phase_center_app_ra", kLst, kLstStep);
         WithoutKeywords(p);
       },
       unstopped, true},
      {"KeywordContradicts", [](const Path& p) { Put(p, "Header/extra_keywords/phase_center_dec", {}, {0.3}); },
       "phase_center_app_dec is 0.6500000 rad, but extra_keywords/phase_center_dec is 0.3000000 rad", true},
      {"KeywordsOfAnotherEpoch",
       [](const Path& p) { PutString(p, "Header/extra_keywords/phase_center_epoch", "J2000"); },
       "expected HADEC (hour angle and declination) for a drift scan, found J2000", true},
      {"HourAngleKeyword", [](const Path& p) { Put(p, "Header/extra_keywords/ha_phase_center", {}, {0.1}); },
       "expected phases that refer to hour angle 0, found 0.1", true},

      // Hour angle 0 against the sidereal times.
      {"WithSiderealTimes", [](const Path& p) { PutRows(p, "lst_array", kLst, kLstStep); }, drift},
      {"SiderealTimesOfAnotherPlace", [](const Path& p) { PutRows(p, "lst_array", kLst + 1, kLstStep); },
       "lst_array is 2.852125 rad in row 0, but time_array and longitude make it 1.852", true},
      {"HourAngleNotZero",
       [](const Path& p) { Unprojected(p, kDeclination), PutRows(p, "phase_center_app_ra", kLst + 0.01, kLstStep); },
       "phase_center_app_ra is 1.862125 rad in row 0 where lst_array is 1.852125 rad", true},
      {"HourAngleThatMoves",
       [](const Path& p) { Unprojected(p, kDeclination), PutRows(p, "phase_center_app_ra", kLst); },
       "in row 10 where lst_array is", true},

      // Fixed azimuth and elevation.
      {"DriftscanOnTheMeridian",
       [](const Path& p) {
         Rewrite(p, {"0", "driftscan", "altaz", 0, kPi / 2 - (kDeclination - kLatitude), 2000}, kLst, kLstStep,
                 kDeclination);
       },
       drift + "phase_center_catalog: driftscan 'target')"},
      {"DriftscanInTheSouth",
       [](const Path& p) {
         WithoutKeywords(p);
         Rewrite(p, {"0", "driftscan", "altaz", kPi, kPi / 2 - (kLatitude - 0.2), 2000}, kLst, kLstStep, 0.2);
       },
       "hour angle 0, declination +11.45916 deg"},
      {"DriftscanThatContradicts",
       [](const Path& p) {
         Rewrite(p, {"0", "driftscan", "altaz", kPi, kPi / 2 - (kLatitude - 0.2), 2000}, kLst, kLstStep, kDeclination);
       },
       "phase_center_app_dec is 0.6500000 rad, but phase_center_catalog: driftscan 'target' is at 0.2000000 rad", true},
      {"DriftscanOffTheMeridian",
       [](const Path& p) {
         Rewrite(p, {"0", "driftscan", "altaz", 0.5, 1.0, 2000}, kLst, kLstStep, kDeclination);
       },
       "holds a driftscan at azimuth 0.500000 and elevation 1.000000 rad: expected one on the meridian", true},

      // One direction of the sky.
      {"Sidereal", [](const Path& p) { Sidereal(p); },
       sidereal + "phase_center_catalog: sidereal 'target'); " + on_meridian},
      {"SiderealWithoutKeywords", [](const Path& p) { Sidereal(p), WithoutKeywords(p); },
       sidereal + "phase_center_catalog: sidereal 'target'); " + unknown},
      {"SiderealWithoutSiderealTimes", [](const Path& p) { Sidereal(p), Remove(p, "Header/lst_array"); }, sidereal},
      {"SiderealOfFk5",
       [](const Path& p) {
         Sidereal(p, {"0", "sidereal", "fk5", kRa, kDec, 2000});
       },
       "phased to ICRS 83.078871 +37.815220 deg ("},  // astropy 5.2: 83.07887147, 37.81521966
      {"SiderealOfAnotherEquinox",
       [](const Path& p) {
         Sidereal(p, {"0", "sidereal", "fk5", kRa, kDec, 1975});
       },
       "has a phase centre in the frame fk5 of 1975", true},
      {"SiderealOfFk4",
       [](const Path& p) {
         Sidereal(p, {"0", "sidereal", "fk4", kRa, kDec, 1950});
       },
       "has a phase centre in the frame fk4 of 1950", true},
      {"SiderealInDegrees",
       [](const Path& p) {
         Sidereal(p, {"0", "sidereal", "icrs", 83.08, 37.8, 2000});
       },
       "expected a phase centre in radians, found 83.08 +37.8", true},
      {"SiderealWithIcrsForApparentPlaces",
       [](const Path& p) {
         Sidereal(p), PutRows(p, "phase_center_app_ra", kRa), PutRows(p, "phase_center_app_dec", kDec);
       },
       "phase_center_app_ra and phase_center_app_dec are 1.450000 +0.660000 rad in row 0, but phase_center_catalog: "
       "sidereal 'target' is at 1.457",
       true},
      {"SiderealWithSiderealTimesOfAnotherPlace",
       [](const Path& p) { Sidereal(p), PutRows(p, "lst_array", kLst + 1, kLstStep); }, "lst_array is 2.852125 rad",
       true},
      {"SiderealOfAnOldName", [](const Path& p) { Sidereal(p), PutString(p, "Header/phase_type", "drift"); },
       "phase_type is drift, but phase_center_catalog: sidereal 'target'", true},
      {"OldPhased", OldPhased, sidereal + "phase_type = phased); " + on_meridian},
      {"OldPhasedWithoutKeywords", [](const Path& p) { OldPhased(p), WithoutKeywords(p); },
       sidereal + "phase_type = phased); " + unknown},
      {"OldPhasedInGcrs", [](const Path& p) { OldPhased(p), PutString(p, "Header/phase_center_frame", "gcrs"); },
       "has a phase centre in the frame gcrs", true},

      // What has no right answer.
      {"NearField",
       [](const Path& p) {
         Sidereal(p, {"0", "near_field", "icrs", kRa, kDec, 2000});
       },
       "is phased to a target that is in the near field (phase_center_catalog: near_field 'target')", true},
      {"Ephemeris",
       [](const Path& p) {
         Sidereal(p, {"0", "ephem", "icrs", kRa, kDec, 2000});
       },
       "is phased to a target that moves over the sky (phase_center_catalog: ephem 'target')", true},
      {"UnknownKind",
       [](const Path& p) {
         Sidereal(p, {"0", "planetary", "icrs", kRa, kDec, 2000});
       },
       "is phased to a target that is of an unknown kind", true},
      {"TwoCentres",
       [](const Path& p) {
         Sidereal(p), PutEntry(p, {"1", "sidereal", "icrs", 1.0, 0.5, 2000});
         std::vector<double> ids(kRows, 0);
         ids.back() = 1;
         PutIds(p, ids);
       },
       "phase_center_id_array names 2 phase centres (0, 1): expected one", true},
      {"TwoCentresOneUsed",
       [](const Path& p) {
         Sidereal(p), PutEntry(p, {"1", "near_field", "icrs", 1.0, 0.5, 2000});
         Put(p, "Header/Nphase", {}, {2}, H5::PredType::STD_I64LE);
       },
       sidereal},
      {"TwoCentresNoIds",
       [](const Path& p) {
         Sidereal(p), PutEntry(p, {"1", "sidereal", "icrs", 1.0, 0.5, 2000});
         Remove(p, "Header/phase_center_id_array");
       },
       "phase_center_catalog has 2 entries and the file no phase_center_id_array", true},
      {"CentreNotInTheCatalogue", [](const Path& p) { Sidereal(p), PutIds(p, std::vector<double>(kRows, 7)); },
       "names phase centre 7, but phase_center_catalog has 0", true},
      {"CatalogueOfTexts",
       [](const Path& p) {
         H5::H5File(p.string(), H5F_ACC_RDWR).createGroup("Header/phase_center_catalog");
         PutString(p, "Header/phase_center_catalog/target", "{\"cat_id\": 0, \"cat_type\": \"sidereal\"}");
       },
       "is of pyuvdata's first form (JSON texts)", true},

      // The site.
      {"LatitudeInRadians", [](const Path& p) { Put(p, "Header/latitude", {}, {kLatitude}); },
       "latitude and longitude are 0.649845 and -118.283405, and the antennas lie in a plane that is horizontal if the "
       "latitude is in radians: expected degrees",
       true},
      {"LongitudeInRadians", [](const Path& p) { Put(p, "Header/longitude", {}, {-118.2834051 * kPi / 180}); },
       "horizontal if the longitude is in radians: expected degrees", true},
      {"SiteInRadians",
       [](const Path& p) {
         Put(p, "Header/latitude", {}, {kLatitude}), Put(p, "Header/longitude", {}, {-118.2834051 * kPi / 180});
       },
       "horizontal if both are in radians: expected degrees", true},
      {"WithoutAltitude", [](const Path& p) { Remove(p, "Header/altitude"); }, drift},
      {"WithoutSite",
       [](const Path& p) {
         for (const char* name : {"latitude", "longitude", "altitude"}) Remove(p, std::string("Header/") + name);
       },
       drift},
      {"AnotherArrayWithoutSite",
       [](const Path& p) {
         for (const char* name : {"latitude", "longitude", "altitude"}) Remove(p, std::string("Header/") + name);
         // Flat at latitude 0, longitude 0: y to the east, z to the north.
         Put(p, "Header/antenna_positions", {5, 3}, {0, 0, 0, 0, 20, 5, 0, 40, 20, 0.1, 60, 45, 0, 80, 80});
       },
       "expected Header/latitude, longitude and altitude of the array, found none", true},
      {"TelescopeLocationOnly",
       [](const Path& p) {
         Remove(p, "Header/latitude"), Put(p, "Header/telescope_location", {3}, {-2.4e6, -4.5e6, 3.8e6});
       },
       "telescope_location stands without latitude, longitude and altitude", true},
      {"OnTheMoon", [](const Path& p) { PutString(p, "Header/telescope_frame", "mcmf"); },
       "telescope_frame is mcmf: expected itrs", true},
      {"PositionsFromTheCentreOfTheEarth",
       [](const Path& p) {
         std::vector<double> x;
         for (int a = 0; a < 5; ++a) x.insert(x.end(), {-2409150.0 + a, -4478573.0, 3838617.0});
         Put(p, "Header/antenna_positions", {5, 3}, x);
       },
       "antenna_positions holds positions from the centre of the Earth", true},
      {"PositionsEastNorthUp",
       [](const Path& p) {
         Put(p, "Header/antenna_positions", {5, 3}, {0, 0, 0, 20, 5, 0, 40, 20, 0.1, 60, 45, 0, 80, 80, 0});
       },
       "antenna_positions lie along east and north of a site at latitude 37.23 degrees", true},

      // Axes.
      {"ScalarIntegrationTime", [](const Path& p) { Put(p, "Header/integration_time", {}, {12.884902}); }, drift},
      {"TimesThatScatterBelowAMillisecond",
       [](const Path& p) {
         const Uvh5Fixture fixture;
         std::vector<double> time;
         for (hsize_t row = 0; row < kRows; ++row) {
           time.push_back(fixture.start_jd + (static_cast<double>(row / 10) * fixture.integration_s +
                                              2e-4 * (static_cast<double>(row % 3) - 1)) /
                                                 86400);
         }
         Put(p, "Header/time_array", {kRows}, time);
       },
       drift},
      {"RectangularityStated",
       [](const Path& p) {
         Put(p, "Header/blts_are_rectangular", {}, {1}, H5::PredType::STD_I8LE);
         PutString(p, "Header/blt_order", "time, baseline");
       },
       drift},
      {"BaselineByBaseline",
       [](const Path& p) {
         const Uvh5Fixture fixture;
         std::vector<double> time;
         for (hsize_t row = 0; row < kRows; ++row) {
           time.push_back(fixture.start_jd + static_cast<double>(row % 3) * fixture.integration_s / 86400);
         }
         Put(p, "Header/time_array", {kRows}, time);
       },
       "steps back by 25.770 s (pyuvdata: UVData.reorder_blts(order='time'))", true},
      {"WidthsThatDiffer",
       [](const Path& p) {
         Put(p, "Header/channel_width", {8},
             {244140.625, 244140.625, 244140.625, 244140.625, 488281.25, 488281.25, 488281.25, 488281.25});
       },
       "channel_width expected one width", true},
      {"NblsOfOldHeraFiles", [](const Path& p) { Put(p, "Header/Nbls", {}, {30}, H5::PredType::STD_I64LE); },
       "Nbls is 30, but the number of baselines in ant_1_array is 10", true},
  };
}

class ForeignHeader : public ::testing::TestWithParam<Case> {};

TEST_P(ForeignHeader, IsReadOrRefusedByName) {
  const TemporaryFolder folder;
  const Path path = Uvh5Fixture{}.Write(folder.path());
  GetParam().edit(path);
  try {
    const std::string found = DescribePhasing(ReadSubbandHeader(path));
    EXPECT_FALSE(GetParam().refused) << found;
    EXPECT_THAT(found, HasSubstr(GetParam().expected));
  } catch (const Error& error) {
    EXPECT_TRUE(GetParam().refused) << error.message();
    EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
    EXPECT_THAT(error.message(), HasSubstr(GetParam().expected));
  }
}

INSTANTIATE_TEST_SUITE_P(, ForeignHeader, ::testing::ValuesIn(Cases()),
                         [](const auto& instance) { return instance.param.name; });

TEST(ForeignPhases, GoIntoTheBlock) {
  const TemporaryFolder folder;
  const Path path = Uvh5Fixture{}.Write(folder.path());
  Sidereal(path);
  const TileInput tile = ReadTile({path}, RunContext{});
  EXPECT_EQ(tile.block->phase_state, PhaseState::kSidereal);
  EXPECT_DOUBLE_EQ(tile.block->phase_centre.ra_rad, kRa);
  EXPECT_DOUBLE_EQ(tile.block->phase_centre.dec_rad, kDec);
  EXPECT_DOUBLE_EQ(tile.block->app_dec_rad, kDeclination) << "the beam is that of the pointing";
  EXPECT_EQ(tile.block->pointing.kind, Pointing::Kind::kDrift);
  ASSERT_EQ(tile.block->fringe_place.size(), 3u);
  for (int t = 0; t < 3; ++t) {
    EXPECT_NEAR(tile.block->fringe_place[static_cast<std::size_t>(t)].hour_angle_rad, kLst + t * kLstStep - kAppRa,
                1e-12);
    EXPECT_DOUBLE_EQ(tile.block->fringe_place[static_cast<std::size_t>(t)].dec_rad, kAppDec);
  }
}

TEST(ForeignPhases, WithoutAWordOfTheDishesLeaveThePointingUnknown) {
  const TemporaryFolder folder;
  const Path path = Uvh5Fixture{}.Write(folder.path());
  Sidereal(path);
  WithoutKeywords(path);
  const TileInput tile = ReadTile({path}, RunContext{});
  EXPECT_EQ(tile.block->pointing.kind, Pointing::Kind::kUnknown);
  EXPECT_EQ(tile.block->app_dec_rad, 0);
}

TEST(ForeignPhases, OfOneGroupAreTheSame) {
  const TemporaryFolder folder;
  Uvh5Fixture fixture;
  const Path first = fixture.Write(folder.path());
  fixture.subband = 4;
  const Path second = fixture.Write(folder.path());
  const auto refusal = [&] {
    try {
      ReadTile({first, second}, RunContext{});
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  Sidereal(second);
  EXPECT_THAT(refusal(), HasSubstr("expected drift-scan phases as in"));
  Sidereal(first, {"0", "sidereal", "icrs", kRa + 1e-5, kDec, 2000});
  EXPECT_THAT(refusal(), AllOf(HasSubstr("expected the phase centre of"), HasSubstr("found 1.4500000 +0.6600000 rad")));
}

}  // namespace
}  // namespace contimg::ingest
