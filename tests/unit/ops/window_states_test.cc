#include "ops/mosaics/window_states.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "config/time.h"
#include "ops/mosaics/mosaic_task.h"
#include "state/task_store.h"
#include "tests/unit/ops/work_folders.h"

namespace contimg::ops {
namespace {

using state::WorkState;

constexpr double kStrip = 16.1, kBegin = 61000.3, kTileOfDay = kTileS / kSecondsPerDay;

// Two hours of tiles on record, and of each window what the test makes of it.
class WindowStatesTest : public testing::Test {
 protected:
  WindowStatesTest() {
    for (double mjd = kBegin; mjd < kBegin + 24 * kTileOfDay; mjd += kTileOfDay) AddTile(mjd);
  }
  void AddTile(double start_mjd, double dec_deg = kStrip, double recorded_at = 0) {
    state::ProductRow tile;
    tile.kind = "image";
    tile.group_id = UtcTime::FromMjd(start_mjd).Iso8601();
    tile.path = "/images/" + tile.group_id + ".image.fits";
    tile.start_mjd = start_mjd;
    tile.end_mjd = start_mjd + kTileOfDay;
    tile.ra_deg = 90;  // where declinations are those of the date
    tile.dec_deg = dec_deg;
    tile.status = "present";
    products_.Save(tile, recorded_at > 0 ? recorded_at : UtcTime::FromMjd(tile.end_mjd).unix_s() + 60);
  }
  std::vector<WindowState> States() {
    const double now = UtcTime::FromMjd(kBegin + 24 * kTileOfDay).unix_s() + 90;
    return WindowStates(products_, &groups_, Settings{}.mosaic, {}, {}, now).windows;
  }
  void Close(const MosaicWindow& window) {
    state::MosaicRow row = RecordOf(window);
    row.grade = "B";
    std::vector<state::MosaicTileRow> tiles;
    for (const TileOnRecord& tile : TilesOnRecord(products_, window.start_mjd, window.end_mjd)) {
      tiles.emplace_back();
      tiles.back().group_id = tile.group;
      tiles.back().used = true;
    }
    state::MosaicStore(products_.database()).Close(row, tiles, 2e9);
  }
  void GiveUp(const std::string& name, const std::string& error) {
    const std::string id = *AskForMosaic(tasks_, {false, name, "test"}, 2e9);
    ASSERT_TRUE(tasks_.Take(id, "test", 10, 2e9 + 1));
    state::TransitionDetails details;
    details.actor = "test";
    details.error_kind = ErrorKind::kCrash;
    details.error = error;
    tasks_.Transition(id, WorkState::kDead, details, 2e9 + 2);
  }

  WorkFolders folders_;
  state::ProductStore products_{folders_.paths.Database(StateDatabase::kProducts)};
  state::GroupStore groups_{folders_.paths.Database(StateDatabase::kIngest)};
  state::TaskStore tasks_{groups_.database()};
};

TEST_F(WindowStatesTest, SayWhatBecameOfEach) {
  auto windows = States();
  ASSERT_GE(windows.size(), 5u);
  EXPECT_EQ(windows.front().state, "due");
  EXPECT_EQ(windows.back().state, windows.back().tiles < 2 ? "alone" : "waiting");
  Close(windows[0].window);
  GiveUp(windows[1].window.name, "its worker died");
  AskForMosaic(tasks_, {false, windows[2].window.name, "test"}, 1);
  windows = States();
  EXPECT_EQ(windows[0].state, "made");
  EXPECT_EQ(windows[0].made->grade, "B");
  EXPECT_EQ(windows[1].state, "failed");
  EXPECT_EQ(windows[1].why, "its worker died");
  EXPECT_EQ(windows[1].task, "mosaic/" + windows[1].window.name);
  EXPECT_EQ(windows[2].state, "queued");
  EXPECT_EQ(SpokenState(windows[2]), "waits in the queue");
  EXPECT_THAT(CountedStates(windows), testing::AllOf(testing::HasSubstr(" windows: 1 made, 1 failed, "),
                                                     testing::HasSubstr("1 waits in the queue")));
}

TEST_F(WindowStatesTest, AVersionThatFailedIsToldThoughTheOneBeforeIsThere) {
  const auto first = States().front();
  Close(first.window);
  GiveUp(first.window.name, "no room");
  EXPECT_EQ(States().front().state, "failed");
  EXPECT_EQ(States().front().why, "its next version: no room");
}

TEST_F(WindowStatesTest, OneThatWasGivenUpIsDueWhenATileOfItComes) {
  const auto given_up = States()[1];
  GiveUp(given_up.window.name, "expected two tiles or more on record and on the disk, found 1");
  EXPECT_EQ(States()[1].state, "failed");
  AddTile(kBegin + 5 * kTileOfDay, kStrip, 2e9 + 3);
  ASSERT_EQ(States()[1].window.name, given_up.window.name);
  EXPECT_EQ(States()[1].state, "due");
}

TEST_F(WindowStatesTest, AMosaicWhoseTilesAreGoneIsStillTold) {
  const auto windows = States();
  Close(windows[2].window);
  products_.database().handle().exec("UPDATE products SET status = 'removed'");
  const auto told = WindowStates(products_, nullptr, Settings{}.mosaic, kBegin, std::nullopt, 2e9).windows;
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].window.name, windows[2].window.name);
  EXPECT_EQ(told[0].tiles, 0u);
  EXPECT_EQ(told[0].state, "made");
}

TEST_F(WindowStatesTest, OneTileOfAStripStandsAlone) {
  AddTile(kBegin + 12 * kTileOfDay, 54);
  int alone = 0;
  for (const WindowState& window : States()) {
    if (window.window.strip_deg != 54) continue;
    EXPECT_EQ(window.state, "alone");
    ++alone;
  }
  EXPECT_EQ(alone, 2);
  WindowsOfTime told = WindowStates(products_, &groups_, Settings{}.mosaic, {}, {}, 2e9);
  KeepStrip(told, 54.04);
  EXPECT_EQ(told.windows.size(), 2u);
}

}  // namespace
}  // namespace contimg::ops
