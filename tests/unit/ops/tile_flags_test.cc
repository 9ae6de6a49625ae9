#include "ops/worker/tile_flags.h"

#include <gtest/gtest.h>

#include "config/units.h"

namespace contimg::ops {
namespace {

// A whole tile at night, calibrated, of grade A.
class TileFlags : public testing::Test {
 protected:
  TileFlags() {
    job_.inputs = {"a", "b"};
    job_.expected_subbands = 2;
    job_.settings.image.gate_flagged = 0.5;
    report_.quality = {{"quality", {{"grade", "A"}}}};
    StageReport flag;
    flag.name = "flag";
    flag.figures = {{"flagged_fraction_living", 0.4}};
    report_.stages = {flag};
  }
  QualityFlags Flags() const { return FlagsOfTile(job_, report_, state_, sight_); }

  Job job_;
  JobReport report_;
  DataState state_ = DataState::kCorrected;
  TileSight sight_{UtcTime::FromMjd(61005.3), {Angle::Degrees(60).rad(), Angle::Degrees(16).rad()}};
};

TEST_F(TileFlags, AGoodTileHasNone) { EXPECT_EQ(Flags(), 0u); }

TEST_F(TileFlags, EachHasItsReason) {
  report_.quality = {{"quality", {{"grade", "F"}}}};
  EXPECT_EQ(Flags(), quality::kBadTile.mask());
  report_.quality = {};
  EXPECT_EQ(Flags(), 0u);
  job_.inputs.pop_back();
  EXPECT_EQ(Flags(), quality::kPartialTile.mask());
  job_.expected_subbands = 1;
  state_ = DataState::kRaw;
  EXPECT_EQ(Flags(), quality::kUncalibrated.mask());
  state_ = DataState::kCorrected;
  report_.stages[0].figures["flagged_fraction_living"] = 0.6;
  EXPECT_EQ(Flags(), quality::kInterference.mask());
  job_.settings.image.gate_flagged = 0;  // no gate
  EXPECT_EQ(Flags(), 0u);
}

TEST_F(TileFlags, BorrowedIsNoTileThatWasSolvedItself) {
  job_.tile_flags = quality::kCalibrationBorrowed.mask();
  EXPECT_EQ(Flags(), quality::kCalibrationBorrowed.mask());
  JobCalibration solve;
  report_.calibration = {solve};
  EXPECT_EQ(Flags(), quality::kCalibrationBorrowed.mask());
  report_.calibration[0].accepted = true;
  EXPECT_EQ(Flags(), 0u);
}

// On MJD 60676.8 the Sun stood 28.9° above the DSA-110 and 2.1° from 280 −23, on 61005.3 below it (astropy).
TEST_F(TileFlags, SunOrMoonNearTheTileAndAboveTheHorizon) {
  const auto at = [&](double mjd, double ra_deg, double dec_deg) {
    sight_.middle = UtcTime::FromMjd(mjd);
    sight_.centre = {Angle::Degrees(ra_deg).rad(), Angle::Degrees(dec_deg).rad()};
    return Flags();
  };
  EXPECT_EQ(at(60676.8, 280, -23), quality::kSunOrMoon.mask());
  EXPECT_EQ(at(60676.8, 280, -4), quality::kSunOrMoon.mask());  // 19.1°
  EXPECT_EQ(at(60676.8, 280, -1), 0u);                          // 22.1°
  EXPECT_EQ(at(61005.3, 235, -20), 0u) << "near, and below the horizon";
  // The Moon at 18.8 +11.6, 17.3° up, the Sun far below.
  EXPECT_EQ(at(61065.25, 18.8, 15.6), quality::kSunOrMoon.mask());
  EXPECT_EQ(at(61065.25, 18.8, 17.6), 0u);
}

}  // namespace
}  // namespace contimg::ops
