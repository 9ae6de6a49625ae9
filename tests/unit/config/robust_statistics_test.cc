#include "config/robust_statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace contimg {
namespace {

TEST(RobustStatistics, MedianIsTheMiddleOrTheUpperOfTwo) {
  EXPECT_EQ(Median(std::vector<double>{3, 1, 2}), 2);
  EXPECT_EQ(Median(std::vector<double>{4, 1, 3, 2}), 3);
  EXPECT_EQ(Median(std::vector<double>{}), 0);
  EXPECT_TRUE(std::isnan(Median(std::vector<double>{}, std::nan(""))));
}

TEST(RobustStatistics, MadOfANormalDistributionIsItsSigma) {
  std::mt19937_64 engine(7);
  std::normal_distribution<double> normal(5, 2);
  std::vector<double> values(100000);
  for (double& value : values) value = normal(engine);
  EXPECT_NEAR(kSigmaPerMad * TakeMad(values, 5.0), 2, 0.03);
}

}  // namespace
}  // namespace contimg
