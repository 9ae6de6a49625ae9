// What a tile's visibilities say about themselves: flags, noise, coverage. For the quality report of its image.
#pragma once

#include <cstddef>
#include <vector>

#include "ingest/visibility_block.h"

namespace contimg::image {

struct TileSummary {
  double flagged_fraction = 0;             // of the cross-correlations, parallel hands
  std::vector<double> flagged_by_channel;  // same, per channel
  std::vector<double> flagged_by_antenna;  // per row of the antenna table; NaN for antennas without data
  std::size_t dead_antennas = 0;           // with data but entirely flagged
  // Rms of the real (or imaginary) part of one hand's visibility of weight 1: 1.4826 × the median absolute difference
  // of neighbouring channels, scaled by their weights. The sky cancels as long as its phase turns little over one
  // channel.
  double noise_of_unit_weight = 0;
  struct UvPoint {
    float u_lambda, v_lambda;
  };
  std::vector<UvPoint> uv;  // a sample of the coverage, at most `max_uv_points`
};

TileSummary SummariseTile(const VisibilityBlock& block, std::size_t max_uv_points, int threads);

}  // namespace contimg::image
