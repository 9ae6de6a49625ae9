#include "image/response/primary_beam.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "config/error.h"
#include "config/telescope.h"
#include "config/time.h"
#include "image/plane/sky_coordinates.h"

namespace contimg::image {
namespace {

ImageGeometry FieldGeometry(std::size_t n, double degrees) {
  ImageGeometry geometry;
  geometry.nx = geometry.ny = n;
  geometry.cell_rad = Angle::Degrees(degrees / static_cast<double>(n)).rad();
  return geometry;
}

// A small drift scan: declination 16.1 deg, six integrations over five minutes.
VisibilityBlock Tile() {
  VisibilityBlock block;
  for (int t = 0; t < 6; ++t)
    block.time_mjd_s.push_back(UtcTime::FromIso8601("2026-01-25T22:26:05").mjd_s() + 51.5 * t);
  block.integration_s.assign(6, 12.9);
  for (int k = 0; k < 48; ++k) block.frequency_hz.push_back(1.311e9 + 3.9e6 * k);
  block.site.longitude_rad = kDsa110Centre.longitude_rad;
  block.site.latitude_rad = kDsa110Centre.latitude_rad;
  block.app_dec_rad = Angle::Degrees(16.1).rad();
  const UtcTime middle = UtcTime::FromMjdSeconds((block.time_mjd_s.front() + block.time_mjd_s.back()) / 2);
  const convert::SkyFrame frame(middle, {});
  block.phase_centre = frame.IcrsOfItrf(frame.ItrfOfMeridian(block.site.longitude_rad, block.app_dec_rad));
  block.pointing = {Pointing::Kind::kDrift, block.site.longitude_rad, block.app_dec_rad, {}, true, "the test"};
  block.antennas.diameters_m = {4.65};
  return block;
}

std::vector<DirectionCosines> Track(const VisibilityBlock& block, const char* mode) {
  TelescopeSettings telescope;
  telescope.beam = mode;
  return BeamTrack(block, convert::ChooseBeam(block, telescope, {}), {});
}

TEST(BeamTrack, DriftsWestwardsOverTheSkyAtTheSiderealRate) {
  const VisibilityBlock block = Tile();
  const auto track = Track(block, "drift");
  ASSERT_EQ(track.size(), 6U);
  // The meridian moves eastwards over the stars, 15.041" · cos δ per second (δ apparent).
  const double rate = (track[5].l - track[0].l) / (block.time_mjd_s[5] - block.time_mjd_s[0]);
  EXPECT_NEAR(rate, 7.292115e-5 * std::cos(block.app_dec_rad), 7e-9);  // aberration: 1e-4
  EXPECT_NEAR(track[0].l, -track[5].l, 1e-6);
}

TEST(BeamTrack, NeedsNoPointingWhenThePhaseCentreIsTheMeridian) {
  VisibilityBlock block = Tile();
  const auto with = Track(block, "drift");
  block.pointing = {};
  const auto without = Track(block, "drift");
  for (std::size_t t = 0; t < with.size(); ++t) {
    EXPECT_NEAR(with[t].l, without[t].l, 1e-9);
    EXPECT_NEAR(with[t].m, without[t].m, 1e-9);
  }
}

TEST(PrimaryBeamMap, EqualsTheDirectAverage) {
  const VisibilityBlock block = Tile();
  const ImageGeometry field = FieldGeometry(200, 4);
  std::vector<double> weights(6 * 48);
  for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = static_cast<double>((i * 37) % 11);
  const BeamModel model = BeamModel::Airy(4.65);
  BeamAverage average{BeamMode::kDrift, Track(block, "drift"), block.frequency_hz, {weights.data(), {6, 48}}};
  std::vector<float> image(200 * 200);
  PrimaryBeamMap(model, average, field, {image.data(), {200, 200}}, 2);
  for (const auto& [x, y] : {std::pair{100, 100}, {0, 0}, {199, 199}, {20, 133}, {101, 7}}) {
    const DirectionCosines at = PixelToDirection(field, x, y);
    const SkyDirection sky = DirectionOfCosines(block.phase_centre, at.l, at.m);
    double sum = 0, total = 0;
    for (std::size_t t = 0; t < 6; ++t) {
      const SkyDirection axis = DirectionOfCosines(block.phase_centre, average.track[t].l, average.track[t].m);
      const double sin_theta = std::sin(Separation(sky, axis).rad());
      for (std::size_t k = 0; k < 48; ++k) {
        sum += weights[t * 48 + k] * AiryPowerBeam(sin_theta, block.frequency_hz[k], 4.65);
        total += weights[t * 48 + k];
      }
    }
    // Interpolation of tables and lattice: each of fourth order with steps below 1/50 of the beam.
    EXPECT_NEAR(image[static_cast<std::size_t>(y) * 200 + static_cast<std::size_t>(x)], sum / total, 2e-5);
  }
}

TEST(PrimaryBeamMap, DriftBroadensTheBeamAlongRightAscension) {
  const VisibilityBlock block = Tile();
  const ImageGeometry field = FieldGeometry(100, 4);
  const std::vector<double> weights(6 * 48, 1.0);
  std::vector<float> drift(100 * 100), tracking(100 * 100), none(100 * 100);
  const auto make = [&](BeamMode mode, const char* word, std::vector<float>& image) {
    PrimaryBeamMap(BeamModel::Airy(4.65), {mode, Track(block, word), block.frequency_hz, {weights.data(), {6, 48}}},
                   field, {image.data(), {100, 100}}, 1);
  };
  make(BeamMode::kDrift, "drift", drift);
  make(BeamMode::kTracking, "tracking", tracking);
  make(BeamMode::kNone, "none", none);
  EXPECT_NEAR(tracking[50 * 100 + 50], 1, 1e-6);
  EXPECT_LT(drift[50 * 100 + 50], 0.97);
  EXPECT_GT(drift[50 * 100 + 5], tracking[50 * 100 + 5]);
  for (float value : none) EXPECT_EQ(value, 1);
}

TEST(BeamModel, AiryWidthIsTheKnownOne) {
  // FWHM of an Airy pattern: 1.0290 λ/D.
  EXPECT_NEAR(BeamModel::Airy(4.65).Fwhm(1.405e9), 1.0290 * kSpeedOfLight / 1.405e9 / 4.65, 5e-5);
  EXPECT_THROW(BeamModel::Airy(0), Error);
  EXPECT_THROW(BeamModel::FromFile("/nonexistent/beam.fits"), Error);
}

}  // namespace
}  // namespace contimg::image
