#include "image/operator/gridding_kernel.h"

#include <gtest/gtest.h>

#include <cmath>

#include "config/units.h"

namespace contimg::image {
namespace {

TEST(GriddingKernel, PolynomialsFollowTheFunction) {
  for (const double accuracy : {1e-3, 1e-5, 1e-7}) {
    const GriddingKernel kernel(ChooseKernel(1.5, accuracy));
    double worst = 0;
    for (int step = 0; step < 400; ++step) {
      const double fraction = step / 400.0;
      for (int tap = 0; tap < kernel.support(); ++tap) {
        double value = 0;
        for (int power = 0; power <= kernel.degree(); ++power) {
          value = value * (2 * fraction - 1) +
                  kernel.coefficients()[static_cast<std::size_t>(power * kernel.lanes() + tap)];
        }
        worst = std::max(worst, std::fabs(value - kernel.Value(tap + fraction - 0.5 * kernel.support())));
      }
    }
    EXPECT_LE(worst, 0.3 * kernel.shape().rms_error) << kernel.support();
  }
}

// The aliasing of the polynomial kernel that is really used, computed as image/operator/kernel_coefficients.py defines
// it.
TEST(GriddingKernel, AliasingIsThatOfTheTable) {
  for (const double oversampling : {1.5, 2.0}) {
    for (const double accuracy : {1e-3, 1e-5, 1e-7}) {
      const GriddingKernel kernel(ChooseKernel(oversampling, accuracy));
      double sum = 0;
      constexpr int kSteps = 200;
      for (int step = 0; step < kSteps; ++step) {
        const double x = 0.5 / oversampling * (step + 0.5) / kSteps;
        for (int alias = 1; alias <= 4; ++alias) {
          for (const double sign : {-1.0, 1.0}) {
            sum += std::pow(kernel.Transform(x + sign * alias) / kernel.Transform(x), 2);
          }
        }
      }
      EXPECT_NEAR(std::sqrt(2 * sum / kSteps) / kernel.shape().rms_error, 1, 0.05) << kernel.support();
      EXPECT_LE(kernel.shape().rms_error, accuracy);
    }
  }
}

TEST(GriddingKernel, ChoosesTheNarrowestThatSuffices) {
  EXPECT_EQ(ChooseKernel(1.5, 1e-5).support, 7);
  EXPECT_LT(ChooseKernel(1.5, 1e-3).support, 7);
  EXPECT_LT(ChooseKernel(2.0, 1e-5).support, 7);
}

}  // namespace
}  // namespace contimg::image
