#include "tests/simulator/noise.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace contimg::simulator {
namespace {

TEST(NormalPairs, FollowsPhilox) {
  // Known answers of Philox 2×32-10 from the Random123 distribution: counter, key → words.
  struct Known {
    std::uint32_t counter0, counter1, key, word0, word1;
  };
  for (const Known& known :
       {Known{0, 0, 0, 0xff1dae59, 0x6cd10df2}, Known{0xffffffff, 0xffffffff, 0xffffffff, 0x2c3f628b, 0xab4fd7ad},
        Known{0x243f6a88, 0x85a308d3, 0x13198a2e, 0xdd7ce038, 0xf62a4c12}}) {
    double re[8], im[8];
    NormalPairs(known.key, (std::uint64_t{known.counter1} << 32) | known.counter0, 1, re, im);
    const double radius = std::sqrt(-2 * std::log((known.word0 + 0.5) / 4294967296.0));
    const double angle = 6.283185307179586 * (known.word1 + 0.5) / 4294967296.0;
    EXPECT_NEAR(re[0], radius * std::cos(angle), 1e-12);
    EXPECT_NEAR(im[0], radius * std::sin(angle), 1e-12);
  }
}

TEST(NormalPairs, DependsOnTheCounterAlone) {
  std::vector<double> re(64), im(64), re1(8), im1(8);
  NormalPairs(5, 1000, 64, re.data(), im.data());
  for (std::size_t i = 0; i < 64; ++i) {
    NormalPairs(5, 1000 + i, 1, re1.data(), im1.data());
    EXPECT_EQ(re[i], re1[0]);
    EXPECT_EQ(im[i], im1[0]);
  }
}

TEST(NormalPairs, HasTheMomentsOfTwoIndependentNormals) {
  constexpr std::size_t kCount = 1 << 20;
  std::vector<double> re(kCount), im(kCount);
  NormalPairs(77, 0, kCount, re.data(), im.data());
  double mean = 0, square = 0, fourth = 0, cross = 0, neighbour = 0;
  for (std::size_t i = 0; i < kCount; ++i) {
    mean += re[i] + im[i];
    square += re[i] * re[i] + im[i] * im[i];
    fourth += std::pow(re[i], 4) + std::pow(im[i], 4);
    cross += re[i] * im[i];
    if (i > 0) neighbour += re[i] * re[i - 1];
  }
  // Five standard errors of each: var(x)=1, var(x²)=2, var(x⁴)=96.
  const double n = 2.0 * kCount;
  EXPECT_NEAR(mean / n, 0, 5 / std::sqrt(n));
  EXPECT_NEAR(square / n, 1, 5 * std::sqrt(2 / n));
  EXPECT_NEAR(fourth / n, 3, 5 * std::sqrt(96 / n));
  EXPECT_NEAR(cross / kCount, 0, 5 / std::sqrt(kCount));
  EXPECT_NEAR(neighbour / kCount, 0, 5 / std::sqrt(kCount));
}

TEST(MixSeed, TellsPartsAndTheirOrderApart) {
  EXPECT_NE(MixSeed({1, 2}), MixSeed({2, 1}));
  EXPECT_NE(MixSeed({1}), MixSeed({1, 0}));
  EXPECT_EQ(MixSeed({1, 2}), MixSeed({1, 2}));
}

}  // namespace
}  // namespace contimg::simulator
