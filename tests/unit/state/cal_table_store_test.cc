#include "state/cal_table_store.h"

#include <gtest/gtest.h>

#include "tests/unit/state/temporary_database.h"

namespace contimg::state {
namespace {

CalTableRow Table(const std::string& path, const std::string& kind, double from, double to) {
  CalTableRow row;
  row.path = path;
  row.kind = kind;
  row.interval = kind == "G" ? "1h" : "24h";
  row.valid_from_mjd = from;
  row.valid_to_mjd = to;
  return row;
}

TEST(CalTableStore, KeepsTablesAndTheirStatus) {
  TemporaryDatabase place;
  CalTableStore store(place.path());
  CalTableRow row = Table("/a.bpcal", "BP", 100, 101);
  row.refant = "24";
  row.quality_json = R"({"snr": 90})";
  const auto id = store.Register(row, 5);
  EXPECT_EQ(store.Find(id)->refant, "24");
  EXPECT_EQ(store.FindByPath("/a.bpcal")->quality_json, R"({"snr": 90})");
  EXPECT_EQ(store.Find(id)->registered_at, 5);
  EXPECT_THROW(store.Register(row, 6), Error);
  EXPECT_THROW(store.Register(Table("/b", "BP", 100, 100), 6), Error);
  EXPECT_THROW(store.Register(Table("/b", "Q", 100, 101), 6), Error);
  store.SetStatus(id, "retired", "superseded", 7);
  EXPECT_EQ(store.Find(id)->status, "retired");
  EXPECT_EQ(store.Find(id)->reason, "superseded");
  EXPECT_THROW(store.SetStatus(id, "asleep", "", 8), Error);
  EXPECT_THROW(store.SetStatus(99, "active", "", 8), Error);
  EXPECT_FALSE(store.Find(99));
}

TEST(CalTableStore, TreatsWindowsAsHalfOpen) {
  TemporaryDatabase place;
  CalTableStore store(place.path());
  store.Register(Table("/a", "G", 100, 101), 1);
  store.Register(Table("/b", "G", 101, 102), 1);
  CalTableQuery query;
  for (const auto& [mjd, expected] :
       {std::pair{99.999, ""}, {100.0, "/a"}, {100.999, "/a"}, {101.0, "/b"}, {102.0, ""}}) {
    query.covering_mjd = mjd;
    const auto rows = store.List(query);
    ASSERT_EQ(rows.size(), *expected == '\0' ? 0u : 1u) << mjd;
    if (!rows.empty()) {
      EXPECT_EQ(rows[0].path, expected);
    }
  }
  query = {};
  query.from_mjd = 101;
  EXPECT_EQ(store.List(query).size(), 1u);
  query = {};
  query.before_mjd = 101;
  EXPECT_EQ(store.List(query).size(), 1u);
  EXPECT_EQ(store.Near("G", 99.5, 0.5).size(), 1u);
  EXPECT_EQ(store.Near("G", 101, 1).size(), 2u);
  EXPECT_TRUE(store.Near("K", 101, 1).empty());
}

TEST(CalTableStore, RemembersChoices) {
  TemporaryDatabase place;
  CalTableStore store(place.path());
  const auto id = store.Register(Table("/a", "G", 100, 101), 1);
  store.RecordChoice({"g1", "G", id, "covers", 2});
  store.RecordChoice({"g1", "K", std::nullopt, "none registered", 2});
  store.RecordChoice({"g1", "G", id, "again", 3});
  EXPECT_THROW(store.RecordChoice({"g1", "BP", 99, "unknown table", 3}), Error);
  const auto choices = store.Choices("g1");
  ASSERT_EQ(choices.size(), 2u);
  EXPECT_EQ(choices[0].table_id, id);
  EXPECT_EQ(choices[0].reason, "again");
  EXPECT_FALSE(choices[1].table_id);
  EXPECT_EQ(store.GroupsUsing(id), std::vector<std::string>{"g1"});
}

}  // namespace
}  // namespace contimg::state
