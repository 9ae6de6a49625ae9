// Limits on the projected length of baselines, in wavelengths: what a solve or an image leaves out.
#pragma once

#include <cstddef>
#include <string>

#include "ingest/visibility_block.h"

namespace contimg {

// What the settings min_uv_lambda stand for when they are below 0: so many wavelengths, made for the DSA-110 (below
// them the sky is not that of any catalogue), where they leave at least that share of the baselines; no limit
// elsewhere.
constexpr double kUsualMinUvLambda = 1000, kLeastShareOfBaselines = 0.25;

struct UvLimit {
  double min_lambda = 0, max_lambda = 0;  // 0: none
  std::size_t kept = 0, all = 0;          // baselines of two antennas, kept: with a sample inside the limits
  // The usual limit was asked for and would have left too few.
  bool usual_left_out = false;
  bool limits() const { return min_lambda > 0 || max_lambda > 0; }
};

// `min_lambda` below 0: the usual limit if the block's baselines are long enough for it. Needs UVW.
UvLimit ChooseUvLimit(const VisibilityBlock& block, double min_lambda, double max_lambda);

// "from 1000 to 20000 wavelengths"; "all baselines" without limits.
std::string RangeText(const UvLimit& limit);
// "the uv limits (from 1000 wavelengths) leave 2713 of 4560 baselines"; "" without limits.
std::string Describe(const UvLimit& limit);

}  // namespace contimg
