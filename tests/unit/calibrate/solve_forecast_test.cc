#include "calibrate/solve_forecast.h"

#include <gtest/gtest.h>

#include <cmath>

#include "config/telescope.h"
#include "config/units.h"
#include "tests/observed_tile.h"

namespace contimg::calibrate {
namespace {

SkySource Source(double ra_deg, double dec_deg, double flux_jy) {
  SkySource source;
  source.name = "x";
  source.ra_rad = Angle::Degrees(ra_deg).rad();
  source.dec_rad = Angle::Degrees(dec_deg).rad();
  source.flux_jy = flux_jy;
  source.spectral_index = 0;
  return source;
}

// The beam at the centre of the drift, averaged over its 309.2376 s (15.041 arcsec a second): a static one would be 1.
double CentreBeam() {
  double sum = 0;
  constexpr int kSteps = 1000;
  for (int i = 0; i < kSteps; ++i) {
    const double turned_deg = ((i + 0.5) / kSteps - 0.5) * 309.2376 * 15.041 / 3600;
    const double distance = Angle::Degrees(turned_deg).rad() * std::cos(Angle::Degrees(16).rad());
    sum += AiryPowerBeam(std::sin(distance), 0.5 * (Tile().low_hz + Tile().high_hz), 4.65);
  }
  return sum / kSteps;
}

TEST(Forecast, ACalibratorAtTheCentreGivesTheRadiometersRatio) {
  // 6500 Jy / sqrt(2 · 244140.625 Hz · 309.2376 s) = 0.5290 Jy; 95 baselines of 10 Jy.
  EXPECT_NEAR(VisibilityNoiseJy(6500, 244140.625, 309.2376), 0.5290, 1e-4);
  const auto forecast = ForecastSolve(Tile(), {}, {Source(200, 16, 10)}, {});
  ASSERT_TRUE(forecast);
  EXPECT_EQ(forecast->model, "calibrator:x");
  EXPECT_NEAR(CentreBeam(), 0.956, 0.002);
  EXPECT_NEAR(forecast->bandpass_snr, 10 * CentreBeam() * std::sqrt(95) / 0.5290, 0.005 * 184);
  EXPECT_NEAR(forecast->gain_snr / forecast->bandpass_snr, std::sqrt(768), 0.1);
  EXPECT_NEAR(forecast->transit_s, 0, 1);
}

TEST(Forecast, TheBeamIsAveragedOverTheDrift) {
  const Settings settings;
  const double offset = 0.9;
  const double static_beam =
      AiryPowerBeam(std::sin(Angle::Degrees(offset).rad()), 0.5 * (Tile().low_hz + Tile().high_hz), 4.65);
  // North of the track the drift only adds distance; on the track it comes and goes.
  const double north = MeanBeam(Tile(), Source(200, 16 + offset, 1), settings.telescope);
  EXPECT_LT(north, static_beam);
  EXPECT_GT(north, 0.8 * static_beam);
  Settings tracking;
  tracking.telescope.beam = "tracking";
  EXPECT_NEAR(MeanBeam(Tile(), Source(200, 16 + offset, 1), tracking.telescope), static_beam, 0.01);
  tracking.telescope.beam = "none";
  EXPECT_EQ(MeanBeam(Tile(), Source(203, 16, 1), tracking.telescope), 1);
}

TEST(Forecast, AFieldCountsInQuadratureOnItsLongBaselines) {
  const auto field = ForecastSolve(Tile(), {Source(200, 16, 3), Source(200, 16.02, 4)}, {}, {});
  ASSERT_TRUE(field);
  EXPECT_EQ(field->model, "field");
  EXPECT_NEAR(field->signal_jy, 5 * CentreBeam(), 0.02);
  // A thousand wavelengths are 213 m: 64 % of these baselines.
  EXPECT_NEAR(LongerThan(Tile(), 213.4), 0.644, 0.01);
  const auto calibrator = ForecastSolve(Tile(), {}, {Source(200, 16, 5)}, {});
  EXPECT_NEAR(field->bandpass_snr / calibrator->bandpass_snr, std::sqrt(0.644), 0.02);
}

TEST(Forecast, ACalibratorMustDominate) {
  const auto calibrators = std::vector{Source(200, 16, 9)};
  auto forecast = ForecastSolve(Tile(), {Source(200, 16, 9), Source(200.1, 16, 2.8)}, calibrators, {});
  EXPECT_EQ(forecast->model, "calibrator:x");  // its own entry in the catalogue does not count against it
  forecast = ForecastSolve(Tile(), {Source(200, 16, 9), Source(200.1, 16, 4)}, calibrators, {});
  EXPECT_EQ(forecast->model, "field");
  forecast = ForecastSolve(Tile(), {}, {Source(206, 16, 100)}, {});
  EXPECT_FALSE(forecast);  // far outside the beam
}

TEST(Forecast, AnEmptySkyPromisesNothing) { EXPECT_FALSE(ForecastSolve(Tile(), {}, {}, {})); }

TEST(Forecast, TheSkyComesBackAfterASiderealDay) {
  const auto later = Drifted(Tile(), 86164.0905);
  EXPECT_NEAR(later.ra_deg, 200, 1e-4);
  EXPECT_NEAR(Drifted(Tile(), 3600).ra_deg, 200 + 15.0410686, 1e-5);
  EXPECT_NEAR(Drifted(Tile(), 3600 * 12).ra_deg, 20.4928, 1e-3);  // across 0
}

TEST(Forecast, CountsLongBaselines) {
  EXPECT_EQ(LongerThan(Tile(), 0), 1);
  EXPECT_EQ(LongerThan(Tile(), 5000), 0);
  EXPECT_NEAR(LongerThan(Tile(), 300), 0.5, 1e-12);
}

}  // namespace
}  // namespace contimg::calibrate
