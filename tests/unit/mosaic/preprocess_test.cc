#include "mosaic/variability/preprocess.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "config/error.h"
#include "mosaic/variability/smoothing.h"

namespace contimg::mosaic {
namespace {

std::vector<double> Noise(int n, unsigned seed, double mean = 0, double sigma = 1) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> noise(mean, sigma);
  std::vector<double> values;
  for (int i = 0; i < n; ++i) values.push_back(noise(random));
  return values;
}

std::vector<double> Even(int n, double step = 1) {
  std::vector<double> times;
  for (int i = 0; i < n; ++i) times.push_back(step * i);
  return times;
}

std::vector<int> Where(const std::vector<bool>& flags) {
  std::vector<int> where;
  for (std::size_t i = 0; i < flags.size(); ++i) {
    if (flags[i]) where.push_back(static_cast<int>(i));
  }
  return where;
}

constexpr OutlierMethod kAllMethods[] = {
    OutlierMethod::kSigmaClip,       OutlierMethod::kMad,     OutlierMethod::kIqr, OutlierMethod::kModifiedZ,
    OutlierMethod::kIsolationForest, OutlierMethod::kEnsemble};

TEST(Outliers, EveryMethodFindsWhatIsFar) {
  std::vector<double> values = Noise(300, 4, 10, 0.1);
  for (double& value : values) value = std::clamp(value, 9.8, 10.2);
  values[17] = 12;
  values[200] = 7;
  for (const OutlierMethod method : kAllMethods) {
    const auto out = FindOutliers(values, method, 5, 3);
    EXPECT_TRUE(out[17] && out[200]) << ToString(method);
    EXPECT_LE(Where(out).size(), 8u) << ToString(method);
    EXPECT_EQ(ParseOutlierMethod(ToString(method)), method);
    // Where a value stands does not matter; nor does doing it again.
    std::vector<double> turned = values;
    std::reverse(turned.begin(), turned.end());
    auto back = FindOutliers(turned, method, 5, 3);
    std::reverse(back.begin(), back.end());
    EXPECT_TRUE(method == OutlierMethod::kIsolationForest || back == out) << ToString(method);
    EXPECT_EQ(FindOutliers(values, method, 5, 3), out) << ToString(method);
  }
  EXPECT_THROW(ParseOutlierMethod("lof"), Error);
}

TEST(Outliers, OfFewAndOfAlikeNoneIs) {
  for (const OutlierMethod method : kAllMethods) {
    EXPECT_TRUE(FindOutliers({}, method, 5, 3).empty());
    EXPECT_TRUE(Where(FindOutliers({1, 2, 1e9}, method, 5, 3)).empty());
    EXPECT_TRUE(Where(FindOutliers(std::vector<double>(50, 3.0), method, 5, 3)).empty()) << ToString(method);
    EXPECT_TRUE(Where(FindOutliers(Even(40), method, 5, 3)).empty()) << ToString(method);
  }
}

// The definitions, by hand: 0…8 and one far value.
TEST(Outliers, HaveTheirLimits) {
  std::vector<double> values{0, 1, 2, 3, 4, 5, 6, 7, 8, 0};
  // Quartiles of the ten: median 3.5, Q1 1.25, Q3 5.75, range 4.5: the fence is 12.5.
  values[9] = 12.49;
  EXPECT_TRUE(Where(FindOutliers(values, OutlierMethod::kIqr, 5, 3)).empty());
  values[9] = 14;  // sorted 0…8, 14: Q1 2.25, Q3 6.75, fence 13.5
  EXPECT_EQ(Where(FindOutliers(values, OutlierMethod::kIqr, 5, 3)), std::vector{9});
  // Median 4.5, MAD 2.5: 3.5/0.6745 × 2.5 = 12.97.
  values[9] = 17.4;
  EXPECT_TRUE(Where(FindOutliers(values, OutlierMethod::kModifiedZ, 5, 3)).empty());
  values[9] = 17.5;
  EXPECT_EQ(Where(FindOutliers(values, OutlierMethod::kModifiedZ, 5, 3)), std::vector{9});
  // 3 × 1.4826 × 2.5 = 11.12.
  values[9] = 15.6;
  EXPECT_TRUE(Where(FindOutliers(values, OutlierMethod::kMad, 3, 3)).empty());
  values[9] = 15.7;
  EXPECT_EQ(Where(FindOutliers(values, OutlierMethod::kMad, 3, 3)), std::vector{9});
  // A second round finds what the first one's deviation hid.
  std::vector<double> hidden = Noise(200, 8, 0, 0.01);
  hidden[3] = 100;
  hidden[5] = 3;
  EXPECT_EQ(Where(FindOutliers(hidden, OutlierMethod::kSigmaClip, 5, 1)), std::vector{3});
  EXPECT_EQ(Where(FindOutliers(hidden, OutlierMethod::kSigmaClip, 5, 3)), (std::vector{3, 5}));
}

TEST(Outliers, QuantilesAreNumpys) {
  EXPECT_EQ(QuantileOf({3, 1, 2}, 0.5), 2);
  EXPECT_EQ(QuantileOf({4, 1, 3, 2}, 0.5), 2.5);
  EXPECT_NEAR(QuantileOf({10, 20, 30, 40}, 0.05), 11.5, 1e-12);
  EXPECT_NEAR(QuantileOf({10, 20, 30, 40}, 0.95), 38.5, 1e-12);
  EXPECT_EQ(QuantileOf({7}, 0.3), 7);
}

// A polynomial of its degree is its own baseline, on uneven times and at the ends.
TEST(Smoothing, SavitzkyGolayKeepsPolynomials) {
  std::mt19937_64 random(5);
  std::uniform_real_distribution<double> step(0.1, 3);
  std::vector<double> times{60000.0}, values;
  for (int i = 1; i < 60; ++i) times.push_back(times.back() + step(random));
  for (int order = 0; order <= 4; ++order) {
    values.clear();
    for (const double t : times) {
      double sum = 0;
      for (int k = 0; k <= order; ++k) sum += (k + 1) * std::pow((t - 60040) / 40, k);
      values.push_back(sum);
    }
    const auto baseline = SavitzkyGolay(times, values, 11, order);
    for (std::size_t i = 0; i < times.size(); ++i) EXPECT_NEAR(baseline[i], values[i], 1e-9) << order << " " << i;
  }
}

// The published coefficients of 5 points and degree 2: (−3, 12, 17, 12, −3)/35.
TEST(Smoothing, SavitzkyGolayHasThePublishedWeights) {
  std::vector<double> values(11, 0.0);
  values[5] = 35;
  const auto baseline = SavitzkyGolay(Even(11), values, 5, 2);
  const std::vector<double> expected{0, 0, 0, -3, 12, 17, 12, -3, 0, 0, 0};
  for (std::size_t i = 0; i < 11; ++i) EXPECT_NEAR(baseline[i], expected[i], 1e-10) << i;
  EXPECT_THROW(SavitzkyGolay(Even(11), values, 4, 2), Error);
  EXPECT_THROW(SavitzkyGolay(Even(11), values, 13, 2), Error);
  EXPECT_THROW(SavitzkyGolay(Even(11), values, 3, 3), Error);
}

TEST(Smoothing, WaveletsGoThereAndBack) {
  for (const char* name : {"haar", "db1", "db2", "db4"}) {
    const Wavelet wavelet = WaveletCalled(name);
    const auto& h = wavelet.low;
    EXPECT_NEAR(std::accumulate(h.begin(), h.end(), 0.0), std::sqrt(2.0), 1e-14) << name;
    for (std::size_t shift = 0; shift < h.size(); shift += 2) {
      double product = 0;
      for (std::size_t i = 0; i + shift < h.size(); ++i) product += h[i] * h[i + shift];
      EXPECT_NEAR(product, shift == 0 ? 1 : 0, 1e-13) << name << " " << shift;
    }
    for (const int n : {2, 4, 16, 100}) {
      const auto values = Noise(n, 3);
      const auto back = TransformBack(TransformOnce(values, wavelet), wavelet);
      for (int i = 0; i < n; ++i) {
        EXPECT_NEAR(back[static_cast<std::size_t>(i)], values[static_cast<std::size_t>(i)], 1e-12) << name << " " << n;
      }
    }
  }
  EXPECT_THROW(WaveletCalled("sym4"), Error);
}

// Smooth signals stay, noise goes: on even times and uneven ones.
TEST(Smoothing, DenoisingTakesNoiseAway) {
  const int n = 512;
  for (const double uneven : {0.0, 0.4}) {
    std::vector<double> times = Even(n), signal, values;
    const auto noise = Noise(n, 12, 0, 0.2), jitter = Noise(n, 13, 0, 0.3);
    for (int i = 0; i < n; ++i) {
      const auto k = static_cast<std::size_t>(i);
      times[k] += uneven * std::clamp(jitter[k], -1.0, 1.0);
      signal.push_back(std::sin(times[k] / 40) + 2);
      values.push_back(signal.back() + noise[k]);
    }
    const auto smooth = Denoise(times, values, WaveletCalled("db4"), 4);
    double before = 0, after = 0;
    for (int i = 20; i < n - 20; ++i) {
      const auto k = static_cast<std::size_t>(i);
      before += std::pow(values[k] - signal[k], 2);
      after += std::pow(smooth[k] - signal[k], 2);
    }
    EXPECT_LT(std::sqrt(after / before), 0.45) << uneven;
  }
}

TEST(Preprocess, NormalisesInSevenWays) {
  const std::vector<double> values{1, 2, 3, 4, 10};
  const auto scaled = [&](NormalizeMethod method) {
    std::vector<double> v = values, e(5, 0.5);
    Normalize(v, e, method);
    EXPECT_NEAR((values[4] - values[0]) / (v[4] - v[0]), 0.5 / e[0], 1e-12) << ToString(method);
    EXPECT_EQ(ParseNormalizeMethod(ToString(method)), method);
    return v;
  };
  EXPECT_NEAR(scaled(NormalizeMethod::kMedian)[4], 10.0 / 3, 1e-12);
  EXPECT_NEAR(scaled(NormalizeMethod::kMean)[4], 2.5, 1e-12);
  // Percentiles 5 and 95: 1.2 and 8.8.
  EXPECT_NEAR(scaled(NormalizeMethod::kRobust)[0], -0.2 / 7.6, 1e-12);
  const double s = std::sqrt(10.0);  // the population's
  EXPECT_NEAR(scaled(NormalizeMethod::kUnity)[4], 1 + 6 / s, 1e-12);
  EXPECT_NEAR(scaled(NormalizeMethod::kMinMax)[1], 1.0 / 9, 1e-12);
  EXPECT_NEAR(scaled(NormalizeMethod::kZScore)[0], -3 / s, 1e-12);
  EXPECT_NEAR(scaled(NormalizeMethod::kQuantile)[4], 7 / 1.482602218505602, 1e-12);
  for (const NormalizeMethod method : {NormalizeMethod::kRobust, NormalizeMethod::kUnity, NormalizeMethod::kMinMax,
                                       NormalizeMethod::kZScore, NormalizeMethod::kQuantile}) {
    std::vector<double> alike(5, 2.0), errors(5, 0.1);
    EXPECT_THROW(Normalize(alike, errors, method), Error) << ToString(method);
  }
  std::vector<double> nothing{-1, 0, 1}, errors(3, 0.1);
  EXPECT_THROW(Normalize(nothing, errors, NormalizeMethod::kMedian), Error);
  // Errors stay positive where the flux is not.
  std::vector<double> negative{-2, -2, -2};
  Normalize(negative, errors, NormalizeMethod::kMean);
  EXPECT_NEAR(errors[0], 0.05, 1e-15);
}

PreprocessPoints Series(int n) {
  PreprocessPoints points;
  const auto noise = Noise(n, 21, 0, 0.001);
  for (int i = 0; i < n; ++i) {
    points.times.push_back(60000 + i * 0.01 + (i >= n / 2 ? 1 : 0));
    points.values.push_back(2 + 0.1 * std::sin(i / 60.0) + noise[static_cast<std::size_t>(i)]);
    points.errors.push_back(0.001);
    points.flags.push_back(0);
  }
  return points;
}

TEST(Preprocess, TakesItsStepsInOrder) {
  PreprocessPoints points = Series(600);
  points.values[100] = 50;
  points.flags[200] = quality::kEdge.mask();
  points.flags[201] = quality::kBlend.mask();  // not of the default
  const Preprocessed result = Preprocess(points, {});
  EXPECT_EQ(result.flagged, 1u);
  EXPECT_EQ(result.outliers, 1u);
  EXPECT_EQ(result.segments, 2u);
  EXPECT_TRUE(result.notes.empty());
  ASSERT_EQ(result.points.times.size(), 598u);
  double squares = 0;
  for (const double value : result.points.values) squares += (value - 1) * (value - 1);
  EXPECT_LT(std::sqrt(squares / 598), 0.0025);  // the noise is 0.0005 of it; the sine was 0.035
  EXPECT_NEAR(result.points.errors[0], 0.0005, 1e-5);

  PreprocessParameters none;
  none.quality_bitmask = 0;
  none.remove_outliers = false;
  none.min_points_per_segment = 10000;
  const Preprocessed plain = Preprocess(points, none);
  ASSERT_EQ(plain.points.times.size(), 600u);
  EXPECT_EQ(plain.outliers, 1u);
  EXPECT_EQ(plain.points.flags[100], quality::kOutlier.mask());
  EXPECT_EQ(plain.points.flags[101], 0u);
  EXPECT_EQ(plain.points.flags[201], quality::kBlend.mask());
  EXPECT_EQ(plain.notes.size(), 1u);
  EXPECT_NEAR(plain.points.values[100] / plain.points.values[0], 50 / points.values[0], 1e-9);
}

TEST(Preprocess, SaysWhatItCouldNotDo) {
  // One point a day: every point is a segment.
  PreprocessPoints daily = Series(40);
  for (std::size_t i = 0; i < 40; ++i) daily.times[i] = 60000 + 0.99727 * static_cast<double>(i);
  const Preprocessed apart = Preprocess(daily, {});
  EXPECT_EQ(apart.segments, 40u);
  ASSERT_EQ(apart.notes.size(), 2u);
  EXPECT_NE(apart.notes[0].find("36 would join them"), std::string::npos) << apart.notes[0];
  PreprocessParameters joined;
  joined.gap_threshold_hours = 36;
  joined.min_points_per_segment = 10;
  const Preprocessed one = Preprocess(daily, joined);
  EXPECT_EQ(one.segments, 1u);
  ASSERT_EQ(one.notes.size(), 1u);
  EXPECT_NE(one.notes[0].find("less than 101"), std::string::npos) << one.notes[0];
  joined.wavelet_denoising = true;
  EXPECT_EQ(Preprocess(daily, joined).notes.size(), 2u);

  for (QualityFlags& flags : daily.flags) flags = quality::kManual.mask();
  EXPECT_THROW(Preprocess(daily, {}), Error);
  EXPECT_THROW(Preprocess({}, {}), Error);
  const auto refused = [](auto change) {
    PreprocessParameters wrong;
    change(wrong);
    try {
      CheckParameters(wrong);
      return false;
    } catch (const Error& error) {
      return error.kind() == ErrorKind::kUsage;
    }
  };
  EXPECT_TRUE(refused([](PreprocessParameters& p) { p.baseline_window_length = 100; }));
  EXPECT_TRUE(refused([](PreprocessParameters& p) { p.baseline_polyorder = 11; }));
  EXPECT_TRUE(refused([](PreprocessParameters& p) { p.baseline_window_length = 1; }));
  EXPECT_TRUE(refused([](PreprocessParameters& p) { p.sigma_clip_sigma = 0; }));
  EXPECT_TRUE(refused([](PreprocessParameters& p) { p.sigma_clip_maxiters = 0; }));
  EXPECT_TRUE(refused([](PreprocessParameters& p) { p.gap_threshold_hours = -1; }));
  EXPECT_TRUE(refused([](PreprocessParameters& p) { p.wavelet_type = "db3"; }));
  EXPECT_TRUE(refused([](PreprocessParameters& p) { p.wavelet_levels = 0; }));
  EXPECT_TRUE(refused([](PreprocessParameters& p) { p.min_points_per_segment = 0; }));
}

}  // namespace
}  // namespace contimg::mosaic
