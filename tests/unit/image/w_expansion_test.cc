#include "image/operator/w_expansion.h"

#include <gtest/gtest.h>

#include <cmath>
#include <complex>

#include "config/units.h"

namespace contimg::image {
namespace {

constexpr double kHalfRange = 6e-4;

WDistribution Exponential(double max_w) {
  WDistribution distribution;
  distribution.max_w = max_w;
  for (int bin = 0; bin < 256; ++bin) distribution.weight.push_back(std::exp(-bin / 20.0));
  return distribution;
}

WExpansion Expand(const WDistribution& distribution, double error) {
  WExpansion::Request request;
  request.rms_error = error;
  request.half_range = kHalfRange;
  request.min_w = -distribution.max_w;
  request.max_w = distribution.max_w;
  return WExpansion(distribution, request, GriddingKernel(ChooseKernel(1.5, error)));
}

// exp(2πiwt) rebuilt from the image-side factors of a series.
std::complex<double> Rebuild(const WExpansion& expansion, double w, double t) {
  const SampleTerms terms = expansion.Samples(0);
  std::complex<double> sum = 0;
  std::complex<double> factor = 1;
  for (std::size_t k = 0; k < expansion.n_terms(); ++k) {
    std::vector<double> rows(expansion.n_terms(), 0.0);
    rows[k] = 1;
    double g = 0;
    expansion.Combine(0, &t, 1, rows.data(), &g);
    sum += factor * g;
    factor *= std::complex<double>(0, w * terms.inverse_scale);
  }
  return sum;
}

TEST(WExpansion, SeriesReachesItsExpectedErrorWithFewTerms) {
  const WDistribution distribution = Exponential(100);
  std::size_t last = 0;
  for (const double error : {1e-2, 1e-3, 1e-4, 1e-5, 1e-6}) {
    const WExpansion expansion = Expand(distribution, error);
    ASSERT_FALSE(expansion.uses_planes());
    EXPECT_GE(expansion.n_terms(), last);
    last = expansion.n_terms();
    EXPECT_LE(expansion.expected_error(), error);
    double square = 0, weight = 0;
    for (int bin = 0; bin < 256; ++bin) {
      for (double t = -kHalfRange; t <= kHalfRange; t += kHalfRange / 10) {
        const double w = (bin % 2 == 0 ? 1 : -1) * 100 * (bin + 0.5) / 256;
        square += std::exp(-bin / 20.0) * std::norm(Rebuild(expansion, w, t) - std::polar(1.0, 2 * kPi * w * t));
        weight += std::exp(-bin / 20.0);
      }
    }
    EXPECT_LE(std::sqrt(square / weight), 1.3 * expansion.expected_error() + 1e-9);  // the ends of t weigh more here
  }
  EXPECT_LE(last, 5u);
}

TEST(WExpansion, NeedsOneTermWithoutW) { EXPECT_EQ(Expand(WDistribution{0, {1.0}}, 1e-6).n_terms(), 1u); }

TEST(WExpansion, TurnsToPlanesWhenWIsLarge) {
  const WExpansion expansion = Expand(Exponential(20000), 1e-5);
  EXPECT_TRUE(expansion.uses_planes());
  // Every w lies in the range of some group.
  for (double w = -20000; w <= 20000; w += 777) {
    bool found = false;
    for (std::size_t group = 0; group < expansion.n_groups(); ++group) {
      found = found || (expansion.WRange(group).min <= w && w <= expansion.WRange(group).max);
    }
    EXPECT_TRUE(found) << w;
  }
}

}  // namespace
}  // namespace contimg::image
