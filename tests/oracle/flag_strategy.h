// The flagger of calibrate/flag_rfi.h for one plane, written from its definition: slow, scalar, double precision.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace contimg::oracle {

// Amplitudes and flags (1 = bad) of one baseline and polarisation, [time][channel].
struct Plane {
  Plane(std::size_t times, std::size_t channels)
      : n_times(times), n_channels(channels), value(times * channels), flag(times * channels) {}
  std::size_t n_times, n_channels;
  std::vector<double> value;
  std::vector<std::uint8_t> flag;
};

// Noise of the unflagged values: mode of the Rayleigh distribution of the same power, values above the 90th percentile
// being put to it.
double WinsorizedMode(const Plane& plane);

// SumThreshold from an empty mask; `limit` for single samples. Flags of `plane` are replaced.
void SumThreshold(Plane& plane, double limit);

// Flags a sample when some interval that holds it has no larger fraction of good samples than eta; tries all.
void ScaleInvariantRank(Plane& plane, double eta_times, double eta_channels);

// Integrations or channels whose rms deviates from the median by more than `threshold` standard deviations.
void FlagTimesteps(Plane& plane, double threshold);
void FlagChannels(Plane& plane, double threshold);

// The plane less its smooth background (mean of three integrations, Gaussian kernels of variance 2.5 and 5).
Plane WithoutBackground(const Plane& original, const std::vector<std::uint8_t>& flag);

// The whole search on the amplitudes of all polarisations of one baseline with the default settings; joint flags.
std::vector<std::uint8_t> FindInterference(const std::vector<Plane>& amplitudes);

}  // namespace contimg::oracle
