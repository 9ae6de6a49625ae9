#include "state/source_store.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <set>

#include "config/units.h"
#include "tests/unit/state/temporary_database.h"

namespace contimg::state {
namespace {

SourceRow Source(const std::string& name, double ra, double dec, double flux = 1) {
  SourceRow row;
  row.catalogue = "test";
  row.name = name;
  row.ra_deg = ra;
  row.dec_deg = dec;
  row.flux_jy = flux;
  return row;
}

// Against a loop over all sources: random sky, cones at the poles, across RA 0, tiny and large.
TEST(SourceStore, FindsInAConeWhatALoopFinds) {
  TemporaryDatabase place;
  SourceStore store(place.path());
  std::mt19937_64 random(20260125);
  std::uniform_real_distribution<double> unit(0, 1);
  std::vector<SourceRow> rows;
  for (int i = 0; i < 3000; ++i) {
    rows.push_back(Source("s" + std::to_string(i), 360 * unit(random),
                          Angle::Radians(std::asin(2 * unit(random) - 1)).deg(), unit(random)));
  }
  rows.push_back(Source("pole", 10, 90));
  rows.push_back(Source("zero", 0, 0));
  store.Save(rows);
  for (const auto& [ra, dec, radius] : {std::tuple{0.0, 0.0, 5.0},
                                        {359.99, 0.0, 3.0},
                                        {123.0, 90.0, 4.0},
                                        {200.0, -90.0, 10.0},
                                        {45.0, 54.6, 1.0},
                                        {10.0, 90.0, 0.0},
                                        {77.0, 10.0, 90.0}}) {
    std::set<std::string> expected, found;
    for (const SourceRow& row : rows) {
      const double separation = Separation({Angle::Degrees(ra), Angle::Degrees(dec)},
                                           {Angle::Degrees(row.ra_deg), Angle::Degrees(row.dec_deg)})
                                    .deg();
      if (separation <= radius) expected.insert(row.name);
    }
    const auto matches = store.Cone(ra, dec, radius);
    for (const ConeMatch& match : matches) found.insert(match.source.name);
    EXPECT_EQ(found, expected) << ra << " " << dec << " " << radius;
    EXPECT_TRUE(std::is_sorted(matches.begin(), matches.end(), [](const ConeMatch& a, const ConeMatch& b) {
      return a.source.flux_jy > b.source.flux_jy;
    }));
  }
  for (const ConeMatch& match : store.Cone(0, 0, 20, "test", 0.5)) EXPECT_GE(match.source.flux_jy, 0.5);
  EXPECT_TRUE(store.Cone(0, 0, 20, "other").empty());
  EXPECT_THROW(store.Cone(360, 0, 1), Error);
  EXPECT_THROW(store.Cone(0, 0, 91), Error);
}

TEST(SourceStore, ReplacesByNameAndRemovesCatalogues) {
  TemporaryDatabase place;
  SourceStore store(place.path());
  store.Save({Source("a", 10, 10), Source("b", 20, 20)});
  const auto id = store.FindByName("test", "a")->id;
  SourceRow moved = Source("a", 30, 30);
  moved.spectral_index = -0.7;
  store.Save({moved});
  EXPECT_EQ(store.Find(id)->spectral_index, -0.7);
  EXPECT_TRUE(store.Cone(10, 10, 1).empty());
  EXPECT_EQ(store.Cone(30, 30, 1).size(), 1u);
  EXPECT_THROW(store.Save({Source("c", 1, 1), Source("d", -1, 0)}), Error);
  EXPECT_FALSE(store.FindByName("test", "c"));
  ASSERT_EQ(store.Catalogues().size(), 1u);
  EXPECT_EQ(store.Catalogues()[0].second, 2);
  EXPECT_EQ(store.RemoveCatalogue("test"), 2);
  EXPECT_TRUE(store.Cone(30, 30, 1).empty());
}

TEST(SourceStore, KnowsWhereACatalogueIsFrom) {
  TemporaryDatabase place;
  SourceStore store(place.path());
  store.Save({Source("a", 10, 10)});
  EXPECT_EQ(store.Catalogue("test")->mission, "test");
  EXPECT_EQ(store.Catalogue("test")->imported_at, 0);
  CatalogueRow row;
  row.name = "test";
  row.mission = "VLA";
  row.frequency_hz = 3e9;
  row.file = "/data/vlass.csv";
  row.sha256 = std::string(64, 'a');
  row.imported_at = 7;
  store.SaveCatalogue(row);
  const auto known = store.Catalogue("test");
  ASSERT_TRUE(known);
  EXPECT_EQ(known->mission, "VLA");
  EXPECT_EQ(known->frequency_hz, 3e9);
  EXPECT_EQ(known->sha256, row.sha256);
  EXPECT_EQ(known->sources, 1);
  EXPECT_FALSE(store.Catalogue("none"));
  // A mission takes its catalogues along.
  store.database().Write([&] { store.database().handle().exec("DELETE FROM missions WHERE name = 'VLA'"); });
  EXPECT_FALSE(store.Catalogue("test"));
  EXPECT_TRUE(store.Cone(10, 10, 1).empty());
}

TEST(SourceStore, KeepsCandidatesAndTheirReview) {
  TemporaryDatabase place;
  SourceStore store(place.path());
  CandidateRow row;
  row.kind = "transient";
  row.score = 8;
  const auto id = store.AddCandidate(row, 5);
  row.score = 9;
  store.AddCandidate(row, 6);
  ASSERT_EQ(store.Candidates("new").size(), 2u);
  EXPECT_EQ(store.Candidates("new")[0].score, 9);
  store.Review(id, "rejected", "vera", "sidelobe", 7);
  EXPECT_EQ(store.Candidates("rejected").at(0).reviewer, "vera");
  EXPECT_THROW(store.Review(id, "maybe", "vera", "", 8), Error);
  EXPECT_THROW(store.Review(99, "new", "vera", "", 8), Error);
}

}  // namespace
}  // namespace contimg::state
