#include "ops/mosaics/due.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "config/time.h"
#include "ops/lightcurves/meridian.h"
#include "ops/mosaics/mosaic_task.h"
#include "tests/unit/ops/work_folders.h"
#include "tests/unit/state/temporary_database.h"

namespace contimg::ops {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr double kDec = 16.1, kDay = 61000;
constexpr double kTileDays = kTileS / kSecondsPerDay;

MosaicSettings Defaults() { return Settings{}.mosaic; }

TileOnRecord TileAt(double mjd, double dec = kDec) {
  TileOnRecord tile;
  tile.group = UtcTime::FromMjd(mjd - kTileDays / 2).Iso8601();
  tile.checksum = "sum of " + tile.group;
  tile.mjd = mjd;
  tile.dec_deg = tile.strip_deg = dec;
  tile.recorded_at = UtcTime::FromMjd(mjd).unix_s() + 60;
  return tile;
}

// Tiles one after the other through the whole of a window, the first a little after its beginning.
struct Hour {
  MosaicWindow window = WindowsAt(kDay + 0.3, kDec, Defaults()).back();
  MosaicFacts facts;

  Hour() {
    for (double mjd = window.start_mjd + 0.1 * kTileDays; mjd < window.end_mjd; mjd += kTileDays) {
      facts.tiles.push_back(TileAt(mjd));
    }
    facts.now = facts.tiles.back().recorded_at;
  }
  std::vector<DueMosaic> Due() const {
    std::vector<DueMosaic> some;
    for (DueMosaic& due : DueMosaics(facts, Defaults())) {
      if (due.window.name == window.name) some.push_back(std::move(due));
    }
    return some;
  }
  void Make(int version = 1) {
    state::MosaicRow row;
    row.name = window.name;
    row.strip_deg = window.strip_deg;
    row.start_mjd = window.start_mjd;
    row.end_mjd = window.end_mjd;
    row.version = version;
    row.state = "closed";
    std::vector<state::MosaicTileRow> tiles;
    for (const TileOnRecord& tile : TilesOf(window, facts.tiles)) {
      tiles.emplace_back();
      tiles.back().group_id = tile.group;
      tiles.back().checksum = tile.checksum;
    }
    facts.made = {{row, tiles}};
  }
};

TEST(MosaicWindows, AreTheSameOnEveryDayAndOverlapByHalf) {
  for (const double dec : {-30.0, 16.1, 85.0}) {
    const auto today = WindowsAt(kDay + 0.3, dec, Defaults());
    ASSERT_EQ(today.size(), 2u) << dec;
    const auto next = WindowsAt(kDay + 0.3 + kSiderealDay, dec, Defaults());
    ASSERT_EQ(next.size(), 2u) << dec;
    for (std::size_t i = 0; i < 2; ++i) {
      EXPECT_EQ(next[i].lst_start_h, today[i].lst_start_h);
      EXPECT_NEAR(next[i].start_mjd - today[i].start_mjd, kSiderealDay, 1.5 / kSecondsPerDay);
      const double length = today[i].end_mjd - today[i].start_mjd;
      EXPECT_GE(length, 12 * kTileDays - 2 / kSecondsPerDay);
      EXPECT_LT(length, 12.5 * kTileDays);
      EXPECT_NEAR(MeridianDeg(today[i].start_mjd, dec) / 15, today[i].lst_start_h, 1.0 / 3600);
      EXPECT_NEAR(std::remainder(MeridianDeg(today[i].end_mjd, dec) / 15 - today[i].lst_end_h, 24), 0, 1.0 / 3600);
    }
    // Near the pole right ascensions of the meridian do not move evenly: the Earth's axis is not that of ICRS.
    EXPECT_NEAR(std::abs(today[1].start_mjd - today[0].start_mjd), (today[0].end_mjd - today[0].start_mjd) / 2,
                (dec > 80 ? 5 : 1.5) / kSecondsPerDay);
  }
}

TEST(MosaicWindows, EveryTimeIsInTwoThroughoutADay) {
  for (double mjd = kDay; mjd < kDay + 1; mjd += 0.00371) {
    const auto windows = WindowsAt(mjd, kDec, Defaults());
    EXPECT_EQ(windows.size(), 2u) << mjd;
    for (const MosaicWindow& window : windows) {
      EXPECT_LE(window.start_mjd, mjd);
      EXPECT_GT(window.end_mjd, mjd);
      const auto span = ParseMosaicName(window.name);
      ASSERT_TRUE(span);
      EXPECT_NEAR(UtcTime::FromIso8601(span->start).mjd(), window.start_mjd, 1e-9);
    }
  }
}

TEST(MosaicWindows, WithoutOverlapEveryTimeIsInOne) {
  MosaicSettings settings = Defaults();
  settings.overlap = 0;
  settings.tiles = 7;
  for (double mjd = kDay; mjd < kDay + 1; mjd += 0.00113) EXPECT_EQ(WindowsAt(mjd, kDec, settings).size(), 1u) << mjd;
}

TEST(MosaicWindows, AreFoundByTheirNames) {
  const MosaicWindow window = WindowsAt(kDay + 0.3, kDec, Defaults()).back();
  const MosaicWindow found = WindowOf(*ParseMosaicName(window.name), Defaults());
  EXPECT_EQ(found.name, window.name);
  EXPECT_EQ(found.lst_start_h, window.lst_start_h) << "that of every day, not what its times tell to a second";
  EXPECT_EQ(WindowOf(RecordOf(found)).start_mjd, window.start_mjd);
  MosaicSettings others = Defaults();
  others.tiles = 7;
  const MosaicWindow other = WindowOf(*ParseMosaicName(window.name), others);
  EXPECT_EQ(other.name, window.name);
  EXPECT_NEAR(other.lst_start_h, window.lst_start_h, 1.0 / 3600);
}

TEST(DueMosaics, AWindowWhoseLastPlaceIsTakenIsDue) {
  Hour hour;
  const auto due = hour.Due();
  ASSERT_EQ(due.size(), 1u);
  EXPECT_THAT(due[0].why, HasSubstr("last place is taken"));
  EXPECT_EQ(due[0].window.strip_deg, kDec);
}

TEST(DueMosaics, OneThatIsNotOverWaits) {
  Hour hour;
  hour.facts.tiles.pop_back();
  EXPECT_THAT(hour.Due(), IsEmpty());
  hour.facts.now = UtcTime::FromMjd(hour.window.end_mjd).unix_s() + kTileS + kMosaicGraceS - 1;
  EXPECT_THAT(hour.Due(), IsEmpty()) << "the next tile may come yet";
  hour.facts.now += 2;
  ASSERT_EQ(hour.Due().size(), 1u);
  hour.facts.tiles.front().recorded_at = hour.facts.now - 5;
  EXPECT_THAT(hour.Due(), IsEmpty()) << "old data that are just coming in";
  hour.facts.tiles.push_back(TileAt(hour.window.end_mjd + kTileDays));
  EXPECT_EQ(hour.Due().size(), 1u) << "a later one is there";
  hour.facts.tiles.back().strip_deg = 54;
  EXPECT_THAT(hour.Due(), IsEmpty()) << "of another strip";
}

TEST(DueMosaics, AGroupOnTheWayIsWaitedFor) {
  Hour hour;
  hour.facts.on_the_way_mjd = {hour.window.start_mjd + 0.01};
  EXPECT_THAT(hour.Due(), IsEmpty());
  hour.facts.on_the_way_mjd = {hour.window.end_mjd + 0.001, hour.window.start_mjd - 0.001};
  EXPECT_EQ(hour.Due().size(), 1u) << "others are none of its own";
}

TEST(DueMosaics, NothingIsMadeTwiceAndALateTileMakesItAnew) {
  Hour hour;
  const TileOnRecord late = hour.facts.tiles[4];
  hour.facts.tiles.erase(hour.facts.tiles.begin() + 4);
  EXPECT_EQ(hour.Due().size(), 1u);
  hour.Make();
  EXPECT_THAT(hour.Due(), IsEmpty());
  hour.facts.tiles.insert(hour.facts.tiles.begin() + 4, late);
  ASSERT_EQ(hour.Due().size(), 1u);
  EXPECT_THAT(hour.Due()[0].why, HasSubstr(late.group + " came late"));
  hour.Make(2);
  EXPECT_THAT(hour.Due(), IsEmpty());
  hour.facts.tiles[2].checksum = "another";
  ASSERT_EQ(hour.Due().size(), 1u);
  EXPECT_THAT(hour.Due()[0].why, HasSubstr("made anew"));
  hour.facts.tiles.erase(hour.facts.tiles.begin());
  EXPECT_THAT(hour.Due(), IsEmpty()) << "what is there has a tile that is gone";
}

TEST(DueMosaics, OneTileIsNoMosaicAndTwoStripsAreTwo) {
  Hour hour;
  hour.facts.tiles = {hour.facts.tiles.back()};
  EXPECT_THAT(hour.Due(), IsEmpty());
  Hour both;
  for (const TileOnRecord& tile : std::vector<TileOnRecord>(both.facts.tiles)) {
    both.facts.tiles.push_back(TileAt(tile.mjd, 54));
  }
  int of_ours = 0, of_theirs = 0;
  for (const DueMosaic& due : DueMosaics(both.facts, Defaults())) {
    for (const TileOnRecord& tile : TilesOf(due.window, both.facts.tiles)) {
      EXPECT_EQ(tile.strip_deg, due.window.strip_deg);
    }
    (due.window.strip_deg == kDec ? of_ours : of_theirs) += 1;
  }
  EXPECT_GE(of_ours, 1);
  EXPECT_EQ(of_theirs, of_ours);
}

// Hours of one window on record, the newest last, each with an image of a tile in it.
class DeepMosaicsDue : public testing::Test {
 protected:
  void Pass(int day, const std::string& state) {
    const MosaicWindow window = WindowsAt(kDay + 0.3 + day * kSiderealDay, kDec, Defaults()).back();
    state::ProductRow image;
    image.kind = "image";
    image.group_id = UtcTime::FromMjd(window.start_mjd).Iso8601();
    image.path = "/" + image.group_id + ".image.fits";
    image.start_mjd = image.end_mjd = window.start_mjd + kTileDays;
    image.ra_deg = 90;  // where declinations are those of the date
    image.dec_deg = kDec;
    products_.Save(image, 5);
    state::MosaicRow row = RecordOf(window);
    newest_ = row.name;
    row.grade = "A";
    state::MosaicStore store(products_.database());
    if (state == "closed") store.Close(row, {}, 5);
    if (state != "closed") store.Open(row, 5);
    if (state == "failed") store.Fail(row.name, "no tile is left", 5);
  }
  std::vector<std::string> Due() {
    MosaicSettings settings = Defaults();
    settings.deep_days = 5;
    std::vector<std::string> names;
    for (const WantedMosaic& wanted : FindMosaicWork(folders_.paths, settings, kDay - 1, kDay + 10, 5).wanted) {
      if (wanted.deep) names.push_back(wanted.name);
    }
    return names;
  }

  WorkFolders folders_;
  state::ProductStore products_{folders_.paths.Database(StateDatabase::kProducts)};
  std::string newest_;
};

TEST_F(DeepMosaicsDue, WhenTwoDaysWentThroughAWindow) {
  Pass(0, "closed");
  EXPECT_THAT(Due(), IsEmpty());
  Pass(1, "closed");
  EXPECT_THAT(Due(), ElementsAre(newest_));
}

TEST_F(DeepMosaicsDue, AlsoWhenTheNewestHourCouldNotBeMade) {
  Pass(0, "closed");
  Pass(1, "failed");
  EXPECT_THAT(Due(), ElementsAre(newest_)) << "its good tiles count";
  Pass(2, "open");
  EXPECT_THAT(Due(), testing::Not(testing::Contains(newest_))) << "it may be made yet";
}

TEST_F(DeepMosaicsDue, NotOfHoursOfWhichNoneCouldBeMade) {
  Pass(0, "failed");
  Pass(1, "failed");
  EXPECT_THAT(Due(), IsEmpty());
}

TEST(AskedAt, IsThatOfTheOrderAndNotOfItsRetries) {
  const state::TemporaryDatabase place;
  state::TaskStore tasks(place.path());
  const std::string name = "2025-10-13T13:28:03_2025-10-13T14:30:46_+16.1";
  EXPECT_FALSE(AskedAt(tasks, name));
  const std::string id = *AskForMosaic(tasks, {false, name, "its last place is taken"}, 10);
  EXPECT_EQ(AskedAt(tasks, name), 10);
  ASSERT_TRUE(tasks.Take(id, "runner 1", 60, 20));
  ASSERT_EQ(tasks.ReclaimOwned("runner", "runner", 30).size(), 1u);
  EXPECT_EQ(AskedAt(tasks, name), 10);
  ASSERT_TRUE(tasks.Take(id, "runner 2", 60, 40));
  state::TransitionDetails details;
  details.actor = "runner";
  tasks.Transition(id, state::WorkState::kDone, details, 50);
  details.actor = "operator";
  tasks.Transition(id, state::WorkState::kReady, details, 60);
  EXPECT_EQ(AskedAt(tasks, name), 60);
  EXPECT_FALSE(AskedAt(tasks, "deep_" + name));
}

// The task of one mosaic, its attempt at 20 and its end at 30.
class MosaicAskedFor : public testing::Test {
 protected:
  std::optional<std::string> Ask(double news_at, bool deep = false) {
    return AskForMosaic(tasks_, {deep, kName, "a later tile is on record", news_at}, 10);
  }
  void End(state::WorkState state, bool deep = false) {
    const std::string id = *Ask(5, deep);
    ASSERT_TRUE(tasks_.Take(id, "runner 1", 60, 20));
    state::TransitionDetails details;
    details.actor = "runner";
    if (state == state::WorkState::kDead) {
      details.error_kind = ErrorKind::kBadInput;
      details.error = "expected two tiles or more on record and on the disk, found 1";
    }
    tasks_.Transition(id, state, details, 30);
  }

  static constexpr const char* kName = "2025-10-13T13:28:03_2025-10-13T14:30:46_+16.1";
  const state::TemporaryDatabase place_;
  state::TaskStore tasks_{place_.path()};
};

TEST_F(MosaicAskedFor, OneThatWasGivenUpIsTakenUpWhenSomethingOfItCame) {
  End(state::WorkState::kDead);
  EXPECT_FALSE(Ask(20)) << "its attempt saw that";
  const std::optional<std::string> id = Ask(25);
  EXPECT_EQ(id, std::string("mosaic/") + kName);
  const state::TaskRow task = *tasks_.Find(*id);
  EXPECT_EQ(task.state, state::WorkState::kReady);
  EXPECT_EQ(task.attempts, 0);
  EXPECT_THAT(tasks_.Events(*id).back().detail, HasSubstr("since it was given up: a later tile is on record"));
  EXPECT_EQ(AskedAt(tasks_, kName), 10) << "an order, as one of an operator";
  EXPECT_FALSE(Ask(25)) << "it waits";
}

TEST_F(MosaicAskedFor, OneThatWasGivenUpWithoutAnAttemptIsNotTakenUpForever) {
  const std::string id = *Ask(5);
  state::TransitionDetails details;
  details.actor = "runner";
  details.error_kind = ErrorKind::kBadInput;
  details.error = "cannot be described";
  tasks_.Transition(id, state::WorkState::kDead, details, 30);
  EXPECT_FALSE(Ask(25));
  EXPECT_TRUE(Ask(31));
}

TEST_F(MosaicAskedFor, ADeepOneThatWasGivenUpToo) {
  End(state::WorkState::kDead, true);
  EXPECT_FALSE(Ask(20, true));
  EXPECT_TRUE(Ask(40, true)) << "the passage's hourly one was made since";
}

TEST_F(MosaicAskedFor, WhatIsDoneMakesItsNextVersionAndADeepOneNone) {
  End(state::WorkState::kDone);
  EXPECT_EQ(Ask(40), std::string("mosaic/") + kName + "_v2");
  End(state::WorkState::kDone, true);
  EXPECT_FALSE(Ask(40, true));
}

TEST_F(MosaicAskedFor, WhatAnOperatorHoldsStaysHeld) {
  const std::string id = *Ask(5);
  state::TransitionDetails details;
  details.actor = "operator";
  details.detail = "bad weather";
  for (const auto state : {state::WorkState::kHeld, state::WorkState::kCancelled}) {
    tasks_.Transition(id, state, details, 30);
    EXPECT_FALSE(Ask(40));
  }
}

TEST(WindowsWithTiles, SayWhatTheyWaitFor) {
  Hour hour;
  const auto why = [&]() -> std::string {
    for (const WindowWithTiles& each : WindowsWithTiles(hour.facts, Defaults())) {
      if (each.window.name == hour.window.name) return each.due ? "due" : each.why;
    }
    return "no such window";
  };
  EXPECT_EQ(why(), "due");
  hour.facts.on_the_way_mjd = {hour.window.start_mjd + 0.01, hour.window.start_mjd + 0.02};
  EXPECT_EQ(why(), "2 groups of it on the way");
  hour.facts.on_the_way_mjd.clear();
  hour.Make();
  EXPECT_EQ(why(), "");
  hour.facts.made.clear();
  hour.facts.tiles.pop_back();
  EXPECT_EQ(why(), "more of it may come");
  hour.facts.tiles.resize(1);
  EXPECT_EQ(why(), "of one tile nothing is made");
}

TEST(MosaicSubject, SaysWhichPassage) {
  const std::string name = "2025-10-13T13:28:03_2025-10-13T14:30:46_+16.1";
  EXPECT_EQ(ParseMosaicSubject(name).span.end, "2025-10-13T14:30:46");
  EXPECT_FALSE(ParseMosaicSubject(name).deep);
  EXPECT_TRUE(ParseMosaicSubject("deep_" + name).deep);
  EXPECT_EQ(ParseMosaicSubject(name + "_v2").span.dec_deg, 16.1);
  for (const char* text : {"", "deep_", "x", "2025-10-13T13:28:03_v2"}) EXPECT_THROW(ParseMosaicSubject(text), Error);
}

}  // namespace
}  // namespace contimg::ops
