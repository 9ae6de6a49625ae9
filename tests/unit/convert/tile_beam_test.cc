#include "convert/tile_beam.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/error.h"
#include "config/units.h"

namespace contimg::convert {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

VisibilityBlock Block(const Pointing& pointing, std::vector<double> diameters) {
  VisibilityBlock block;
  block.time_mjd_s = {60000.0 * 86400, 60000.0 * 86400 + 300};
  block.phase_centre = {1.0, 0.5};
  block.pointing = pointing;
  block.antennas.diameters_m = std::move(diameters);
  return block;
}
Pointing Tracked(double ra, double dec) {
  Pointing p;
  p.kind = Pointing::Kind::kTracking;
  p.direction = {ra, dec};
  p.source = "POINTING.DIRECTION";
  return p;
}
Pointing AtRest() { return {Pointing::Kind::kDrift, -2.06, 0.28, {}, true, "the record CONTIMG"}; }
Pointing Unknown() {
  Pointing p;
  p.source = "POINTING is empty";
  return p;
}
TelescopeSettings Set(const char* word, double dish = 0) {
  TelescopeSettings settings;
  settings.beam = word;
  settings.dish_diameter_m = dish;
  return settings;
}

TEST(ChooseBeam, FollowsTheDataByDefault) {
  EXPECT_EQ(TelescopeSettings{}.beam, "auto");
  const TileBeam drift = ChooseBeam(Block(AtRest(), {4.65, 4.65}), {}, {});
  EXPECT_EQ(drift.mode, BeamMode::kDrift);
  EXPECT_EQ(drift.pointing.app_dec_rad, 0.28);
  EXPECT_EQ(drift.pointing.meridian_rad, -2.06);
  EXPECT_EQ(drift.dish_diameter_m, 4.65);
  EXPECT_EQ(drift.warning, "");
  const TileBeam tracking = ChooseBeam(Block(Tracked(1.01, 0.5), {25}), {}, {});
  EXPECT_EQ(tracking.mode, BeamMode::kTracking);
  EXPECT_EQ(tracking.pointing.direction.ra_rad, 1.01);  // not the phase centre
  EXPECT_EQ(tracking.warning, "");
  const TileBeam none = ChooseBeam(Block(Unknown(), {25}), {}, {});
  EXPECT_EQ(none.mode, BeamMode::kNone);
  EXPECT_THAT(none.warning, AllOf(HasSubstr("POINTING is empty"), HasSubstr("telescope.beam")));
}

TEST(ChooseBeam, DoesWhatIsAskedAndSaysWhenTheDataSayTheContrary) {
  const TileBeam none = ChooseBeam(Block(AtRest(), {}), Set("none"), {});
  EXPECT_EQ(none.mode, BeamMode::kNone);
  EXPECT_EQ(none.warning, "");
  const TileBeam same = ChooseBeam(Block(Tracked(1.01, 0.5), {25}), Set("tracking"), {});
  EXPECT_EQ(same.pointing.direction.ra_rad, 1.01);
  EXPECT_EQ(same.warning, "");
  const TileBeam assumed = ChooseBeam(Block(Unknown(), {25}), Set("tracking"), {});
  EXPECT_EQ(assumed.pointing.direction.ra_rad, 1.0);
  EXPECT_EQ(assumed.warning, "");
  const TileBeam followed = ChooseBeam(Block(AtRest(), {4.65}), Set("tracking"), {});
  EXPECT_EQ(followed.mode, BeamMode::kTracking);
  EXPECT_EQ(followed.pointing.direction.ra_rad, 1.0);
  EXPECT_THAT(followed.warning, AllOf(HasSubstr("contradicts"), HasSubstr("the record CONTIMG")));
  // Asked to stand still: where the dishes pointed at the middle.
  const VisibilityBlock tracked = Block(Tracked(1.01, 0.52), {25});
  const TileBeam stood = ChooseBeam(tracked, Set("drift"), {});
  EXPECT_EQ(stood.mode, BeamMode::kDrift);
  EXPECT_THAT(stood.warning, HasSubstr("contradicts"));
  const SkyFrame middle(UtcTime::FromMjdSeconds(60000.0 * 86400 + 150), {});
  const PhaseCentre at = middle.IcrsOfItrf(BeamAxis(stood, middle));
  EXPECT_NEAR(at.ra_rad, 1.01, 1e-9);
  EXPECT_NEAR(at.dec_rad, 0.52, 1e-9);
  try {
    ChooseBeam(Block(AtRest(), {4.65}), Set("drifting"), {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
  }
}

TEST(ChooseBeam, TakesTheDishesOfTheAntennasThatHaveBaselines) {
  VisibilityBlock block = Block(Tracked(1, 0.5), {7, 12, 12, 0, 100});
  block.baselines = {{0, 1}, {1, 2}, {2, 3}};
  const TileBeam beam = ChooseBeam(block, {}, {});
  EXPECT_EQ(beam.dish_diameter_m, 12);
  EXPECT_THAT(beam.warning, AllOf(HasSubstr("from 7 to 12 m"), HasSubstr("telescope.dish_diameter_m")));
  EXPECT_EQ(ChooseBeam(block, Set("auto", 9), {}).dish_diameter_m, 9);
  EXPECT_EQ(ChooseBeam(block, Set("auto", 9), {}).warning, "");
  block.antennas.diameters_m = {0, 0, 0, 0, 0};
  const TileBeam none = ChooseBeam(block, {}, {});
  EXPECT_EQ(none.mode, BeamMode::kNone);
  EXPECT_THAT(none.warning, HasSubstr("no dish diameter"));
  try {
    ChooseBeam(block, Set("tracking"), {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);  // the beam that is asked for needs a setting more
  }
  EXPECT_EQ(ChooseBeam(block, Set("tracking"), {}, true).mode, BeamMode::kTracking);  // a measured pattern
}

TEST(CheckResponseAtCentre, NamesBothNumbersThePlaceAndTheCure) {
  const TileBeam beam = ChooseBeam(Block(AtRest(), {4.65}), {}, {});
  EXPECT_NO_THROW(CheckResponseAtCentre(beam, 0.2, 0.2, 0.2, "image", "X"));
  try {
    CheckResponseAtCentre(beam, 0.0012, 1, 0.2, "image", "X");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
    EXPECT_THAT(std::string(error.what()), AllOf(HasSubstr("0.0012"), HasSubstr("0.2"), HasSubstr("+16.0428 deg"),
                                                 HasSubstr("the record CONTIMG"), HasSubstr("telescope.beam")));
  }
  EXPECT_THROW(CheckResponseAtCentre(beam, 1, 0.1, 0.2, "image", "X"), Error);
}

}  // namespace
}  // namespace contimg::convert
