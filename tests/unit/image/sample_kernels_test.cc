#include "image/operator/sample_kernels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace contimg::image {
namespace {

constexpr std::size_t kTaps = FrequencyNodes::kMaxTaps;

struct Row {
  explicit Row(std::size_t n, std::size_t pols) : vis(n * pols), flag(n * pols), weight(n * pols) {
    std::mt19937 random(7);
    std::uniform_real_distribution<float> uniform(-1, 1);
    for (auto& v : vis) v = {uniform(random), uniform(random)};
    for (auto& f : flag) f = uniform(random) > 0.7f ? 1 : 0;
    for (auto& w : weight) w = uniform(random) + 0.8f;  // some are negative
    vis[0] = {std::numeric_limits<float>::quiet_NaN(), 0};
    vis[pols * 3 + pols - 1] = {0, std::numeric_limits<float>::infinity()};
    flag[0] = flag[pols - 1] = 0;
    weight[0] = weight[pols - 1] = 1;
    weight[pols * 5] = std::numeric_limits<float>::quiet_NaN();
    weight[pols * 6] = std::numeric_limits<float>::infinity();
  }
  RowSamples View(std::size_t n) const { return {vis.data(), flag.data(), weight.data(), n}; }
  std::vector<std::complex<float>> vis;
  std::vector<std::uint8_t> flag;
  std::vector<float> weight;
};

TEST(FormStokesI, AveragesGoodPairsAndDropsTheRest) {
  for (const std::size_t pols : {2u, 4u}) {
    for (const bool single : {false, true}) {
      constexpr std::size_t kN = 77;
      const Row row(kN, pols);
      const HandSelection hands{pols, 0, pols - 1, single};
      std::vector<float> re(kN), im(kN), weight(kN);
      EXPECT_TRUE(FormStokesI(row.View(kN), hands, re.data(), im.data(), weight.data()));
      for (std::size_t k = 0; k < kN; ++k) {
        const std::size_t a = k * pols;
        const std::size_t b = k * pols + pols - 1;
        const auto good = [&](std::size_t i) {
          return row.flag[i] == 0 && row.weight[i] > 0 && std::isfinite(row.weight[i]) &&
                 std::isfinite(row.vis[i].real()) && std::isfinite(row.vis[i].imag());
        };
        std::complex<float> expected = 0;
        float w = 0;
        if (good(a) && good(b)) {
          expected = 0.5f * (row.vis[a] + row.vis[b]);
          w = 4 / (1 / row.weight[a] + 1 / row.weight[b]);
        } else if (single && (good(a) || good(b))) {
          expected = row.vis[good(a) ? a : b];
          w = row.weight[good(a) ? a : b];
        }
        ASSERT_FLOAT_EQ(re[k], expected.real()) << k;
        ASSERT_FLOAT_EQ(im[k], expected.imag()) << k;
        ASSERT_FLOAT_EQ(weight[k], w) << k;
      }
    }
  }
}

TEST(FormStokesI, WeightsAloneNeedNoVisibilities) {
  constexpr std::size_t kN = 40;
  Row row(kN, 2);
  for (auto& v : row.vis) v = 1;
  const HandSelection hands{2, 0, 1, false};
  std::vector<float> re(kN), im(kN), full(kN), alone(kN);
  EXPECT_FALSE(FormStokesI(row.View(kN), hands, re.data(), im.data(), full.data()));
  FormStokesI(row.View(kN), hands, nullptr, nullptr, alone.data());
  EXPECT_EQ(full, alone);
}

// Compression, its Gram matrix and expansion against their definitions, for sets of few nodes, many and channels.
TEST(CompressRow, FollowsTheDefinitionsOfNodesGramMatrixAndExpansion) {
  constexpr std::size_t kN = 150;
  std::vector<double> channels;
  for (std::size_t k = 0; k < kN; ++k) channels.push_back(1.3e9 + 1e6 * static_cast<double>(k));
  for (const double error : {1e-5, 1e-6}) {  // 12 and 16 taps
    const FrequencyCompression compression(channels, {1e-6, error, 1});
    for (const FrequencyNodes& set : compression.sets()) {
      std::mt19937 random(2);
      std::uniform_real_distribution<float> uniform(-1, 1);
      std::vector<float> re(kN), im(kN), weight(kN);
      for (std::size_t k = 0; k < kN; ++k) {
        re[k] = uniform(random);
        im[k] = uniform(random);
        weight[k] = k % 5 == 0 ? 0 : 1 + uniform(random);
      }
      const std::size_t n = set.size();
      const auto coefficient = [&](std::size_t k, std::size_t j) -> double {
        const std::size_t first = static_cast<std::size_t>(set.first[k]);
        return j < first || j >= first + kTaps ? 0.0f : set.coefficients[k * kTaps + j - first];
      };
      std::vector<float> node_re(n + kTaps), node_im(n + kTaps), node_weight(n + kTaps);
      CompressRow(set, re.data(), im.data(), weight.data(), {node_re.data(), node_im.data(), node_weight.data()});
      const std::size_t taps = static_cast<std::size_t>(set.taps);
      std::vector<float> scratch((n + kTaps) * 2 * kTaps), gram(n * taps + kTaps);
      GramRow(set, weight.data(), scratch.data(), gram.data());
      for (std::size_t i = 0; i < n; ++i) {
        double sum_re = 0, sum_weight = 0;
        for (std::size_t k = 0; k < kN; ++k) {
          sum_re += coefficient(k, i) * re[k];
          sum_weight += coefficient(k, i) * weight[k];
        }
        ASSERT_NEAR(node_re[i], sum_re, 1e-4);
        ASSERT_NEAR(node_weight[i], sum_weight, 1e-4);
        for (std::size_t d = 0; d < taps && i + d < n; ++d) {
          double sum = 0;
          for (std::size_t k = 0; k < kN; ++k) sum += weight[k] * coefficient(k, i) * coefficient(k, i + d);
          ASSERT_NEAR(gram[i * taps + d], sum, 1e-4 + 1e-6 * std::fabs(sum)) << n << " " << i << " " << d;
        }
      }
      // compress(w · expand(x)) = G x
      std::vector<float> x_re(n + kTaps), x_im(n + kTaps), back_re(kN), back_im(kN);
      for (std::size_t i = 0; i < n; ++i) {
        x_re[i] = uniform(random);
        x_im[i] = uniform(random);
      }
      ExpandRow(set, x_re.data(), x_im.data(), back_re.data(), back_im.data());
      for (std::size_t k = 0; k < kN; ++k) {
        double sum = 0;
        for (std::size_t i = 0; i < n; ++i) sum += coefficient(k, i) * x_im[i];
        ASSERT_NEAR(back_im[k], sum, 1e-4);
        back_re[k] *= weight[k];
        back_im[k] *= weight[k];
      }
      CompressRow(set, back_re.data(), back_im.data(), weight.data(),
                  {node_re.data(), node_im.data(), node_weight.data()});
      SubtractGram(set, gram.data(), x_re.data(), x_im.data(), node_re.data(), node_im.data());
      for (std::size_t i = 0; i < n; ++i) {
        ASSERT_NEAR(node_re[i], 0, 1e-4);
        ASSERT_NEAR(node_im[i], 0, 1e-4);
      }
    }
  }
}

}  // namespace
}  // namespace contimg::image
