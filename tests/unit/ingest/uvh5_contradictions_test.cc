// Headers that contradict themselves, or ask to be read in another way than contimg reads: refused in one sentence
// that names both sides, never converted as if nothing were said.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "config/error.h"
#include "ingest/uvh5_reader.h"
#include "tests/temporary_folder.h"
#include "tests/unit/ingest/uvh5_fixture.h"

namespace contimg::ingest {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testkit::Put;
using testkit::PutString;
using testkit::Uvh5Fixture;
using Path = std::filesystem::path;
using Damage = std::function<void(const Path&)>;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

std::string MessageOf(const std::vector<Path>& paths) {
  try {
    ReadTile(paths, RunContext{});
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadInput) << error.what();
    return error.message();
  }
  return "accepted";
}

// "accepted", or the refusal of one file after `damage`.
std::string After(const Damage& damage, const Uvh5Fixture& fixture = {}) {
  const TemporaryFolder folder;
  const Path path = fixture.Write(folder.path());
  damage(path);
  return MessageOf({path});
}

// The same of subbands 3 and 4, of which the latter is damaged.
std::string OfGroupAfter(const Damage& damage) {
  const TemporaryFolder folder;
  Uvh5Fixture fixture;
  const Path first = fixture.Write(folder.path());
  fixture.subband = 4;
  const Path second = fixture.Write(folder.path());
  damage(second);
  return MessageOf({first, second});
}

Damage Durations(double factor) {
  return [factor](const Path& path) {
    Put(path, "Header/integration_time", {30}, std::vector<double>(30, 12.884902 * factor));
  };
}

TEST(Durations, ContradictTheTimes) {
  for (const double factor : {10.0, 2.0, 1.3, 0.7, 0.5, 1e-4}) {
    EXPECT_THAT(After(Durations(factor)),
                AllOf(HasSubstr("integration_time is "), HasSubstr("time_array has times 12.8849 s apart")))
        << factor;
  }
  for (const double factor : {1.1, 1.0, 0.9}) EXPECT_EQ(After(Durations(factor)), "accepted") << factor;
  // One of many that lasts longer than the times are apart.
  EXPECT_THAT(After([](const Path& path) {
                std::vector<double> seconds(30, 12.884902);
                for (std::size_t row = 10; row < 20; ++row) seconds[row] = 128.84902;
                Put(path, "Header/integration_time", {30}, seconds);
              }),
              HasSubstr("integration_time is 128.849 s"));
}

TEST(Durations, OfOneIntegrationGapsAndShortEndsAreSound) {
  Uvh5Fixture one;
  one.n_times = 1;
  EXPECT_EQ(
      After([](const Path& path) { Put(path, "Header/integration_time", {10}, std::vector<double>(10, 60)); }, one),
      "accepted");
  EXPECT_EQ(After([](const Path& path) {  // the last 600 s later, and half as long
              const Uvh5Fixture fixture;
              std::vector<double> time, seconds;
              for (int row = 0; row < 30; ++row) {
                time.push_back(fixture.start_jd + (row / 10 * fixture.integration_s + (row < 20 ? 0 : 600)) / 86400);
                seconds.push_back(row < 20 ? fixture.integration_s : fixture.integration_s / 2);
              }
              Put(path, "Header/time_array", {30}, time);
              Put(path, "Header/integration_time", {30}, seconds);
            }),
            "accepted");
}

TEST(Durations, NanInAnyRowIsRefused) {
  for (const hsize_t row : {0, 1, 5, 10, 29}) {
    EXPECT_THAT(After([row](const Path& path) {
                  testkit::Overwrite(path, "Header/integration_time", {row}, &kNan, H5::PredType::NATIVE_DOUBLE);
                }),
                HasSubstr("integration_time expected"))
        << row;
  }
}

TEST(HourAngle, NanIsRefused) {
  EXPECT_THAT(After([](const Path& path) { Put(path, "Header/extra_keywords/ha_phase_center", {}, {kNan}); }),
              HasSubstr("ha_phase_center expected phases that refer to hour angle 0, found nan"));
}

struct Statement {
  const char* name;
  Damage damage;
  const char* expected;
};
void PrintTo(const Statement& statement, std::ostream* to) { *to << statement.name; }

class HeaderStatement : public ::testing::TestWithParam<Statement> {};

TEST_P(HeaderStatement, IsHeardOrRefused) { EXPECT_THAT(After(GetParam().damage), HasSubstr(GetParam().expected)); }

Damage Text(const char* name, const char* text) {
  return [=](const Path& path) { PutString(path, std::string("Header/") + name, text); };
}
Damage Number(const char* name, double value) {
  return [=](const Path& path) { Put(path, std::string("Header/") + name, {}, {value}); };
}
Damage Count(const char* name, double value) {
  return [=](const Path& path) { Put(path, std::string("Header/") + name, {}, {value}, H5::PredType::STD_I64LE); };
}
Damage Truth(const char* name, std::int8_t value) {
  return [=](const Path& path) {
    H5::EnumType boolean(H5::PredType::STD_I8LE);  // as h5py writes it
    for (std::int8_t word : {std::int8_t{0}, std::int8_t{1}}) boolean.insert(word != 0 ? "TRUE" : "FALSE", &word);
    H5::H5File file(path.string(), H5F_ACC_RDWR);
    file.createDataSet(std::string("Header/") + name, boolean, H5::DataSpace()).write(&value, boolean);
  };
}

INSTANTIATE_TEST_SUITE_P(
    , HeaderStatement,
    ::testing::Values(Statement{"TimesInTai", Text("timesys", "TAI"), "timesys is TAI: expected UTC"},
                      Statement{"TimesInUtc", Text("timesys", "UTC"), "accepted"},
                      Statement{"Kelvins", Text("vis_units", "K str"), "vis_units is K str: expected uncalib or Jy"},
                      Statement{"Janskys", Text("vis_units", "Jy"), "accepted"},
                      Statement{"Uncalibrated", Text("vis_units", "uncalib"), "accepted"},
                      Statement{"TwoWindows", Count("Nspws", 2), "Nspws is 2"},
                      Statement{"FlexibleWindow", Truth("flex_spw", 1),
                                "flex_spw is true: expected one spectral window"},
                      Statement{"NoFlexibleWindow", Truth("flex_spw", 0), "accepted"},
                      Statement{"TwoPhaseCentres", Count("Nphase", 2), "Nphase is 2"},
                      Statement{"OnePhaseCentre", Count("Nphase", 1), "accepted"},
                      Statement{"Ut1OfMinutes", Number("dut1", 40), "dut1 is 40: expected UT1 - UTC in seconds"},
                      Statement{"Ut1Nan", Number("dut1", kNan), "dut1 is nan"},
                      Statement{"Ut1", Number("dut1", 0.4), "accepted"}),
    [](const auto& instance) { return std::string(instance.param.name); });

TEST(HeaderStatements, AreOneInAGroup) {
  EXPECT_THAT(OfGroupAfter(Text("vis_units", "Jy")),
              AllOf(HasSubstr("expected the vis_units of"), HasSubstr("uncalib, found Jy")));
  EXPECT_EQ(OfGroupAfter(Text("vis_units", "uncalib")), "accepted");
  EXPECT_EQ(OfGroupAfter(Number("dut1", 0.4)), "accepted");
}

TEST(HeaderStatements, TheWritersUt1ReachesTheTile) {
  const TemporaryFolder folder;
  const Path path = Uvh5Fixture{}.Write(folder.path());
  EXPECT_FALSE(ReadTile({path}, RunContext{}).dut1_s);
  Number("dut1", 0.0)(path);
  EXPECT_FALSE(ReadTile({path}, RunContext{}).dut1_s);
  Number("dut1", -0.3)(path);
  EXPECT_EQ(ReadTile({path}, RunContext{}).dut1_s, -0.3);
}

// Positions of the stations with their axes in another order, and turned.
Damage Axes(std::array<std::size_t, 3> order, std::array<double, 3> sign = {1, 1, 1}) {
  return [=](const Path& path) {
    std::vector<double> positions;
    for (int a = 0; a < 5; ++a) {
      for (std::size_t i = 0; i < 3; ++i) positions.push_back(sign[i] * Uvh5Fixture::Position(a)[order[i]]);
    }
    Put(path, "Header/antenna_positions", {5, 3}, positions);
  };
}

TEST(Geometry, AntennasAtOnePlace) {
  EXPECT_THAT(After([](const Path& path) {
                Put(path, "Header/antenna_positions", {5, 3}, std::vector<double>(15, 0));
              }),
              HasSubstr("antenna_positions has antennas 1 and 2 at one place"));
  EXPECT_THAT(After([](const Path& path) {
                for (hsize_t i = 0; i < 3; ++i) {
                  const double x = Uvh5Fixture::Position(1)[i];
                  testkit::Overwrite(path, "Header/antenna_positions", {3, i}, &x, H5::PredType::NATIVE_DOUBLE);
                }
              }),
              HasSubstr("has antennas 2 and 4 at one place"));
  EXPECT_EQ(After([](const Path& path) {  // a station of the table without data
              for (hsize_t i = 0; i < 3; ++i) {
                const double x = Uvh5Fixture::Position(1)[i];
                testkit::Overwrite(path, "Header/antenna_positions", {4, i}, &x, H5::PredType::NATIVE_DOUBLE);
              }
            }),
            "accepted");
}

TEST(Geometry, ExchangedAxes) {
  EXPECT_EQ(After(Axes({0, 1, 2})), "accepted");
  EXPECT_EQ(After(Axes({0, 1, 2}, {-1, -1, -1})), "accepted");  // the plane does not show it
  EXPECT_THAT(After(Axes({2, 1, 0})), HasSubstr("if their axes are taken as (z, y, x)"));
  EXPECT_THAT(After(Axes({1, 0, 2})), HasSubstr("if their axes are taken as (y, x, z)"));
  EXPECT_THAT(After(Axes({1, 2, 0})), HasSubstr("if their axes are taken as (z, x, y)"));
}

// The VLA's positions of 2001, whose x axis was that of another frame, at the site of the DSA-110: 24 degrees off the
// horizontal, and 4.8 with x and y exchanged. The data are sound: an array may be carried elsewhere.
TEST(Geometry, ATiltThatNoExchangeExplainsIsLeft) {
  const auto tilted = [](const Path& path) {
    const double normal[3] = {-0.7, -0.33, 0.633};
    std::vector<double> positions;
    for (int a = 0; a < 5; ++a) {
      const double p = 40.0 * a, q = 9.0 * a * a;  // along two directions in the plane
      positions.insert(positions.end(),
                       {p * normal[1] + q * normal[0] * normal[2], -p * normal[0] + q * normal[1] * normal[2],
                        -q * (normal[0] * normal[0] + normal[1] * normal[1])});
    }
    Put(path, "Header/antenna_positions", {5, 3}, positions);
  };
  EXPECT_EQ(After(tilted), "accepted");
}

TEST(Geometry, SitesOfTheWrongSign) {
  EXPECT_THAT(After(Number("latitude", -37.2333752)), HasSubstr("if the sign of latitude is the other one"));
  EXPECT_THAT(After(Number("longitude", 118.2834051)), HasSubstr("if the sign of longitude is the other one"));
  EXPECT_THAT(After(Axes({0, 1, 2}, {1, 1, -1})), HasSubstr("if the sign of latitude is the other one"));
  EXPECT_EQ(After(Number("longitude", -118.2834051 + 360)), "accepted");
}

// A count of 1e30 in a few rows left an image of these rows alone: the weights of the others vanished beside it.
TEST(AbsurdCounts, AreNotUsed) {
  const TemporaryFolder folder;
  const Path path = Uvh5Fixture{}.Write(folder.path());
  const float absurd = 1e30F, heavy = 9000;
  const std::int8_t flagged = 1;
  for (hsize_t k = 0; k < 8; ++k)
    testkit::Overwrite(path, "Data/nsamples", {13, 0, k, 1}, &absurd, H5::PredType::NATIVE_FLOAT);
  testkit::OverwriteInOwnType(path, "Data/flags", {13, 0, 2, 1}, &flagged);
  testkit::Overwrite(path, "Data/nsamples", {4, 0, 0, 0}, &heavy, H5::PredType::NATIVE_FLOAT);  // 94 times the others
  testkit::Overwrite(path, "Data/nsamples", {29, 0, 0, 0}, &absurd, H5::PredType::NATIVE_FLOAT);
  const TileInput tile = ReadTile({path}, RunContext{});
  EXPECT_EQ(tile.report.absurd_weights, 8U);
  EXPECT_EQ(tile.report.flagged, 8U);
  EXPECT_EQ(tile.report.clamped, 1U);  // of the last integration
  EXPECT_EQ(tile.report.max_nsamples, 9000);
  std::size_t dropped = 0;
  for (std::size_t i = 0; i < tile.block->weight.size(); ++i) {
    EXPECT_LE(tile.block->weight[i], 9000);
    if (tile.block->weight[i] != 0) continue;
    ++dropped;
    EXPECT_EQ(tile.block->flag[i], 1);
  }
  EXPECT_EQ(dropped, 8U);
}

TEST(AbsurdCounts, OfTheOnlyIntegrationAreNotUsed) {
  const TemporaryFolder folder;
  Uvh5Fixture fixture;
  fixture.n_times = 1;
  const Path path = fixture.Write(folder.path());
  const float absurd = 1e30F;
  testkit::Overwrite(path, "Data/nsamples", {3, 0, 0, 0}, &absurd, H5::PredType::NATIVE_FLOAT);
  const TileInput tile = ReadTile({path}, RunContext{});
  EXPECT_EQ(tile.report.absurd_weights, 1U);
  EXPECT_EQ(tile.report.max_nsamples, 96);
}

}  // namespace
}  // namespace contimg::ingest
