// Robust statistics of images. NaN pixels count for nothing.
#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

#include "config/array_view.h"

namespace contimg::image {

// Median and 1.4826 · median |x − median| of the image. Large images are sampled on a regular lattice of about
// `max_samples` pixels whose columns shift from row to row, so that no period of the image is favoured; the relative
// standard error is 1.2/sqrt(max_samples) for noise.
struct RobustStatistics {
  double median = 0;
  double rms = 0;
  std::size_t samples = 0;
};
RobustStatistics ComputeRobustStatistics(ArrayView<const float, 2> image, std::size_t max_samples = 1 << 19);

// Extremes and moments over all finite pixels.
struct ImageMoments {
  double minimum = 0;
  double maximum = 0;
  std::size_t x_of_maximum = 0, y_of_maximum = 0;
  std::size_t x_of_minimum = 0, y_of_minimum = 0;
  double mean = 0;
  double rms = 0;       // about the mean
  double skewness = 0;  // 0 for a symmetric distribution
  double kurtosis = 0;  // excess: 0 for a Gaussian

  double RootMeanSquare() const { return std::hypot(rms, mean); }
  double sum = 0;
  std::size_t count = 0;
};
ImageMoments ComputeMoments(ArrayView<const float, 2> image, int threads);

// A smooth map on a lattice of `step` pixels, first node at pixel step/2; bilinear between nodes, constant outside.
struct CoarseMap {
  std::size_t nx = 0, ny = 0;  // nodes
  double step = 1;             // pixels
  std::vector<float> values;   // [ny][nx]

  float At(double x, double y) const;
  float Minimum() const;
};

// How the local rms is formed from the pixels around a place (WSClean's two methods).
enum class LocalRmsMethod {
  kRms,         // sqrt of the Gaussian-weighted mean square
  kRmsWithMin,  // the larger of that and 0.3 × |smallest pixel in the window|: guards against bright sidelobes
};

// `window_px`: FWHM of the Gaussian weight. Cost: one pass over the image.
CoarseMap LocalRms(ArrayView<const float, 2> image, double window_px, LocalRmsMethod method, int threads);

}  // namespace contimg::image
