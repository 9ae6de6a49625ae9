#include "config/units.h"

#include <gtest/gtest.h>

namespace contimg {
namespace {

TEST(UnitFor, ChoosesByTheSize) {
  EXPECT_STREQ(UnitFor(Angle::Arcsec(30)).name, "arcsec");
  EXPECT_STREQ(UnitFor(Angle::Arcsec(0.4)).name, "mas");
  EXPECT_NEAR(UnitFor(Angle::Arcsec(0.4)).Of(Angle::Arcsec(0.8)), 800, 1e-9);
  EXPECT_STREQ(UnitFor(Angle::Arcsec(4e-5)).name, "uas");
  EXPECT_NEAR(UnitFor(Angle::Arcsec(4e-5)).Of(Angle::Arcsec(4e-5)), 40, 1e-9);
}

}  // namespace
}  // namespace contimg
