#include "calibrate/sky_model.h"

#include <gtest/gtest.h>

#include <cmath>

#include "config/error.h"

namespace contimg::calibrate {
namespace {

TEST(FindFluxStandard, KnowsTheNamesPeopleUse) {
  for (const char* name : {"3C286", "3c 286", "3C_286", "J1331+3030", "1331+305", "J1331+305"}) {
    const FluxStandard* standard = FindFluxStandard(name);
    ASSERT_NE(standard, nullptr) << name;
    EXPECT_EQ(standard->name, "3C286");
  }
  EXPECT_EQ(FindFluxStandard("3C454.3"), nullptr);
  EXPECT_EQ(FindFluxStandard("3C28"), nullptr);
  EXPECT_EQ(FindFluxStandard(""), nullptr);
}

TEST(SourceOf, GivesThePublishedFluxAt1400MHz) {
  // Computed from the published coefficients (data/perley_butler_2017.csv, column s1400_jy).
  const std::pair<const char*, double> kExpected[] = {{"3C286", 15.0838}, {"3C48", 16.2554},     {"3C147", 22.1705},
                                                      {"3C138", 8.5640},  {"3C196", 14.4286},    {"3C295", 22.4993},
                                                      {"3C123", 48.3292}, {"VIRGO_A", 212.3103}, {"3C380", 13.1420}};
  for (const auto& [name, flux] : kExpected) {
    EXPECT_NEAR(SourceOf(*FindFluxStandard(name), 1.3e9, 1.5e9).FluxJy(1.4e9), flux, 1e-4 * flux) << name;
  }
}

TEST(SourceOf, MarksStandardsThatVaryOrAreResolved) {
  for (const char* name : {"3C48", "3C138", "3C147"}) {
    EXPECT_TRUE(SourceOf(*FindFluxStandard(name), 1.3e9, 1.5e9).variable) << name;
  }
  const SkySource steady = SourceOf(*FindFluxStandard("3C286"), 1.3e9, 1.5e9);
  EXPECT_FALSE(steady.variable || steady.extended);
  EXPECT_TRUE(SourceOf(*FindFluxStandard("CYGNUS_A"), 1.3e9, 1.5e9).extended);
}

TEST(SourceOf, RefusesABandOutsideTheValidRange) {
  EXPECT_THROW(SourceOf(*FindFluxStandard("FORNAX_A"), 1.3e9, 1.5e9), Error);
  EXPECT_THROW(SourceOf(*FindFluxStandard("J0444-2809"), 1.3e9, 2.1e9), Error);
}

TEST(SkySource, FollowsItsSpectralIndex) {
  SkySource source;
  source.flux_jy = 2;
  EXPECT_NEAR(source.FluxJy(2.8e9), 2 * std::pow(2.0, -0.7), 1e-12);
}

TEST(CheckModel, RefusesModelsWithoutFlux) {
  EXPECT_THROW(CheckModel({}), Error);
  EXPECT_THROW(CheckModel({SkySource{}}), Error);  // zero flux
  SkySource nan;
  nan.flux_jy = std::nan("");
  EXPECT_THROW(CheckModel({nan}), Error);
  SkySource good;
  good.flux_jy = 1;
  EXPECT_NO_THROW(CheckModel({good, SkySource{}}));
}

}  // namespace
}  // namespace contimg::calibrate
