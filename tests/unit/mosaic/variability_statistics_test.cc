#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <vector>

#include "mosaic/variability/statistics.h"

namespace contimg::mosaic {
namespace {

std::vector<FluxPoint> Constant(int n, double flux, double error, unsigned seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> noise(0, error);
  std::vector<FluxPoint> points;
  for (int i = 0; i < n; ++i) points.push_back({60000.0 + i, flux + noise(random), error});
  return points;
}

// The definitions, in two passes and with long doubles.
TEST(VariabilityStatistics, AreTheirDefinitions) {
  std::mt19937_64 random(3);
  std::uniform_real_distribution<double> unit(0.5, 2);
  std::vector<FluxPoint> points;
  for (int i = 0; i < 50; ++i) points.push_back({60000.0 + i, unit(random), 0.05 * unit(random)});
  const Variability found = VariabilityOf(points, 0);
  long double sum_w = 0, sum_wi = 0, sum_i = 0;
  for (const FluxPoint& p : points) {
    const long double w = 1 / (static_cast<long double>(p.error_jy) * p.error_jy);
    sum_w += w;
    sum_wi += w * p.flux_jy;
    sum_i += p.flux_jy;
  }
  const long double mean = sum_wi / sum_w, plain = sum_i / 50;
  long double chi2 = 0, squares = 0;
  for (const FluxPoint& p : points) {
    chi2 += (p.flux_jy - mean) * (p.flux_jy - mean) / (static_cast<long double>(p.error_jy) * p.error_jy);
    squares += (p.flux_jy - plain) * (p.flux_jy - plain);
  }
  EXPECT_EQ(found.n, 50);
  EXPECT_NEAR(found.mean_jy, static_cast<double>(mean), 1e-12);
  EXPECT_NEAR(found.eta, static_cast<double>(chi2 / 49), 1e-9 * found.eta);
  EXPECT_NEAR(found.v, static_cast<double>(std::sqrt(squares / 49) / plain), 1e-12);
  double vs = 0, m = 0;
  for (std::size_t k = 1; k < points.size(); ++k) {
    const std::vector<FluxPoint> before(points.begin(), points.begin() + static_cast<std::ptrdiff_t>(k));
    const MeanFlux so_far = MeanOf(before);
    const double step = (points[k].flux_jy - so_far.flux_jy) / std::hypot(points[k].error_jy, so_far.error_jy);
    if (std::abs(step) > std::abs(vs)) {
      vs = step;
      m = (points[k].flux_jy - so_far.flux_jy) / (0.5 * (points[k].flux_jy + so_far.flux_jy));
    }
  }
  EXPECT_NEAR(found.vs, vs, 1e-9 * std::abs(vs));
  EXPECT_NEAR(found.m, m, 1e-12);
  EXPECT_LT(found.p, 1e-12);
}

// A point at a time or all at once: the same bits, whatever was read back in between.
TEST(VariabilityStatistics, RunningSumsAreTheSameBits) {
  const auto points = Constant(1000, 0.3, 0.01, 5);
  VariabilitySums whole, running;
  for (const FluxPoint& p : points) whole.Add(p);
  for (const FluxPoint& p : points) {
    VariabilitySums next = running;
    next.Add(p);
    running = next;
  }
  EXPECT_EQ(whole, running);
}

// Ten thousand epochs of a bright source with small errors: the squares of the fluxes are 1e10 times what is left.
TEST(VariabilityStatistics, DoNotCancel) {
  std::vector<FluxPoint> points = Constant(10000, 1000, 0.01, 7);
  const Variability found = VariabilityOf(points, 0);
  EXPECT_NEAR(found.eta, 1, 0.05);
  EXPECT_NEAR(found.v, 1e-5, 3e-7);
}

TEST(VariabilityStatistics, ConstantsAreConstant) {
  int small = 0;
  double mean_eta = 0;
  for (unsigned seed = 0; seed < 1000; ++seed) {
    const Variability found = VariabilityOf(Constant(30, 0.01, 0.001, seed));
    mean_eta += found.eta / 1000;
    small += found.p < 0.05;
  }
  EXPECT_NEAR(mean_eta, 1, 0.03);
  EXPECT_NEAR(small, 50, 25);
}

// Bright sources with a calibration that is uncertain by 1 % vary without a floor, and do not with it.
TEST(VariabilityStatistics, AFloorKeepsBrightSourcesConstant) {
  auto points = Constant(100, 10, 0.1, 9);
  for (FluxPoint& p : points) p.error_jy = 0.001;
  EXPECT_GT(VariabilityOf(points, 0).eta, 1000);
  EXPECT_NEAR(VariabilityOf(points).eta, 1, 0.4);
}

// A thousand constants of 5 to 500 σ over thirty days and fifty that change by 8 σ rms: by η they stand apart, and no
// constant has a step of 5 σ.
TEST(VariabilityStatistics, VariablesStandApart) {
  std::mt19937_64 random(17);
  std::normal_distribution<double> normal(0, 1);
  std::vector<double> constants, variables;
  int far = 0;
  for (int source = 0; source < 1050; ++source) {
    const double error = 0.0003, flux = error * 5 * std::pow(100.0, (source % 1000) / 1000.0);
    const bool varies = source >= 1000;
    std::vector<FluxPoint> points;
    for (int day = 0; day < 30; ++day) {
      const double change =
          varies ? 8 * std::hypot(error, kSystematicFloor * flux) * std::sqrt(2.0) * std::sin(day / 3.0) : 0;
      points.push_back({60000.0 + day, flux * (1 + 0.005 * normal(random)) + change + error * normal(random), error});
    }
    const Variability figures = VariabilityOf(points);
    (varies ? variables : constants).push_back(figures.eta);
    far += !varies && std::abs(figures.vs) > 5 ? 1 : 0;
  }
  std::sort(constants.begin(), constants.end());
  const double limit = constants[995];
  EXPECT_LT(limit, 2.5);
  EXPECT_EQ(std::count_if(variables.begin(), variables.end(), [&](double eta) { return eta > limit; }), 50);
  EXPECT_EQ(far, 0);
}

// One epoch, two, none; a mean below zero; a source that is not there; errors of another size.
TEST(VariabilityStatistics, OfFewPointsAndOfNothing) {
  EXPECT_EQ(VariabilityOf(std::vector<FluxPoint>{}).n, 0);
  EXPECT_EQ(VariabilityOf(std::vector<FluxPoint>{}).p, 1);
  const Variability one = VariabilityOf({{1, 0.5, 0.1}});
  EXPECT_EQ(one.n, 1);
  EXPECT_EQ(one.mean_jy, 0.5);
  EXPECT_EQ(one.eta, 0);
  EXPECT_EQ(one.v, 0);
  EXPECT_EQ(one.p, 1);
  EXPECT_EQ(one.vs, 0);
  const Variability two = VariabilityOf({{1, 1, 0.1}, {2, 2, 0.1}}, 0);
  EXPECT_NEAR(two.eta, 50, 1e-9);
  EXPECT_NEAR(two.vs, 1 / std::hypot(0.1, 0.1), 1e-12);
  EXPECT_NEAR(two.m, 2.0 / 3, 1e-12);
  EXPECT_NEAR(two.p, std::erfc(5), 1e-9 * std::erfc(5));  // one degree of freedom: Q = erfc(√(χ²/2))
  const Variability negative = VariabilityOf({{1, -0.1, 0.1}, {2, -0.3, 0.1}, {3, 0.1, 0.1}});
  EXPECT_EQ(negative.v, 0);
  EXPECT_TRUE(std::isfinite(negative.eta) && std::isfinite(negative.m) && negative.p > 0);
  const Variability nothing = VariabilityOf({{1, 0, 0.1}, {2, 0, 0.1}});
  EXPECT_EQ(nothing.eta, 0);
  EXPECT_EQ(nothing.v, 0);
  EXPECT_EQ(nothing.p, 1);
  EXPECT_EQ(nothing.m, 0);
}

// Against closed forms: erfc for one degree, exponential for two, and sums of them.
TEST(VariabilityStatistics, ChanceOfChi2) {
  for (const double x : {1e-6, 0.1, 1.0, 3.0, 10.0, 50.0, 300.0}) {
    EXPECT_NEAR(ChanceOfChi2(x, 1) / std::erfc(std::sqrt(x / 2)), 1, 1e-9) << x;
    EXPECT_NEAR(ChanceOfChi2(x, 2) / std::exp(-x / 2), 1, 1e-10) << x;
    EXPECT_NEAR(ChanceOfChi2(x, 4) / (std::exp(-x / 2) * (1 + x / 2)), 1, 1e-10) << x;
  }
  // Many degrees: the median of χ² is near dof − 2/3.
  EXPECT_NEAR(ChanceOfChi2(10000 - 2.0 / 3, 10000), 0.5, 1e-4);
  EXPECT_EQ(ChanceOfChi2(0, 5), 1);
  EXPECT_GE(ChanceOfChi2(1e6, 5), 0);
}

TEST(VariabilityStatistics, MeanOfATransit) {
  const MeanFlux mean = MeanOf({{1, 1.0, 0.1}, {2, 1.3, 0.2}});
  EXPECT_NEAR(mean.flux_jy, (100 * 1.0 + 25 * 1.3) / 125, 1e-12);
  EXPECT_NEAR(mean.error_jy, 1 / std::sqrt(125), 1e-12);
  EXPECT_NEAR(mean.chi2, 0.09 / (0.01 + 0.04), 1e-12);
}

// Tiles of one passage agree on its time, also across RA 0; a passage later is a sidereal day later.
TEST(VariabilityStatistics, TransitsAreOneTime) {
  const double rate = 360.98564736629;
  for (const double ra : {0.0, 0.5, 180.0, 359.9}) {
    const double passage = TransitMjd(60000, 359.5, ra);
    EXPECT_LE(std::abs(passage - 60000), 0.5);
    for (int tile = -3; tile <= 3; ++tile) {
      const double dt = tile * 309.0 / 86400;
      const double lst = std::fmod(359.5 + dt * rate + 360, 360);
      const double other = TransitMjd(60000 + dt, lst, ra);
      const double apart = std::abs(other - passage);
      // At 12 h of hour angle the nearest passage changes.
      EXPECT_TRUE(apart < 1e-9 || std::abs(apart - 360 / rate) < 1e-9) << ra << " " << tile;
      EXPECT_TRUE(ra == 180.0 || apart < 1e-9) << ra << " " << tile;
    }
  }
}

}  // namespace
}  // namespace contimg::mosaic
