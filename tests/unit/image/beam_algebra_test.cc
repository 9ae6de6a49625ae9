#include "image/plane/beam_algebra.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "config/error.h"

namespace contimg::image {
namespace {

GaussianBeam Beam(double major, double minor, double degrees) {
  return {Angle::Arcsec(major).rad(), Angle::Arcsec(minor).rad(), Angle::Degrees(degrees).rad()};
}
double Area(const GaussianBeam& beam) { return beam.major_rad * beam.minor_rad; }
// The width in a direction, by projecting the axes: not by moments.
double WidthAlong(const GaussianBeam& beam, double angle) {
  return std::hypot(beam.major_rad * std::cos(angle - beam.angle_rad),
                    beam.minor_rad * std::sin(angle - beam.angle_rad));
}
// The least of `beam`'s widths over another's, over directions of projection.
double LeastRatio(const GaussianBeam& beam, const GaussianBeam& other) {
  double least = HUGE_VAL;
  for (int i = 0; i < 3600; ++i) {
    least = std::min(least, WidthAlong(beam, kPi * i / 3600) / WidthAlong(other, kPi * i / 3600));
  }
  return least;
}
void ExpectSame(const GaussianBeam& a, const GaussianBeam& b, double tolerance) {
  EXPECT_LT(BeamDifference(a, b), tolerance) << BeamWords(a) << " and " << BeamWords(b);
}

TEST(BeamAlgebra, MomentsAreThoseOfTheBeam) {
  for (const double angle : {0.0, 12.0, 45.0, 90.0, 135.0, 179.0}) {
    const GaussianBeam beam = Beam(40, 25, angle), back = BeamOf(MomentsOf(beam));
    EXPECT_NEAR(back.major_rad / beam.major_rad, 1, 1e-12);
    EXPECT_NEAR(back.minor_rad / beam.minor_rad, 1, 1e-12);
    EXPECT_NEAR(std::sin(2 * (back.angle_rad - beam.angle_rad)), 0, 1e-12);
    EXPECT_GE(back.angle_rad, 0);
    EXPECT_LT(back.angle_rad, kPi);
  }
  EXPECT_EQ(BeamOf(MomentsOf(Beam(30, 30, 77))).angle_rad >= 0, true);
}

TEST(BeamAlgebra, WidthsBetweenBeamsAddInSquares) {
  const GaussianBeam from = Beam(34.5, 16.4, 12), to = Beam(50, 38, 70);
  const auto between = BeamBetween(from, to);
  ASSERT_TRUE(between);
  const GaussianBeam difference = BeamOf(*between);
  for (int i = 0; i < 180; ++i) {
    const double angle = kPi * i / 180;
    EXPECT_NEAR(std::hypot(WidthAlong(from, angle), WidthAlong(difference, angle)) / WidthAlong(to, angle), 1, 1e-12);
  }
  EXPECT_FALSE(BeamBetween(to, from));
  EXPECT_FALSE(BeamBetween(from, Beam(60, 16, 12)));  // narrower across
  const auto along = BeamBetween(from, Beam(60, 16.4, 12));
  ASSERT_TRUE(along);
  EXPECT_NEAR(BeamOf(*along).minor_rad / from.minor_rad, 0, 1e-6);
  EXPECT_NEAR(BeamOf(*along).major_rad, Angle::Arcsec(std::sqrt(60 * 60 - 34.5 * 34.5)).rad(), 1e-12);
  const auto none = BeamBetween(from, Beam(34.5004, 16.3998, 12.001));  // as headers round
  ASSERT_TRUE(none);
  EXPECT_EQ(none->ee + none->nn, 0);
}

TEST(CommonBeam, IsTheOneThatHoldsTheOthers) {
  const GaussianBeam large = Beam(40, 30, 20);
  for (const auto& beams : {std::vector<GaussianBeam>{large},
                            {large, large, large},
                            {Beam(30, 30, 0), large, Beam(30, 12, 77), Beam(40, 20, 20)},
                            {Beam(1, 0.5, 3), large}}) {
    const GaussianBeam common = CommonBeam(beams);
    EXPECT_EQ(common.major_rad, large.major_rad);
    EXPECT_EQ(common.minor_rad, large.minor_rad);
    EXPECT_EQ(common.angle_rad, large.angle_rad);
  }
  EXPECT_EQ(CommonBeam({Beam(20, 20, 0), Beam(10, 10, 0), Beam(20, 20, 90)}).major_rad, Beam(20, 20, 0).major_rad);
}

TEST(CommonBeam, OfCrossedBeamsIsRound) {
  ExpectSame(CommonBeam({Beam(40, 20, 15), Beam(40, 20, 105)}), Beam(40, 40, 0), 1e-7);
  ExpectSame(CommonBeam({Beam(40, 20, 10), Beam(40, 20, 70), Beam(40, 20, 130)}), Beam(40, 40, 0), 1e-7);
}

// Of any beams: it holds each of them, and no beam of another shape that does is smaller.
TEST(CommonBeam, HoldsAllAndIsTheSmallest) {
  std::mt19937 random(3);
  std::uniform_real_distribution<double> unit(0, 1);
  for (int run = 0; run < 60; ++run) {
    std::vector<GaussianBeam> beams;
    const double spread = std::pow(10, -3 * unit(random));
    for (int i = 0; i < 2 + run % 7; ++i) {
      const double minor = 16 * (1 + spread * unit(random));
      beams.push_back(Beam(minor * (1 + (run % 3) * unit(random)), minor, 180 * spread * unit(random)));
    }
    const GaussianBeam common = CommonBeam(beams);
    for (const GaussianBeam& beam : beams) {
      EXPECT_GT(LeastRatio(common, beam), 1 - 1e-7);
      EXPECT_TRUE(BeamBetween(beam, common));
    }
    // Others: a shape near by or far away, made as large as it must be.
    for (int trial = 0; trial < 40; ++trial) {
      const double change = std::pow(10, -4 * unit(random));
      GaussianBeam other{common.major_rad * (1 + change * (unit(random) - 0.5)),
                         common.minor_rad * (1 + change * (unit(random) - 0.5)),
                         common.angle_rad + change * (unit(random) - 0.5)};
      double least = HUGE_VAL;
      for (const GaussianBeam& beam : beams) least = std::min(least, LeastRatio(other, beam));
      EXPECT_GT(Area(other) / (least * least), Area(common) * (1 - 1e-6)) << run;
    }
  }
}

TEST(ParseBeam, TakesThreeNumbers) {
  ExpectSame(ParseBeam("--beam", "40,20.5,30"), Beam(40, 20.5, 30), 1e-12);
  ExpectSame(ParseBeam("--beam", "40,20,-30"), Beam(40, 20, 150), 1e-12);
  EXPECT_EQ(BeamWords(ParseBeam("--beam", "40,20.5,30")), "40.0\" x 20.5\" at 30 degrees");
  for (const char* text : {"", "40", "40,20", "40,20,", "40,20,30,", "40,20,30,1", "20,40,0", "40,0,0", "40,-20,0",
                           "nan,20,0", "inf,20,0", "a,b,c", "40;20;30", "40 20 30", "40,20,30deg"}) {
    try {
      ParseBeam("--beam", text);
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
      EXPECT_THAT(error.what(), testing::HasSubstr("--beam"));
      EXPECT_THAT(error.what(), testing::HasSubstr("expected MAJOR,MINOR,ANGLE"));
    }
  }
}

}  // namespace
}  // namespace contimg::image
