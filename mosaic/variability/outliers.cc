#include "mosaic/variability/outliers.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <numeric>

#include "config/error.h"
#include "config/robust_statistics.h"

namespace contimg::mosaic {
namespace {

constexpr std::array<std::string_view, 6> kOutlierWords{"sigma_clip",       "mad",     "iqr", "modified_z",
                                                        "isolation_forest", "ensemble"};

double MadOf(std::vector<double> values, double median) {
  for (double& value : values) value = std::abs(value - median);
  return QuantileOf(std::move(values), 0.5);
}

std::vector<bool> Beyond(const std::vector<double>& values, double low, double high) {
  std::vector<bool> out(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) out[i] = values[i] < low || values[i] > high;
  return out;
}

std::vector<bool> SigmaClip(const std::vector<double>& values, double sigma, int iterations) {
  std::vector<bool> out(values.size());
  for (int round = 0; round < iterations; ++round) {
    std::vector<double> left;
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (!out[i]) left.push_back(values[i]);
    }
    const double mean = std::accumulate(left.begin(), left.end(), 0.0) / static_cast<double>(left.size());
    double squares = 0;
    for (const double value : left) squares += (value - mean) * (value - mean);
    const double limit = sigma * std::sqrt(squares / static_cast<double>(left.size()));
    const double median = QuantileOf(std::move(left), 0.5);
    bool more = false;
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (out[i] || !(std::abs(values[i] - median) > limit)) continue;
      out[i] = more = true;
    }
    if (!more) break;
  }
  return out;
}

// splitmix64: the same forest for the same values, everywhere.
class Dice {
 public:
  double Uniform() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-53;
  }
  std::size_t Below(std::size_t n) {
    return std::min(n - 1, static_cast<std::size_t>(Uniform() * static_cast<double>(n)));
  }

 private:
  std::uint64_t state_ = 1;
};

// The mean length of an unsuccessful search in a tree of n points.
double MeanPath(double n) {
  constexpr double kEuler = 0.5772156649015329;
  return n > 2 ? 2 * (std::log(n - 1) + kEuler) - 2 * (n - 1) / n : n > 1 ? 1 : 0;
}

// A tree of one value a point is a set of cuts: adds the depth of each of `points` (indices of `values`, sorted by
// them) among the sorted `sample`.
void AddDepths(const std::vector<double>& values, const std::size_t* points, std::size_t n_points, const double* sample,
               std::size_t n_sample, int depth, int deepest, Dice& dice, std::vector<double>& depths) {
  if (n_points == 0) return;
  const bool leaf = n_sample <= 1 || depth == deepest || sample[0] == sample[n_sample - 1];
  if (leaf) {
    const double length = depth + MeanPath(static_cast<double>(n_sample));
    for (std::size_t i = 0; i < n_points; ++i) depths[points[i]] += length;
    return;
  }
  const double cut = sample[0] + dice.Uniform() * (sample[n_sample - 1] - sample[0]);
  const auto left_sample = static_cast<std::size_t>(std::lower_bound(sample, sample + n_sample, cut) - sample);
  const auto left_points = static_cast<std::size_t>(
      std::lower_bound(points, points + n_points, cut, [&](std::size_t i, double at) { return values[i] < at; }) -
      points);
  AddDepths(values, points, left_points, sample, left_sample, depth + 1, deepest, dice, depths);
  AddDepths(values, points + left_points, n_points - left_points, sample + left_sample, n_sample - left_sample,
            depth + 1, deepest, dice, depths);
}

std::vector<bool> Isolated(const std::vector<double>& values) {
  constexpr int kTrees = 100;
  constexpr std::size_t kSample = 256;
  constexpr double kScore = 0.7;
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  const std::size_t n = std::min(kSample, values.size());
  const int deepest = static_cast<int>(std::ceil(std::log2(static_cast<double>(n))));
  std::vector<double> depths(values.size(), 0.0);
  Dice dice;
  for (int tree = 0; tree < kTrees; ++tree) {
    std::vector<std::size_t> drawn = order;
    std::vector<double> sample(n);
    for (std::size_t i = 0; i < n; ++i) {
      std::swap(drawn[i], drawn[i + dice.Below(drawn.size() - i)]);
      sample[i] = values[drawn[i]];
    }
    std::sort(sample.begin(), sample.end());
    AddDepths(values, order.data(), order.size(), sample.data(), n, 0, deepest, dice, depths);
  }
  std::vector<bool> out(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    out[i] = std::exp2(-depths[i] / kTrees / MeanPath(static_cast<double>(n))) > kScore;
  }
  return out;
}

}  // namespace

OutlierMethod ParseOutlierMethod(std::string_view word) {
  const auto found = std::find(kOutlierWords.begin(), kOutlierWords.end(), word);
  if (found != kOutlierWords.end()) return static_cast<OutlierMethod>(found - kOutlierWords.begin());
  throw Error(ErrorKind::kUsage, "lightcurve", std::string(word),
              "expected sigma_clip, mad, iqr, modified_z, isolation_forest or ensemble");
}

std::string_view ToString(OutlierMethod method) { return kOutlierWords.at(static_cast<std::size_t>(method)); }

double QuantileOf(std::vector<double> values, double q) {
  const double at = q * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::ptrdiff_t>(at);
  std::nth_element(values.begin(), values.begin() + below, values.end());
  const double low = values[static_cast<std::size_t>(below)];
  const double part = at - static_cast<double>(below);
  if (!(part > 0)) return low;
  return low + part * (*std::min_element(values.begin() + below + 1, values.end()) - low);
}

std::vector<bool> FindOutliers(const std::vector<double>& values, OutlierMethod method, double sigma, int iterations) {
  if (values.size() < 4) return std::vector<bool>(values.size());
  const double median = QuantileOf(values, 0.5);
  switch (method) {
    case OutlierMethod::kSigmaClip:
      return SigmaClip(values, sigma, iterations);
    case OutlierMethod::kMad:
    case OutlierMethod::kModifiedZ: {
      const double mad = MadOf(values, median);
      if (!(mad > 0)) return std::vector<bool>(values.size());
      const double limit = method == OutlierMethod::kMad ? sigma * kSigmaPerMad * mad : 3.5 / 0.6745 * mad;
      return Beyond(values, median - limit, median + limit);
    }
    case OutlierMethod::kIqr: {
      const double first = QuantileOf(values, 0.25), third = QuantileOf(values, 0.75), range = third - first;
      if (!(range > 0)) return std::vector<bool>(values.size());
      return Beyond(values, first - 1.5 * range, third + 1.5 * range);
    }
    case OutlierMethod::kIsolationForest:
      return Isolated(values);
    case OutlierMethod::kEnsemble:
      break;
  }
  std::vector<int> votes(values.size(), 0);
  for (const OutlierMethod each : {OutlierMethod::kSigmaClip, OutlierMethod::kMad, OutlierMethod::kIqr,
                                   OutlierMethod::kModifiedZ, OutlierMethod::kIsolationForest}) {
    const std::vector<bool> out = FindOutliers(values, each, sigma, iterations);
    for (std::size_t i = 0; i < values.size(); ++i) votes[i] += out[i] ? 1 : 0;
  }
  std::vector<bool> out(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) out[i] = votes[i] >= 3;
  return out;
}

}  // namespace contimg::mosaic
