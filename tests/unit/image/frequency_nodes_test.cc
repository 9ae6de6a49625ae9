#include "image/operator/frequency_nodes.h"

#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <random>

#include "config/units.h"

namespace contimg::image {
namespace {

std::vector<double> Channels(std::size_t n, double width_hz) {
  std::vector<double> channels;
  for (std::size_t k = 0; k < n; ++k) channels.push_back(1.3e9 + width_hz * static_cast<double>(k));
  return channels;
}

// rms over delays and channels of exp(2πiντ) minus its interpolation from the nodes.
double InterpolationError(const FrequencyNodes& set, const std::vector<double>& channels) {
  std::mt19937 random(3);
  std::uniform_real_distribution<double> delay(-set.max_delay_s, set.max_delay_s);
  double square = 0;
  constexpr int kDelays = 60;
  for (int i = 0; i < kDelays; ++i) {
    const double tau = delay(random);
    for (std::size_t k = 0; k < channels.size(); ++k) {
      std::complex<double> sum = std::polar(1.0, 2 * kPi * std::remainder(channels[k] * tau, 1.0));
      for (int tap = 0; tap < set.taps; ++tap) {
        const double hz = set.frequency_hz[static_cast<std::size_t>(set.first[k] + tap)];
        sum -= static_cast<double>(set.coefficients[k * FrequencyNodes::kMaxTaps + static_cast<std::size_t>(tap)]) *
               std::polar(1.0, 2 * kPi * std::remainder(hz * tau, 1.0));
      }
      square += std::norm(sum);
    }
  }
  return std::sqrt(square / (kDelays * static_cast<double>(channels.size())));
}

TEST(FrequencyCompression, InterpolatesEveryDelayOfASetToTheRequestedError) {
  const std::vector<double> channels = Channels(256, 732421.875);
  for (const double error : {1e-3, 1e-5, 3e-7}) {
    const FrequencyCompression compression(channels, {2e-7, error, 2});
    // The bound holds at the worst position between nodes; float coefficients add about 1e-7.
    for (const FrequencyNodes& set : compression.sets()) {
      EXPECT_LE(InterpolationError(set, channels), 1.05 * error + 1.5e-7) << set.size() << " nodes";
    }
  }
}

TEST(FrequencyCompression, GivesShortDelaysFewNodesAndNeverMoreThanChannels) {
  const std::vector<double> channels = Channels(768, 244140.625);
  const FrequencyCompression compression(channels, {4e-7, 1e-5, 1});
  EXPECT_LE(compression.sets()[compression.SetFor(0)].size(), 4u);
  EXPECT_LE(compression.sets()[compression.SetFor(1e-7)].size(), 110u);
  for (std::size_t i = 1; i < compression.sets().size(); ++i) {
    EXPECT_GT(compression.sets()[i].max_delay_s, compression.sets()[i - 1].max_delay_s);
    EXPECT_LE(compression.sets()[i].size(), channels.size());
  }
}

TEST(FrequencyCompression, LeavesChannelsAloneWhereNothingIsGained) {
  for (const std::size_t n : {1u, 2u, 5u}) {
    const std::vector<double> channels = Channels(n, 40e6);
    const FrequencyCompression compression(channels, {5e-7, 1e-5, 1});
    const FrequencyNodes& set = compression.sets()[compression.SetFor(5e-7)];
    EXPECT_EQ(set.frequency_hz, channels);
    EXPECT_EQ(set.taps, 1);
  }
}

TEST(FrequencyCompression, BridgesGapsInTheBand) {
  std::vector<double> channels = Channels(256, 732421.875);
  channels.erase(channels.begin() + 60, channels.begin() + 130);
  const FrequencyCompression compression(channels, {1e-7, 1e-5, 1});
  EXPECT_LE(InterpolationError(compression.sets().back(), channels), 1.1e-5);
}

}  // namespace
}  // namespace contimg::image
