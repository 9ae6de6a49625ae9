#include "mosaic/photometry/effective_frequency.h"

#include <gtest/gtest.h>

#include <cmath>

#include "config/telescope.h"

namespace contimg::mosaic {
namespace {

// The sums over channels that the formula stands for, of a dish at one angle.
struct Summed {
  double power = 0, frequency_hz = 0;
};
Summed OverTheBand(double sin_theta, double alpha) {
  constexpr int kChannels = 1000;
  double sum = 0, weighted = 0;
  for (int k = 0; k < kChannels; ++k) {
    const double hz = 1.4e9 + 187.5e6 * ((k + 0.5) / kChannels - 0.5);
    const double power = AiryPowerBeam(sin_theta, hz, kDsa110DishDiameterM);
    sum += power;
    weighted += power * std::pow(hz / 1.4e9, alpha);
  }
  return {sum / kChannels, 1.4e9 * std::pow(weighted / sum, 1 / alpha)};
}

TEST(EffectiveFrequency, IsThatOfTheSumOverTheBand) {
  for (const double degrees : {0.0, 0.5, 1.0, 1.5, 2.0, 2.5}) {
    for (const double alpha : {-1.5, -0.7, 0.5, 2.0}) {
      const Summed summed = OverTheBand(std::sin(degrees / 57.29577951), alpha);
      const double found = EffectiveFrequency(1.4e9, 187.5e6, summed.power, alpha);
      EXPECT_NEAR(std::pow(found / summed.frequency_hz, alpha), 1, 4e-4 * std::abs(alpha)) << degrees << " " << alpha;
    }
  }
  // Of a source as most are: 0.09 % at the middle of the beam, 0.4 % at a quarter of it.
  EXPECT_NEAR(std::pow(EffectiveFrequency(1.4e9, 187.5e6, 1, -0.7) / 1.4e9, -0.7), 1.0009, 5e-5);
  EXPECT_NEAR(std::pow(EffectiveFrequency(1.4e9, 187.5e6, 0.25, -0.7) / 1.4e9, -0.7), 1.0042, 1e-4);
}

TEST(EffectiveFrequency, OfNoBandIsTheMean) {
  EXPECT_EQ(EffectiveFrequency(1.4e9, 0, 0.3, -0.7), 1.4e9);
  for (const double power : {0.0, 1e-12, 1.0, 1.5}) EXPECT_GT(EffectiveFrequency(1.4e9, 187.5e6, power, -0.7), 1.3e9);
}

}  // namespace
}  // namespace contimg::mosaic
