// The flagger's decisions about one line of rms values, one baseline at a time.
#pragma once

#include <cstddef>
#include <vector>

namespace contimg::calibrate {

// Both take `n` rms values, `stride` floats apart; negative ones do not take part. They return the positions whose
// value deviates from the median by more than `threshold` standard deviations (taken about the median), again and again
// without what was found, until nothing deviates. Ascending order is not promised.

// For integrations: the median stays that of all.
std::vector<std::size_t> TimestepOutliers(const float* rms, std::size_t stride, std::size_t n, double threshold);
// For channels: the median is taken anew each time.
std::vector<std::size_t> ChannelOutliers(const float* rms, std::size_t stride, std::size_t n, double threshold);

}  // namespace contimg::calibrate
