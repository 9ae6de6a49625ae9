#include "mosaic/variability/preprocess.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "config/error.h"
#include "config/robust_statistics.h"
#include "mosaic/variability/smoothing.h"

namespace contimg::mosaic {
namespace {

constexpr std::array<std::string_view, 7> kNormalizeWords{"median", "mean",   "robust",  "unity",
                                                          "minmax", "zscore", "quantile"};

struct Segment {
  std::size_t begin = 0, end = 0;
  std::size_t size() const { return end - begin; }
};

std::vector<Segment> SegmentsOf(const std::vector<double>& times, double gap_days) {
  std::vector<Segment> segments;
  for (std::size_t i = 0; i < times.size(); ++i) {
    if (segments.empty() || times[i] - times[i - 1] > gap_days) segments.push_back({i, i});
    segments.back().end = i + 1;
  }
  return segments;
}

std::vector<double> Part(const std::vector<double>& values, const Segment& segment) {
  return {values.begin() + static_cast<std::ptrdiff_t>(segment.begin),
          values.begin() + static_cast<std::ptrdiff_t>(segment.end)};
}

template <typename Keep>
void Filter(PreprocessPoints& points, const Keep& keep) {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < points.times.size(); ++i) {
    if (!keep(i)) continue;
    points.times[kept] = points.times[i];
    points.values[kept] = points.values[i];
    points.errors[kept] = points.errors[i];
    points.flags[kept++] = points.flags[i];
  }
  points.times.resize(kept);
  points.values.resize(kept);
  points.errors.resize(kept);
  points.flags.resize(kept);
}

void RemoveBaseline(Preprocessed& result, const std::vector<Segment>& segments, const PreprocessParameters& wanted) {
  const double level = QuantileOf(result.points.values, 0.5);
  std::size_t left = 0, shortened = 0;
  for (const Segment& segment : segments) {
    const int n = static_cast<int>(segment.size());
    const int window = std::min(wanted.baseline_window_length, n % 2 == 1 ? n : n - 1);
    if (n < wanted.min_points_per_segment || window <= wanted.baseline_polyorder) {
      ++left;
      continue;
    }
    if (window < wanted.baseline_window_length) ++shortened;
    const std::vector<double> baseline = SavitzkyGolay(
        Part(result.points.times, segment), Part(result.points.values, segment), window, wanted.baseline_polyorder);
    for (std::size_t i = 0; i < segment.size(); ++i) result.points.values[segment.begin + i] += level - baseline[i];
  }
  if (left > 0) {
    result.notes.push_back(
        fmt::format("{} of {} segments have fewer points than min_points_per_segment = {} and keep their baseline",
                    left, segments.size(), wanted.min_points_per_segment));
  }
  if (shortened > 0) {
    result.notes.push_back(fmt::format("in {} of {} segments the window is all there is, less than {} points",
                                       shortened, segments.size(), wanted.baseline_window_length));
  }
}

void RemoveNoise(Preprocessed& result, const std::vector<Segment>& segments, const PreprocessParameters& wanted) {
  const Wavelet wavelet = WaveletCalled(wanted.wavelet_type);
  std::size_t left = 0, fewer = 0;
  for (const Segment& segment : segments) {
    const std::size_t n = segment.size();
    int levels = wanted.wavelet_levels;
    while (levels > 0 && (std::size_t{1} << levels) * wavelet.low.size() > n) --levels;
    if (levels == 0) {
      ++left;
      continue;
    }
    if (levels < wanted.wavelet_levels) ++fewer;
    const std::vector<double> smooth =
        Denoise(Part(result.points.times, segment), Part(result.points.values, segment), wavelet, levels);
    std::copy(smooth.begin(), smooth.end(), result.points.values.begin() + static_cast<std::ptrdiff_t>(segment.begin));
  }
  if (left > 0) {
    result.notes.push_back(
        fmt::format("{} of {} segments are too short for the wavelet and keep their noise", left, segments.size()));
  }
  if (fewer > 0) {
    result.notes.push_back(fmt::format("{} of {} segments have points for fewer than wavelet_levels = {}", fewer,
                                       segments.size(), wanted.wavelet_levels));
  }
}

}  // namespace

NormalizeMethod ParseNormalizeMethod(std::string_view word) {
  const auto found = std::find(kNormalizeWords.begin(), kNormalizeWords.end(), word);
  if (found != kNormalizeWords.end()) return static_cast<NormalizeMethod>(found - kNormalizeWords.begin());
  throw Error(ErrorKind::kUsage, "lightcurve", std::string(word),
              "expected median, mean, robust, unity, minmax, zscore or quantile");
}

std::string_view ToString(NormalizeMethod method) { return kNormalizeWords.at(static_cast<std::size_t>(method)); }

void CheckParameters(const PreprocessParameters& wanted) {
  const auto require = [](bool good, const char* name, const char* what) {
    if (!good) throw Error(ErrorKind::kUsage, "lightcurve", name, fmt::format("expected {}", what));
  };
  require(wanted.sigma_clip_sigma > 0 && std::isfinite(wanted.sigma_clip_sigma), "sigma_clip_sigma",
          "a number above 0");
  require(wanted.sigma_clip_maxiters >= 1, "sigma_clip_maxiters", "1 or more");
  require(wanted.gap_threshold_hours > 0, "gap_threshold_hours", "a number above 0");
  require(wanted.min_points_per_segment >= 1, "min_points_per_segment", "1 or more");
  require(wanted.baseline_polyorder >= 0 && wanted.baseline_polyorder <= 10, "baseline_polyorder", "0 to 10");
  require(wanted.baseline_window_length % 2 == 1 && wanted.baseline_window_length > wanted.baseline_polyorder,
          "baseline_window_length", "an odd number above baseline_polyorder");
  require(wanted.wavelet_levels >= 1 && wanted.wavelet_levels <= 20, "wavelet_levels", "1 to 20");
  WaveletCalled(wanted.wavelet_type);
}

void Normalize(std::vector<double>& values, std::vector<double>& errors, NormalizeMethod method) {
  const auto n = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  const double deviation = std::sqrt(squares / n);
  double shift = 0, scale = 1, base = 0;
  switch (method) {
    case NormalizeMethod::kMedian:
      scale = QuantileOf(values, 0.5);
      break;
    case NormalizeMethod::kMean:
      scale = mean;
      break;
    case NormalizeMethod::kRobust:
      shift = QuantileOf(values, 0.05);
      scale = QuantileOf(values, 0.95) - shift;
      break;
    case NormalizeMethod::kUnity:
      base = 1;
      [[fallthrough]];
    case NormalizeMethod::kZScore:
      shift = mean;
      scale = deviation;
      break;
    case NormalizeMethod::kMinMax:
      shift = *std::min_element(values.begin(), values.end());
      scale = *std::max_element(values.begin(), values.end()) - shift;
      break;
    case NormalizeMethod::kQuantile: {
      shift = QuantileOf(values, 0.5);
      std::vector<double> sizes = values;
      for (double& size : sizes) size = std::abs(size - shift);
      scale = kSigmaPerMad * QuantileOf(std::move(sizes), 0.5);
      break;
    }
  }
  if (!(std::abs(scale) > 0) || !std::isfinite(scale) || !std::isfinite(shift)) {
    throw Error(ErrorKind::kBadInput, "lightcurve", std::string(ToString(method)),
                fmt::format("cannot normalise this series: expected something to divide by, found {}: choose another "
                            "normalize_method",
                            scale));
  }
  for (double& value : values) value = base + (value - shift) / scale;
  for (double& error : errors) error /= std::abs(scale);
}

Preprocessed Preprocess(const PreprocessPoints& input, const PreprocessParameters& wanted) {
  CheckParameters(wanted);
  Preprocessed result;
  result.points = input;
  PreprocessPoints& points = result.points;
  Filter(points, [&](std::size_t i) { return (points.flags[i] & wanted.quality_bitmask) == 0; });
  result.flagged = input.times.size() - points.times.size();
  const std::vector<bool> out =
      FindOutliers(points.values, wanted.outlier_method, wanted.sigma_clip_sigma, wanted.sigma_clip_maxiters);
  result.outliers = static_cast<std::size_t>(std::count(out.begin(), out.end(), true));
  if (wanted.remove_outliers) {
    Filter(points, [&](std::size_t i) { return !out[i]; });
  } else {
    for (std::size_t i = 0; i < out.size(); ++i) points.flags[i] |= out[i] ? quality::kOutlier.mask() : 0;
  }
  if (points.times.empty()) {
    throw Error(ErrorKind::kBadInput, "lightcurve", "preprocess",
                fmt::format("no point is left of {}: {} are flagged", input.times.size(), result.flagged));
  }
  const std::vector<Segment> segments = SegmentsOf(points.times, wanted.gap_threshold_hours / 24);
  result.segments = segments.size();
  if (segments.size() > 1 && 2 * segments.size() > points.times.size()) {
    std::vector<double> gaps;
    for (std::size_t i = 1; i < points.times.size(); ++i) gaps.push_back(points.times[i] - points.times[i - 1]);
    result.notes.push_back(
        fmt::format("points are mostly farther apart than gap_threshold_hours = {:g}: {:.2g} would join them",
                    wanted.gap_threshold_hours, 1.5 * 24 * QuantileOf(std::move(gaps), 0.5)));
  }
  RemoveBaseline(result, segments, wanted);
  if (wanted.wavelet_denoising) RemoveNoise(result, segments, wanted);
  Normalize(points.values, points.errors, wanted.normalize_method);
  return result;
}

}  // namespace contimg::mosaic
