// Points of a light curve that do not belong to it.
#pragma once

#include <string_view>
#include <vector>

namespace contimg::mosaic {

enum class OutlierMethod {
  kSigmaClip,        // |x − median| > sigma × standard deviation of what is left, up to `iterations` times
  kMad,              // |x − median| > sigma × 1.4826 × median absolute deviation
  kIqr,              // beyond 1.5 interquartile ranges of the quartiles (Tukey 1977)
  kModifiedZ,        // 0.6745 |x − median|/MAD > 3.5 (Iglewicz & Hoaglin 1993)
  kIsolationForest,  // an anomaly score above 0.7 in a forest of 100 trees of 256 points (Liu et al. 2008); seeded
  kEnsemble,         // three of the five
};
OutlierMethod ParseOutlierMethod(std::string_view word);  // sigma_clip, mad…; throws Error{kUsage}
std::string_view ToString(OutlierMethod method);

// true where a value is an outlier. Values are finite. Of fewer than four values, and where most are alike, none is.
std::vector<bool> FindOutliers(const std::vector<double>& values, OutlierMethod method, double sigma, int iterations);

// The value below which the part `q` (0…1) of the values lies, linear between neighbours (numpy's default). Not empty.
double QuantileOf(std::vector<double> values, double q);

}  // namespace contimg::mosaic
