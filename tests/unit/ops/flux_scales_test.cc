#include "ops/lightcurves/flux_scales.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <random>
#include <thread>

#include "config/error.h"
#include "config/quality_flags.h"
#include "ops/lightcurves/light_curves.h"
#include "state/flux_reference_store.h"
#include "state/source_store.h"
#include "tests/temporary_folder.h"

namespace contimg::ops {
namespace {

using state::MeasurementRow;
using state::ObservationRow;

struct SeenTile {
  ObservationRow tile;
  std::vector<MeasurementRow> rows;
  double truth = 1;  // what its fluxes were multiplied by
};

// Fifty constants of 100 mJy and a bright source that doubles, over ten days, a tile each, scales off by 3 %.
std::vector<SeenTile> MadeUpDays() {
  std::mt19937_64 random(5);
  std::normal_distribution<double> normal(0, 1);
  std::vector<SeenTile> days;
  for (int day = 0; day < 10; ++day) {
    SeenTile seen;
    seen.tile.group_id = "day" + std::to_string(day);
    seen.tile.mjd = 60000 + day * 0.99726957;
    seen.tile.lst_deg = 15;
    seen.tile.frequency_hz = 1.4e9;
    seen.tile.recorded_at = 1000 + day;
    seen.truth = 1 + 0.03 * normal(random);
    for (std::int64_t id = 1; id <= 51; ++id) {
      MeasurementRow row;
      row.source_id = id;
      row.flux_jy = seen.truth * 0.1 * (id == 51 && day % 2 == 1 ? 2 : 1) + 0.0005 * normal(random);
      row.flux_error_jy = row.local_rms_jy = 0.0005;
      seen.rows.push_back(row);
    }
    days.push_back(seen);
  }
  return days;
}

// A record of its own for each way to come to it.
class Record {
 public:
  Record() {
    for (int i = 0; i < 51; ++i) {
      state::OwnSourceRow row;
      row.ra_deg = 15;
      row.dec_deg = 10 + 0.1 * i;
      state::OwnSourceStore(opened_.database()).Add(row);
    }
  }
  void Put(const SeenTile& seen) { LightCurveRecorder(database()).Record(seen.tile, seen.rows); }
  NormaliseResult Normalise(bool only_if_new = false, double now = 2000) {
    NormaliseRequest request;
    request.only_if_new = only_if_new;
    request.now = now;
    return NormaliseTiles(database(), request, {});
  }
  // Scales, transits and statistics, every bit.
  std::string All() {
    state::LightCurveStore curves(database());
    std::string all;
    char word[64];
    const auto add = [&](double value) {
      std::snprintf(word, sizeof word, "%a ", value);
      all += word;
    };
    for (const ObservationRow& tile : curves.Tiles()) {
      all += tile.group_id + " ";
      add(tile.scale.value_or(0));
      add(tile.scale_error.value_or(0));
      add(tile.flags);
    }
    for (std::int64_t id = 1; id <= 51; ++id) {
      for (const state::TransitRow& row : curves.Transits(id)) add(row.flux_jy);
      for (const char* level : {"tile", "transit"}) {
        const auto s = curves.Statistics(id, "forced", level);
        if (!s) continue;
        for (const double value : {s->eta, s->v, s->mean_jy, s->vs, s->p, s->before.sum_wii}) add(value);
      }
    }
    return all;
  }
  state::Database& database() { return opened_.database(); }

 private:
  TemporaryFolder folder_{"flux-scales"};
  state::SourceStore opened_{folder_ / "master_sources.sqlite3"};
};

TEST(FluxScales, AreTheSameBitsInWhateverOrderTilesCome) {
  std::vector<SeenTile> days = MadeUpDays();
  Record in_order;
  for (const SeenTile& seen : days) in_order.Put(seen);
  in_order.Normalise();
  const std::string all = in_order.All();

  std::shuffle(days.begin(), days.end(), std::mt19937_64(1));
  Record shuffled;
  for (const SeenTile& seen : days) shuffled.Put(seen);
  shuffled.Normalise();
  EXPECT_EQ(shuffled.All(), all);
  EXPECT_FALSE(shuffled.Normalise(true).done);

  // Tiles go on record with the scale that the known references tell: again and in any order.
  for (const SeenTile& seen : days) in_order.Put(seen);
  EXPECT_EQ(in_order.All(), all);
  for (const SeenTile& seen : days) LightCurveRecorder(in_order.database()).Forget(seen.tile.group_id);
  for (const SeenTile& seen : days) in_order.Put(seen);
  EXPECT_EQ(in_order.All(), all);
}

TEST(FluxScales, ANewTileHasItsOwnAtOnce) {
  const std::vector<SeenTile> days = MadeUpDays();
  Record record;
  for (int day = 0; day < 9; ++day) record.Put(days[static_cast<std::size_t>(day)]);
  state::LightCurveStore curves(record.database());
  EXPECT_FALSE(curves.Tile("day8")->scale) << "nothing is known yet";
  const NormaliseResult result = record.Normalise();
  EXPECT_EQ(result.references, 50) << "who doubles is none";
  ASSERT_EQ(result.tiles.size(), 9u);
  record.Put(days[9]);
  const auto tile = curves.Tile("day9");
  ASSERT_TRUE(tile->scale);
  double common = 0;
  for (int day = 0; day < 9; ++day) common += *curves.Tile("day" + std::to_string(day))->scale * days[day].truth / 9;
  EXPECT_NEAR(*tile->scale * days[9].truth, common, 0.004);
  EXPECT_NEAR(*tile->scale_error, 0.0016, 0.0004);
  // Without a flag of "default": bad tiles keep none; those that are doubtful have one and tell nothing.
  SeenTile bad = days[9], partial = days[9];
  bad.tile.group_id = "bad";
  bad.tile.flags = quality::kBadTile.mask();
  partial.tile.group_id = "partial";
  partial.tile.flags = quality::kPartialTile.mask();
  for (MeasurementRow& row : partial.rows) row.flux_jy *= 0.5;
  record.Put(bad);
  record.Put(partial);
  EXPECT_FALSE(curves.Tile("bad")->scale);
  EXPECT_NEAR(*curves.Tile("partial")->scale, *tile->scale * 2, 0.01);
  EXPECT_EQ(record.Normalise().references, 50);
  EXPECT_NEAR(*curves.Tile("partial")->scale, *tile->scale * 2, 0.02);
}

TEST(FluxScales, OnlyWhatIsNewIsWorkedOn) {
  const std::vector<SeenTile> days = MadeUpDays();
  Record record;
  for (int day = 0; day < 9; ++day) record.Put(days[static_cast<std::size_t>(day)]);
  EXPECT_TRUE(record.Normalise(true, 2000).done);
  EXPECT_FALSE(record.Normalise(true, 2100).done);
  SeenTile later = days[9];
  later.tile.recorded_at = 2200;
  record.Put(later);
  EXPECT_TRUE(record.Normalise(true, 2300).done);
  EXPECT_FALSE(record.Normalise(true, 2400).done);
  LightCurveRecorder(record.database()).Forget("day3");
  EXPECT_TRUE(record.Normalise(true, 2500).done);
}

// Who was killed between two transactions left a version that is not finished: the next one does everything.
TEST(FluxScales, WhatWasBegunIsFinishedByTheNext) {
  const std::vector<SeenTile> days = MadeUpDays();
  Record whole, killed;
  for (const SeenTile& seen : days) {
    whole.Put(seen);
    killed.Put(seen);
  }
  whole.Normalise();
  // References and scales are there, the figures are not those of them.
  state::LightCurveStore curves(killed.database());
  const auto before = curves.Statistics(7, "forced", "tile");
  killed.Normalise();
  curves.SaveStatistics(*before);
  state::FluxReferenceStore references(killed.database());
  std::map<std::int64_t, double> fluxes;
  for (std::int64_t id = 1; id <= 51; ++id) {
    if (const auto flux = references.FluxOf(id)) fluxes[id] = *flux;
  }
  references.Replace(fluxes, {}, 10, 2000);
  EXPECT_NE(killed.All(), whole.All());
  EXPECT_FALSE(references.Newest()->finished);
  EXPECT_TRUE(killed.Normalise(true).done);
  EXPECT_EQ(killed.All(), whole.All());
  EXPECT_TRUE(references.Newest()->finished);
}

// Judged with the references, and at once when a tile goes on record; the same bits in any order.
TEST(FluxScales, ATileOfAnotherBeamIsFlaggedAndTellsNothing) {
  std::vector<SeenTile> days = MadeUpDays();
  for (std::size_t day = 0; day < days.size(); ++day) {
    days[day].tile.ra_deg = 15;
    days[day].tile.dec_deg = 12.3;
    days[day].tile.beam_major_arcsec = day == 4 ? 54.2 : 53 + 0.05 * static_cast<double>(day);
    days[day].tile.beam_minor_arcsec = day == 6 ? 27.9 : 29;
  }
  days[6].tile.flags = quality::kPlaceUnrefined.mask();  // of another kind: stays
  Record record;
  for (std::size_t day = 0; day < 9; ++day) record.Put(days[day]);
  state::LightCurveStore curves(record.database());
  EXPECT_EQ(curves.Tile("day6")->flags, quality::kPlaceUnrefined.mask());
  record.Normalise();
  EXPECT_EQ(curves.Tile("day3")->flags, 0u);
  EXPECT_EQ(curves.Tile("day4")->flags, 0u) << "1.9 %";
  EXPECT_EQ(curves.Tile("day6")->flags, quality::kPlaceUnrefined.mask() | quality::kBeamDiffers.mask());
  EXPECT_TRUE(curves.Tile("day6")->scale);
  days[9].tile.beam_major_arcsec = 55;
  record.Put(days[9]);
  EXPECT_EQ(curves.Tile("day9")->flags, quality::kBeamDiffers.mask());
  EXPECT_EQ(curves.Measurements(3).back().flags, quality::kBeamDiffers.mask());
  days[9].tile.dec_deg = 40.1;  // where nobody knows what is usual
  record.Put(days[9]);
  EXPECT_EQ(curves.Tile("day9")->flags, 0u);
  std::shuffle(days.begin(), days.end(), std::mt19937_64(2));
  Record other;
  for (const SeenTile& seen : days) other.Put(seen);
  other.Normalise();
  record.Normalise();
  EXPECT_EQ(record.All(), other.All());
  EXPECT_EQ(curves.Tile("day6")->flags, quality::kPlaceUnrefined.mask() | quality::kBeamDiffers.mask());
}

TEST(FluxScales, TwoAtOnceAreRefusedInASentence) {
  const std::vector<SeenTile> days = MadeUpDays();
  Record record;
  for (const SeenTile& seen : days) record.Put(seen);
  // A reporter that begins another one in the middle of the first.
  class Another : public Reporter {
   public:
    explicit Another(state::Database& database) : database_(database) {}
    void Progress(std::string_view, double) override { state::FluxReferenceStore(database_).Replace({}, {}, 10, 0); }
    void Warn(std::string_view, std::string_view) override {}
    void Info(std::string_view, std::string_view) override {}

   private:
    state::Database& database_;
  } another(record.database());
  RunContext context;
  context.reporter = &another;
  try {
    NormaliseTiles(record.database(), {}, context);
    ADD_FAILURE() << "nobody saw it";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBusy);
  }
}

}  // namespace
}  // namespace contimg::ops
