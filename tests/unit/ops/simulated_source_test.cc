#include "ops/cli/simulated_source.h"

#include <gtest/gtest.h>

#include "config/error.h"
#include "config/time.h"

namespace contimg::ops {
namespace {

std::string SourceRefusal(const std::string& text) {
  try {
    ParseSimulatedSource(text, -0.7);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage) << text;
    return error.what();
  }
  return "accepted";
}

TEST(SimulatedSource, IsASteadyPointUnlessMoreIsSaid) {
  const simulator::Source source = ParseSimulatedSource("10.5,-4:30:00,120 mJy", -0.7);
  EXPECT_DOUBLE_EQ(source.position.ra.deg(), 10.5);
  EXPECT_DOUBLE_EQ(source.position.dec.deg(), -4.5);
  EXPECT_DOUBLE_EQ(source.flux_jy, 0.12);
  EXPECT_EQ(source.spectral_index, -0.7);
  EXPECT_FALSE(source.variation.varies());
  EXPECT_FALSE(source.shape.extended());
}

TEST(SimulatedSource, VariesAsTold) {
  const simulator::Source wave = ParseSimulatedSource("1,2,3,-0.5,vary=sinusoid,amplitude=0.5,period=12h", 0);
  EXPECT_EQ(wave.spectral_index, -0.5);
  EXPECT_EQ(wave.variation.kind, simulator::VariationKind::kSinusoid);
  EXPECT_DOUBLE_EQ(wave.variation.period_d, 0.5);
  const simulator::Source flare =
      ParseSimulatedSource("1,2,3,vary=flare,factor=4,at=2025-10-13T12:00:00,decay=2,rise=0.5d", 0);
  EXPECT_DOUBLE_EQ(flare.variation.at_mjd, 60961.5);
  EXPECT_DOUBLE_EQ(flare.variation.factor, 4);
  EXPECT_DOUBLE_EQ(flare.variation.decay_d, 2);
  EXPECT_DOUBLE_EQ(flare.variation.rise_d, 0.5);
  const simulator::Source step = ParseSimulatedSource("1,2,3,vary=step,factor=0.5,at=60961.25", 0);
  EXPECT_EQ(step.variation.FactorAt(60961.3), 0.5);
  const simulator::Source transient = ParseSimulatedSource("1,2,3,from=60961,to=60962", 0);
  EXPECT_EQ(transient.variation.FactorAt(60960.9), 0);
  EXPECT_EQ(transient.variation.FactorAt(60961.5), 1);
}

TEST(SimulatedSource, HasASize) {
  const simulator::Source disc = ParseSimulatedSource("1,2,3,major=1 arcmin,minor=20,angle=30", 0);
  EXPECT_NEAR(disc.shape.major.arcsec(), 60, 1e-9);
  EXPECT_NEAR(disc.shape.minor.arcsec(), 20, 1e-9);
  EXPECT_NEAR(disc.shape.position_angle.deg(), 30, 1e-9);
  EXPECT_NEAR(ParseSimulatedSource("1,2,3,major=40", 0).shape.minor.arcsec(), 40, 1e-9);
}

TEST(SimulatedSource, RefusesWhatSaysNothing) {
  for (const auto& [text, part] : std::initializer_list<std::pair<const char*, const char*>>{
           {"1,2", "expected RA,DEC,JY"},
           {"1,2,3,vary=often", "'often'"},
           {"1,2,3,vary=sinusoid,amplitude=0.5", "expected period="},
           {"1,2,3,vary=sinusoid,amplitude=1.5,period=1", "expected amplitude 0 to 1"},
           {"1,2,3,vary=flare,factor=3,decay=1", "expected at="},
           {"1,2,3,vary=step,factor=-1,at=60000", "expected factor from 0 on"},
           {"1,2,3,vary=step,factor=2,at=60000,period=3", "period says nothing"},
           {"1,2,3,amplitude=0.3", "amplitude says nothing"},
           {"1,2,3,minor=20", "minor says nothing"},
           {"1,2,3,major=10,minor=20", "expected minor 0 to 10"},
           {"1,2,3,major=10,major=11", "major stands there twice"},
           {"1,2,3,from=60001,to=60000", "from before to"},
           {"1,2,3,at=", ""}}) {
    const std::string message = SourceRefusal(text);
    EXPECT_NE(message, "accepted") << text;
    EXPECT_NE(message.find(part), std::string::npos) << text << ": " << message;
  }
}

}  // namespace
}  // namespace contimg::ops
