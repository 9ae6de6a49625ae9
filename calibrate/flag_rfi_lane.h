// The flagger's decisions that are made for one baseline at a time.
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

// Whether a mean spectrum (`n` values, `stride` floats apart, negative: none) is rough: the median of its absolute
// second differences is more than three times what means with the typical difference `noise` between two of them would
// have.
bool IsRough(const float* spectrum, std::size_t stride, std::size_t n, float noise);

// Where the amplitudes of one baseline lie: at [time · time_stride + channel · channel_stride].
struct PlaneShape {
  std::size_t n_times, n_channels, time_stride, channel_stride;
};
// Divides each channel by its median over time and multiplies by the median of these. Zeros are missing samples. A
// channel of more than three times the median of its four neighbours on either side is divided by that, so that strong
// carriers stay. Returns the median that it brings the channels to.
float FlattenBand(float* amplitude, const PlaneShape& shape);

}  // namespace contimg::calibrate
