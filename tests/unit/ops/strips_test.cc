#include "ops/mosaics/strips.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "config/telescope.h"
#include "config/time.h"
#include "config/units.h"
#include "convert/frames.h"
#include "ops/lightcurves/meridian.h"
#include "ops/mosaicking/make_mosaic.h"
#include "ops/mosaics/mosaic_task.h"
#include "tests/unit/ops/work_folders.h"

namespace contimg::ops {
namespace {

using testing::IsEmpty;

constexpr double kFirstMjd = 61000, kTileLength = kTileS / kSecondsPerDay;

TEST(Strips, ATileIsOfTheNearestOrBeginsOne) {
  Strips strips({15.5, 16.1, 16.7, 54}, {});
  EXPECT_EQ(strips.Of("a", 16.3), 16.1);
  EXPECT_EQ(strips.Of("b", 16.45), 16.7) << "both are within reach";
  EXPECT_EQ(strips.Of("c", 53.6), 54);
  EXPECT_EQ(strips.Of("d", 53.44), 53.4);
  EXPECT_EQ(strips.Of("e", 53.3), 53.4) << "it has begun";
  EXPECT_EQ(strips.Nearest(53.8), 54);
  EXPECT_FALSE(strips.Nearest(0));
}

TEST(Strips, ADriftBetweenTwoTenthsIsOfOne) {
  Strips strips({}, {});
  EXPECT_EQ(strips.Of("a", 16.149), 16.1);
  EXPECT_EQ(strips.Of("b", 16.151), 16.1);
}

TEST(Strips, ATileStaysWhereMosaicsHaveIt) {
  Strips strips({16.1, 16.7}, {{"a", 16.1}, {"b", 16.1}, {"b", 16.7}});
  EXPECT_EQ(strips.Of("a", 16.5), 16.1) << "the other strip has come since";
  EXPECT_EQ(strips.Of("b", 16.5), 16.7) << "an earlier version put it into both";
  EXPECT_EQ(strips.Of("c", 16.5), 16.7);
}

// Drifts on record, as the daemon records them.
class StripsOnRecord : public testing::Test {
 protected:
  void AddDrift(double app_dec_deg, double from_mjd, double to_mjd) {
    for (double mjd = from_mjd; mjd < to_mjd; mjd += kTileLength) {
      const convert::SkyFrame frame(UtcTime::FromMjd(mjd + kTileLength / 2), {});
      const PhaseCentre at =
          frame.IcrsOfItrf(frame.ItrfOfMeridian(kDsa110Centre.longitude_rad, Angle::Degrees(app_dec_deg).rad()));
      state::ProductRow image;
      image.kind = "image";
      image.group_id = UtcTime::FromMjd(mjd).Iso8601();
      image.path = "/" + image.group_id + ".image.fits";
      image.start_mjd = mjd;
      image.end_mjd = mjd + kTileLength;
      image.ra_deg = WrapPositive(Angle::Radians(at.ra_rad)).deg();
      image.dec_deg = Angle::Radians(at.dec_rad).deg();
      products_.Save(image, 5);
    }
  }
  void Put(double strip_deg, const std::string& group, double mjd) {
    state::MosaicRow row;
    row.name = "hour with " + group;
    row.strip_deg = strip_deg;
    row.start_mjd = mjd;
    row.end_mjd = mjd + 0.04;
    state::MosaicTileRow tile;
    tile.group_id = group;
    tile.used = true;
    state::MosaicStore(products_.database()).Close(row, {tile}, 5);
  }
  std::vector<DueMosaic> Due() {
    return DueMosaics(FactsAbout(products_, nullptr, kFirstMjd, kFirstMjd + 3, 1e10), Settings{}.mosaic);
  }
  std::set<double> StripsDue() {
    std::set<double> strips;
    for (const DueMosaic& due : Due()) strips.insert(due.window.strip_deg);
    return strips;
  }

  WorkFolders folders_;
  state::ProductStore products_{folders_.paths.Database(StateDatabase::kProducts)};
};

TEST_F(StripsOnRecord, ADayOfOneDriftIsOfOneStripThoughItsPhaseCentresWander) {
  Put(16.1, "long ago", kFirstMjd - 100);
  Put(16.6, "then", kFirstMjd - 100);
  AddDrift(16.3, kFirstMjd, kFirstMjd + 1);
  double south = 90, north = -90;
  const auto tiles = TilesOnRecord(products_, kFirstMjd, kFirstMjd + 2);
  for (const TileOnRecord& tile : tiles) {
    south = std::min(south, tile.dec_deg), north = std::max(north, tile.dec_deg);
    EXPECT_EQ(tile.strip_deg, 16.1) << tile.dec_deg;
    EXPECT_NEAR(ApparentDecDeg(tile.mjd, tile.ra_deg, tile.dec_deg), 16.3, 1e-6);
  }
  EXPECT_GT(north, 16.4) << "nearer to the other strip";
  EXPECT_GT(north - south, 0.25);
  EXPECT_EQ(StripsDue(), std::set<double>{16.1});
}

TEST_F(StripsOnRecord, TilesOfTwoThatAreNearAreInMosaicsOfOneEach) {
  AddDrift(16.1, kFirstMjd, kFirstMjd + 0.1);
  AddDrift(16.62, kFirstMjd + 1e-4, kFirstMjd + 0.1);
  ASSERT_EQ(StripsDue(), (std::set<double>{16.1, 16.6}));
  for (const DueMosaic& due : Due()) {
    const auto tiles = TilesOnRecord(products_, due.window.start_mjd, due.window.end_mjd);
    std::size_t ours = 0;
    for (const TileOnRecord& tile : tiles) {
      ours += std::abs(ApparentDecDeg(tile.mjd, tile.ra_deg, tile.dec_deg) - due.window.strip_deg) < 0.1 ? 1 : 0;
    }
    EXPECT_EQ(TilesOf(due.window, tiles).size(), ours);
    EXPECT_LT(ours, tiles.size());
  }
}

TEST_F(StripsOnRecord, AStripThatBeginsTakesNoTilesOfMosaicsOnRecord) {
  AddDrift(16.5, kFirstMjd, kFirstMjd + 1.5 * kTileLength);
  const auto before = TilesOnRecord(products_, kFirstMjd, kFirstMjd + 1);
  ASSERT_EQ(before.size(), 2u);
  Put(16.1, before[0].group, kFirstMjd);
  Put(16.7, "of another drift", kFirstMjd - 1);
  const auto tiles = TilesOnRecord(products_, kFirstMjd, kFirstMjd + 1);
  EXPECT_EQ(tiles[0].strip_deg, 16.1);
  EXPECT_EQ(tiles[1].strip_deg, 16.7);
}

TEST_F(StripsOnRecord, AWindowHasItsTilesThoughNoMosaicIsOnRecordYet) {
  AddDrift(16.149, kFirstMjd, kFirstMjd + 0.02);
  AddDrift(16.151, kFirstMjd + 0.02, kFirstMjd + 0.2);
  EXPECT_EQ(StripsDue(), std::set<double>{16.1});
  const DueMosaic last = Due().back();
  const auto alone = TilesOnRecord(products_, last.window.start_mjd, last.window.end_mjd);
  EXPECT_THAT(TilesOf(last.window, alone), IsEmpty()) << "they begin a strip by themselves";
  const auto tiles = TilesOnRecord(products_, last.window.start_mjd, last.window.end_mjd, {last.window.strip_deg});
  EXPECT_EQ(TilesOf(last.window, tiles).size(), tiles.size());
}

TEST_F(StripsOnRecord, ADeepCoAddIsOfTheOneNearToThatAskedFor) {
  AddDrift(16.1, kFirstMjd, kFirstMjd + 0.02);
  AddDrift(19.1, kFirstMjd + 0.1, kFirstMjd + 0.12);
  Put(16.1, "long ago", kFirstMjd - 100);
  DeepRequest request;
  request.lst_start_h = 0;
  request.lst_end_h = 23.9999;
  request.strip_deg = 16;
  const MosaicOrder order = OrderDeep(products_, request);
  EXPECT_EQ(order.window.strip_deg, 16.1);
  EXPECT_EQ(order.tiles.size(), 6u);
  for (const TileOnRecord& tile : order.tiles) EXPECT_LT(tile.mjd, kFirstMjd + 0.05);
  EXPECT_THAT(order.window.name, testing::EndsWith("_+16.1"));
  request.strip_deg.reset();
  try {
    OrderDeep(products_, request);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_THAT(error.message(), testing::HasSubstr("(+16.1 and +19.1): name one"));
  }
}

}  // namespace
}  // namespace contimg::ops
