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

TEST(CalTableStore, KnowsWhatATableRestsOn) {
  TemporaryDatabase place;
  CalTableStore store(place.path());
  const auto k = store.Register(Table("/a.kcal", "K", 100, 101), 1);
  CalTableRow row = Table("/a.bpcal", "BP", 100, 101);
  row.rests_on = {k, 77};
  const auto b = store.Register(row, 1);
  EXPECT_EQ(store.Find(b)->rests_on, (std::vector<std::int64_t>{k, 77}));
  EXPECT_TRUE(store.Find(k)->rests_on.empty());
}

TEST(CalTableStore, SupersedesARowWhoseFilesWereReplaced) {
  TemporaryDatabase place;
  CalTableStore store(place.path());
  const auto old = store.Register(Table("/a.kcal", "K", 100, 101), 1);
  store.Supersede(old, 2);
  EXPECT_EQ(store.Find(old)->status, "retired");
  EXPECT_FALSE(store.FindByPath("/a.kcal"));
  EXPECT_NE(store.Register(Table("/a.kcal", "K", 100, 101), 3), old);
  EXPECT_THROW(store.Supersede(99, 4), Error);
}

TEST(CalTableStore, KeepsObservations) {
  TemporaryDatabase place;
  CalTableStore store(place.path());
  GroupObservation row;
  row.group_id = "2025-10-13T13:28:03";
  row.mid_mjd = 60961.56;
  row.dec_deg = 16.1;
  row.antennas = 96;
  row.baseline_deciles_m = {5.75, 100, 2600.5};
  store.SaveObservation(row);
  row.subbands = 16;
  store.SaveObservation(row);
  const auto back = store.Observation(row.group_id);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->mid_mjd, 60961.56);
  EXPECT_EQ(back->subbands, 16);
  EXPECT_EQ(back->baseline_deciles_m, row.baseline_deciles_m);
  EXPECT_FALSE(store.Observation("another"));
  row.group_id = "earlier";
  row.mid_mjd -= 1;
  store.SaveObservation(row);
  EXPECT_EQ(store.LatestObservation()->group_id, "2025-10-13T13:28:03");
}

TEST(CalTableStore, FollowsASolveFromDecisionToOutcome) {
  TemporaryDatabase place;
  CalTableStore store(place.path());
  SolveRow row;
  row.group_id = "a";
  row.mid_mjd = 100;
  row.interval = "24h";
  row.model = "field";
  row.started_at = 5;
  const auto id = store.AddSolve(row);
  row.group_id = "b";
  row.mid_mjd = 101;
  store.AddSolve(row);
  EXPECT_EQ(store.Solves(100, 101).size(), 1u);  // half-open
  EXPECT_EQ(store.Solves(0, 1000, true).size(), 2u);
  store.EndSolve(id, "passed", "3 tables", 6);
  store.EndSolve(id, "failed", "too late", 7);
  EXPECT_EQ(store.SolvesOf("a").at(0).outcome, "passed");
  EXPECT_EQ(store.SolvesOf("a").at(0).detail, "3 tables");
  EXPECT_EQ(store.SolvesOf("a").at(0).finished_at, 6);
  EXPECT_EQ(store.Solves(0, 1000, true).size(), 1u);
  EXPECT_THROW(store.EndSolve(id, "forgotten", "", 8), Error);
  row.interval = "2h";
  EXPECT_THROW(store.AddSolve(row), Error);
}

TEST(CalTableStore, KeepsTheLastDecision) {
  TemporaryDatabase place;
  CalTableStore store(place.path());
  EXPECT_FALSE(store.Decision("a"));
  store.RecordDecision({"a", "wait", "nothing yet", 5});
  store.RecordDecision({"a", "apply", "tables of its own time", 6});
  EXPECT_EQ(store.Decision("a")->action, "apply");
}

TEST(CalTableStore, NoticesChangesOfOthersAndItsOwn) {
  TemporaryDatabase place;
  CalTableStore store(place.path()), other(place.path());
  const auto before = store.Revision();
  EXPECT_EQ(store.Revision(), before);
  other.Register(Table("/a.kcal", "K", 100, 101), 1);
  const auto after = store.Revision();
  EXPECT_NE(after, before);
  EXPECT_EQ(store.Revision(), after);
  store.RecordDecision({"a", "wait", "", 5});
  EXPECT_NE(store.Revision(), after);
}

}  // namespace
}  // namespace contimg::state
