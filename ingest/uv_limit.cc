#include "ingest/uv_limit.h"

#include <fmt/format.h>

#include <cmath>

#include "config/units.h"

namespace contimg {
namespace {

// Baselines with a sample inside the limits.
void Count(const VisibilityBlock& block, UvLimit& limit) {
  limit.kept = limit.all = 0;
  const std::size_t n_baselines = block.n_baselines();
  for (std::size_t b = 0; b < n_baselines; ++b) {
    if (block.baselines[b].is_auto()) continue;
    ++limit.all;
    bool inside = false;
    for (std::size_t t = 0; t < block.n_times() && !inside; ++t) {
      const double* uvw = block.uvw_m.data() + (t * n_baselines + b) * 3;
      const double seconds = std::hypot(uvw[0], uvw[1]) / kSpeedOfLight;
      inside = seconds * block.frequency_hz.back() >= limit.min_lambda &&
               (limit.max_lambda <= 0 || seconds * block.frequency_hz.front() <= limit.max_lambda);
    }
    limit.kept += inside ? 1 : 0;
  }
}

}  // namespace

UvLimit ChooseUvLimit(const VisibilityBlock& block, double min_lambda, double max_lambda) {
  UvLimit limit;
  limit.min_lambda = min_lambda < 0 ? kUsualMinUvLambda : min_lambda;
  limit.max_lambda = max_lambda;
  Count(block, limit);
  const double least = kLeastShareOfBaselines * static_cast<double>(limit.all);
  if (min_lambda < 0 && (limit.all == 0 || static_cast<double>(limit.kept) < least)) {
    limit.usual_left_out = true;
    limit.min_lambda = 0;
    Count(block, limit);
  }
  return limit;
}

std::string RangeText(const UvLimit& limit) {
  if (!limit.limits()) return "all baselines";
  std::string range;
  if (limit.min_lambda > 0) range = fmt::format("from {:g} ", limit.min_lambda);
  if (limit.max_lambda > 0) range += fmt::format("to {:g} ", limit.max_lambda);
  return range + "wavelengths";
}

std::string Describe(const UvLimit& limit) {
  if (!limit.limits()) return "";
  return fmt::format("the uv limits ({}) leave {} of {} baselines", RangeText(limit), limit.kept, limit.all);
}

}  // namespace contimg
