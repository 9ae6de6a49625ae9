// What a tile's visibilities say about themselves: flags, noise, coverage. For the quality report of its image.
#pragma once

#include <cstddef>
#include <vector>

#include "ingest/flag_count.h"
#include "ingest/visibility_block.h"

namespace contimg::image {

struct TileSummary {
  FlagCensus flags;
  // Rms of the real (or imaginary) part of one hand's visibility of weight 1: 1.4826 × the median absolute difference
  // of neighbouring channels, scaled by their weights. The sky cancels as long as its phase turns little over one
  // channel.
  double noise_of_unit_weight = 0;
  struct UvPoint {
    float u_lambda, v_lambda;
  };
  std::vector<UvPoint> uv;  // a sample of the coverage, at most `max_uv_points`
};

// `dead_limit`: FlagSettings::dead_antenna_fraction.
TileSummary SummariseTile(const VisibilityBlock& block, std::size_t max_uv_points, double dead_limit, int threads);

}  // namespace contimg::image
