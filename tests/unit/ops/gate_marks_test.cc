#include "ops/mosaics/gate_marks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "ops/lightcurves/light_curves.h"
#include "state/source_store.h"
#include "tests/unit/state/temporary_database.h"

namespace contimg::ops {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr QualityFlags kBad = quality::kBadTile.mask();

state::MosaicTileRow Judged(const std::string& group, const std::string& checksum, const std::string& refusal,
                            int references = 40) {
  state::MosaicTileRow tile;
  tile.group_id = group;
  tile.checksum = checksum;
  tile.refusal = refusal;
  tile.used = refusal.empty();
  tile.n_references = references;
  return tile;
}

TEST(GateFlags, AreThoseOfTheMosaicThatKnowsBest) {
  EXPECT_EQ(GateFlags({}, "a"), 0u);
  EXPECT_EQ(GateFlags({Judged("g", "a", "scale")}, "a"), kBad);
  EXPECT_EQ(GateFlags({Judged("g", "a", "twice", 0)}, "a"), 0u);
  EXPECT_EQ(GateFlags({Judged("g", "old", "scale")}, "a"), 0u) << "of another image of it";
  EXPECT_EQ(GateFlags({Judged("g", "a", "scale", 12), Judged("g", "a", "", 40)}, "a"), 0u);
  EXPECT_EQ(GateFlags({Judged("g", "a", "scale", 40), Judged("g", "a", "", 12)}, "a"), kBad);
  EXPECT_EQ(GateFlags({Judged("g", "a", "", 40), Judged("g", "a", "scale", 40)}, "a"), kBad);
}

// Three tiles with measurements of one source on record, and their images.
class MarkTilesTest : public testing::Test {
 protected:
  MarkTilesTest() {
    source_.ra_deg = 10;
    source_.dec_deg = 16;
    source_.flux_jy = 1;
    source_ = state::OwnSourceStore(sources_.database()).Add(source_);
    for (int i = 0; i < 3; ++i) Record(i, i == 1 ? quality::kManual.mask() : 0);
  }
  static std::string Group(int i) { return "2025-10-13T13:0" + std::to_string(i) + ":00"; }
  void Record(int i, QualityFlags flags) {
    state::ObservationRow tile;
    tile.group_id = Group(i);
    tile.mjd = 60961.5 + 0.003 * i;
    tile.frequency_hz = 1.4e9;
    tile.flags = flags;
    state::MeasurementRow row;
    row.source_id = source_.id;
    row.flux_jy = i == 2 ? 0.7 : 1.0;
    row.flux_error_jy = 0.01;
    row.local_rms_jy = 0.01;
    LightCurveRecorder(sources_.database()).Record(tile, {row});
  }
  void Image(int i, const std::string& checksum, const std::string& grade = "A") {
    state::ProductRow row;
    row.kind = "image";
    row.path = "/" + Group(i) + ".image.fits";
    row.group_id = Group(i);
    row.checksum = checksum;
    row.qa_grade = grade;
    products_.Save(row, 5);
  }
  void Judge(const std::vector<state::MosaicTileRow>& tiles, const std::string& name = "m") {
    state::MosaicRow row;
    row.name = name;
    row.grade = "B";
    state::MosaicStore(products_.database()).Close(row, tiles, 5);
  }
  std::vector<std::string> Mark() { return MarkTiles(products_, sources_.database(), {Group(0), Group(1), Group(2)}); }
  QualityFlags Flags(int i) { return state::LightCurveStore(sources_.database()).Tile(Group(i))->flags; }
  double Mean() {
    return state::LightCurveStore(sources_.database()).Statistics(source_.id, "forced", "tile")->mean_jy;
  }

  state::TemporaryDatabase products_place_, sources_place_;
  state::ProductStore products_{products_place_.path()};
  state::SourceStore sources_{sources_place_.path()};
  state::OwnSourceRow source_;
};

TEST_F(MarkTilesTest, WhatIsRefusedIsFlaggedAndNoPartOfStatistics) {
  for (int i = 0; i < 3; ++i) Image(i, "sum");
  EXPECT_THAT(Mark(), IsEmpty());
  EXPECT_LT(Mean(), 0.9);
  Judge({Judged(Group(0), "sum", ""), Judged(Group(1), "sum", ""), Judged(Group(2), "sum", "scale")});
  EXPECT_THAT(Mark(), ElementsAre(Group(2)));
  EXPECT_EQ(Flags(2), kBad);
  EXPECT_NEAR(Mean(), 1, 1e-12);
  EXPECT_EQ(Flags(1), quality::kManual.mask()) << "a person's stays";
  EXPECT_THAT(Mark(), IsEmpty()) << "nothing is left to do";
}

TEST_F(MarkTilesTest, RecordedAgainTheMarkComesBackAndAnotherImageIsWithoutIt) {
  for (int i = 0; i < 3; ++i) Image(i, "sum");
  Judge({Judged(Group(1), "sum", "scale"), Judged(Group(2), "sum", "scale")});
  Mark();
  Record(1, quality::kManual.mask());
  Record(2, 0);
  EXPECT_EQ(Flags(2), 0u);
  EXPECT_THAT(Mark(), ElementsAre(Group(1), Group(2)));
  EXPECT_EQ(Flags(1), quality::kManual.mask() | kBad);
  Image(1, "another");
  EXPECT_THAT(Mark(), ElementsAre(Group(1)));
  EXPECT_EQ(Flags(1), quality::kManual.mask());
  EXPECT_EQ(Flags(2), kBad);
}

TEST_F(MarkTilesTest, ATileOfGradeFStaysBadAndOneThatNoMosaicSawAsItIs) {
  Image(0, "sum", "F");
  Record(0, kBad);
  Record(2, kBad);  // of a table that somebody recorded by hand
  Judge({Judged(Group(0), "sum", "grade", 0)});
  EXPECT_THAT(Mark(), IsEmpty());
  EXPECT_EQ(Flags(0), kBad);
  EXPECT_EQ(Flags(2), kBad);
}

}  // namespace
}  // namespace contimg::ops
