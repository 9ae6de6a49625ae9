#include "image/response/smearing.h"

#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <vector>

#include "config/units.h"

namespace contimg::image {
namespace {

// One visibility of a point source, summed over an integration and a channel with fringes stopped at the centre.
double DirectFactor(const std::array<double, 3>& b, const DirectionCosines& at, const DirectionCosines& centre,
                    double frequency, double width, double seconds, double dec) {
  constexpr int kSteps = 60;
  std::complex<double> sum = 0;
  const double omega = 7.292115e-5;
  for (int i = 0; i < kSteps; ++i) {
    const double t = ((i + 0.5) / kSteps - 0.5) * seconds;
    // The baseline turned about the pole by ω t (Rodrigues), axes east, north, outwards.
    const std::array<double, 3> p{0, std::cos(dec), std::sin(dec)};
    const double c = std::cos(omega * t), s = std::sin(omega * t), dot = p[0] * b[0] + p[1] * b[1] + p[2] * b[2];
    const std::array<double, 3> cross{p[1] * b[2] - p[2] * b[1], p[2] * b[0] - p[0] * b[2], p[0] * b[1] - p[1] * b[0]};
    double delay = 0;
    const std::array<double, 3> ds{at.l - centre.l, at.m - centre.m, at.n_minus_1 - centre.n_minus_1};
    for (std::size_t k = 0; k < 3; ++k)
      delay += (b[k] * c + cross[k] * s + p[k] * dot * (1 - c)) * ds[k] / kSpeedOfLight;
    for (int j = 0; j < kSteps; ++j) {
      const double nu = frequency + ((j + 0.5) / kSteps - 0.5) * width;
      sum += std::polar(1.0, 2 * kPi * nu * delay);
    }
  }
  return std::abs(sum) / (kSteps * kSteps);
}

TEST(SmearingMap, EqualsDirectSummationOverIntegrationAndChannel) {
  const std::vector<double> uvw = {1768, 300, 200, -900, 2100, -500, 40, -60, 10};
  const std::vector<double> weights = {1.0, 0.5, 2.0};
  const double dec = 0.28;
  SmearingInput input;
  input.uvw_m = {uvw.data(), {1, 3, 3}};
  input.weights = {weights.data(), {1, 3}};
  input.integration_s = {12.885};
  input.centre = {{0.004, 0.0, -8e-6}};
  input.phase_centre_dec_rad = dec;
  input.first_frequency_hz = input.last_frequency_hz = 1.4e9;
  input.channel_width_hz = 244140.625;
  ImageGeometry field;
  field.nx = field.ny = 160;
  field.cell_rad = Angle::Degrees(4.0 / 160).rad();
  std::vector<float> image(160 * 160);
  SmearingMap(input, field, {image.data(), {160, 160}}, 2);
  for (const auto& [x, y] : {std::pair{0, 0}, {80, 80}, {159, 20}, {33, 150}, {5, 80}}) {
    const DirectionCosines at = PixelToDirection(field, x, y);
    double sum = 0, total = 0;
    for (std::size_t b = 0; b < 3; ++b) {
      const std::array<double, 3> baseline{uvw[3 * b], uvw[3 * b + 1], uvw[3 * b + 2]};
      sum += weights[b] * DirectFactor(baseline, at, input.centre[0], 1.4e9, 244140.625, 12.885, dec);
      total += weights[b];
    }
    // The direct sum's 60 steps err by (π·0.3/60)²/24 < 1e-5; the lattice of 16 nodes interpolates a loss of some per
    // cent to better than a hundredth of itself.
    EXPECT_NEAR(image[static_cast<std::size_t>(y) * 160 + static_cast<std::size_t>(x)], sum / total, 1e-4)
        << x << ' ' << y;
  }
}

// Whole vectors of baselines, the rest of one, and some so long that their series does not serve.
TEST(SmearingMap, OfManyBaselinesIsTheMeanOfEach) {
  constexpr std::size_t kBaselines = 43, kSize = 32;
  std::vector<double> uvw, weights;
  for (std::size_t b = 0; b < kBaselines; ++b) {
    const double length = b % 11 == 5 ? 90000 : 40.0 * static_cast<double>(b);
    uvw.insert(uvw.end(), {length, 0.7 * length - 300, 0.2 * length});
    weights.push_back(0.5 + static_cast<double>(b % 7));
  }
  const std::vector<double> integration = {12.885};
  ImageGeometry field;
  field.nx = field.ny = kSize;
  field.cell_rad = Angle::Degrees(4.0 / kSize).rad();
  const auto map = [&](std::size_t first, std::size_t count) {
    SmearingInput input;
    input.uvw_m = {uvw.data() + 3 * first, {1, count, 3}};
    input.weights = {weights.data() + first, {1, count}};
    input.integration_s = integration;
    input.centre = {{0.004, 0.0, -8e-6}};
    input.phase_centre_dec_rad = 0.28;
    input.first_frequency_hz = 1.3e9;
    input.last_frequency_hz = 1.5e9;
    input.channel_width_hz = 244140.625;
    std::vector<float> image(kSize * kSize);
    SmearingMap(input, field, {image.data(), {kSize, kSize}}, 2);
    return image;
  };
  std::vector<double> mean(kSize * kSize);
  double total = 0;
  for (std::size_t b = 0; b < kBaselines; ++b) {
    const std::vector<float> one = map(b, 1);
    for (std::size_t i = 0; i < mean.size(); ++i) mean[i] += weights[b] * one[i];
    total += weights[b];
  }
  const std::vector<float> all = map(0, kBaselines);
  for (std::size_t i = 0; i < mean.size(); ++i) ASSERT_NEAR(all[i], mean[i] / total, 2e-7) << i;
}

TEST(SmearingMap, IsOneWithoutWeights) {
  const std::vector<double> uvw(3, 100.0), weights(1, 0.0);
  SmearingInput input;
  input.uvw_m = {uvw.data(), {1, 1, 3}};
  input.weights = {weights.data(), {1, 1}};
  input.integration_s = {1};
  input.centre = {{}};
  ImageGeometry field;
  field.nx = field.ny = 16;
  field.cell_rad = 1e-4;
  std::vector<float> image(256);
  SmearingMap(input, field, {image.data(), {16, 16}}, 1);
  for (float value : image) EXPECT_EQ(value, 1);
}

}  // namespace
}  // namespace contimg::image
