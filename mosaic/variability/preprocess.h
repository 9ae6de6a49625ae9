// A light curve made ready for who looks for something in it: bad points out, slow changes and noise out, on a common
// scale. Pure; each step can be left out.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/quality_flags.h"
#include "mosaic/variability/outliers.h"

namespace contimg::mosaic {

enum class NormalizeMethod {
  kMedian,    // x / median
  kMean,      // x / mean
  kRobust,    // (x − P5) / (P95 − P5), percentiles
  kUnity,     // 1 + (x − mean) / s: mean 1, standard deviation 1
  kMinMax,    // (x − min) / (max − min)
  kZScore,    // (x − mean) / s
  kQuantile,  // (x − median) / (1.4826 median absolute deviation)
};
NormalizeMethod ParseNormalizeMethod(std::string_view word);  // median, mean, robust, unity, minmax, zscore, quantile
std::string_view ToString(NormalizeMethod method);

struct PreprocessParameters {
  QualityFlags quality_bitmask = kDefaultQualityMask;
  bool remove_outliers = true;
  OutlierMethod outlier_method = OutlierMethod::kSigmaClip;
  double sigma_clip_sigma = 5;
  int sigma_clip_maxiters = 3;
  double gap_threshold_hours = 0.5;  // a longer gap ends a segment
  int min_points_per_segment = 100;  // shorter ones keep their baseline
  int baseline_window_length = 101;  // points, odd
  int baseline_polyorder = 2;
  bool wavelet_denoising = false;
  std::string wavelet_type = "db4";
  int wavelet_levels = 6;
  NormalizeMethod normalize_method = NormalizeMethod::kMedian;
};
// Throws Error{kUsage} that names the parameter and what it may be.
void CheckParameters(const PreprocessParameters& parameters);

struct PreprocessPoints {
  std::vector<double> times;  // days, rising
  std::vector<double> values, errors;
  std::vector<QualityFlags> flags;
};

struct Preprocessed {
  PreprocessPoints points;
  std::size_t flagged = 0;   // left out
  std::size_t outliers = 0;  // left out, or flagged as such
  std::size_t segments = 0;
  std::vector<std::string> notes;  // what a person should know: windows that were shortened, segments left as they are
};

// 1 points with a bit of the bitmask go; 2 outliers go, or without remove_outliers get the flag `outlier`; 3 the rest
// is split at gaps; 4 in each segment the Savitzky-Golay baseline is subtracted and the median of all put in its place;
// 5 each segment is denoised by wavelets; 6 all is normalised, errors by the same factor. Throws Error{kBadInput} when
// nothing is left or the scale is 0.
Preprocessed Preprocess(const PreprocessPoints& input, const PreprocessParameters& parameters);

// Values and errors, normalised in place. Throws Error{kBadInput} when what they are divided by is 0.
void Normalize(std::vector<double>& values, std::vector<double>& errors, NormalizeMethod method);

}  // namespace contimg::mosaic
