// Tiles of random visibilities of a nearly coplanar array, for tests and benchmarks of the imager.
#pragma once

#include <array>
#include <cmath>
#include <complex>
#include <cstddef>
#include <random>
#include <vector>

#include "config/parallel.h"
#include "config/units.h"
#include "ingest/visibility_block.h"
#include "tests/oracle/direct_sum.h"

namespace contimg::image {

struct RandomTile {
  std::size_t n_antennas = 12;
  std::size_t n_times = 5;
  std::size_t n_channels = 32;
  double first_hz = 1.31125e9;
  double channel_hz = 187.5e6 / 768;
  double declination_deg = 16.1;
  double hour_angle_deg = 0;   // of the middle
  double interval_s = 12.885;  // between integrations
  double extent_m = 600;       // half length of the arms
  double height_rms_m = 0.5;   // departure from a plane
  double flagged = 0.1;        // fraction per sample and hand, besides one dead antenna-like baseline
  bool autocorrelations = true;
  unsigned seed = 1;
  std::vector<std::array<double, 3>> east_north_up_m;  // stations; empty: a random T
};

// Stations of a random T with the tile's extent.
inline std::vector<std::array<double, 3>> RandomStations(const RandomTile& tile) {
  std::mt19937 random(tile.seed);
  std::normal_distribution<double> gauss;
  std::uniform_real_distribution<double> uniform(-1, 1);
  std::vector<std::array<double, 3>> stations;
  for (std::size_t i = 0; i < tile.n_antennas; ++i) {
    const double along = tile.extent_m * std::pow(std::fabs(uniform(random)), 1.5) * (i % 4 < 2 ? 1 : -1);
    const double across = 5 * gauss(random);
    stations.push_back({i % 2 == 0 ? along : across, i % 2 == 0 ? across : along, tile.height_rms_m * gauss(random)});
  }
  return stations;
}

// Random complex visibilities, weights and flags; uvw of the station list, seen from latitude 37.23°.
inline VisibilityBlock MakeRandomTile(const RandomTile& tile, int threads = 1) {
  VisibilityBlock block;
  const auto stations = tile.east_north_up_m.empty() ? RandomStations(tile) : tile.east_north_up_m;
  for (std::size_t t = 0; t < tile.n_times; ++t) {
    block.time_mjd_s.push_back(5e9 + tile.interval_s * static_cast<double>(t));
    block.integration_s.push_back(tile.interval_s);
  }
  for (int i = 0; i < static_cast<int>(stations.size()); ++i) {
    for (int j = tile.autocorrelations ? i : i + 1; j < static_cast<int>(stations.size()); ++j) {
      block.baselines.push_back({i, j});
    }
  }
  for (std::size_t k = 0; k < tile.n_channels; ++k) {
    block.frequency_hz.push_back(tile.first_hz + tile.channel_hz * static_cast<double>(k));
  }
  block.channel_width_hz = tile.channel_hz;
  block.windows.push_back({0, 0, tile.n_channels, ""});
  block.polarisations = {Polarisation::kXX, Polarisation::kYY};
  block.phase_state = PhaseState::kPhased;
  block.data_state = DataState::kCorrected;
  block.phase_centre = {1.0, tile.declination_deg * kPi / 180};
  block.group_id = "random";
  const double latitude = 37.23 * kPi / 180;
  const double dec = tile.declination_deg * kPi / 180;
  for (std::size_t t = 0; t < tile.n_times; ++t) {
    const double since_middle =
        (static_cast<double>(t) - 0.5 * static_cast<double>(tile.n_times - 1)) * tile.interval_s;
    const double ha = tile.hour_angle_deg * kPi / 180 + since_middle * 7.2921159e-5;
    for (const Baseline& baseline : block.baselines) {
      const auto& p = stations[static_cast<std::size_t>(baseline.antenna1)];
      const auto& q = stations[static_cast<std::size_t>(baseline.antenna2)];
      const double e = p[0] - q[0], n = p[1] - q[1], up = p[2] - q[2];
      const double x = -std::sin(latitude) * n + std::cos(latitude) * up;
      const double y = e;
      const double z = std::cos(latitude) * n + std::sin(latitude) * up;
      block.uvw_m.push_back(std::sin(ha) * x + std::cos(ha) * y);
      block.uvw_m.push_back(-std::sin(dec) * std::cos(ha) * x + std::sin(dec) * std::sin(ha) * y + std::cos(dec) * z);
      block.uvw_m.push_back(std::cos(dec) * std::cos(ha) * x - std::cos(dec) * std::sin(ha) * y + std::sin(dec) * z);
    }
  }
  block.Allocate();
  const std::size_t row = block.n_channels() * 2;
  ParallelFor(threads, block.n_times() * block.n_baselines(), [&](std::size_t r) {
    std::minstd_rand random(tile.seed * 7919u + static_cast<unsigned>(r) + 1);
    std::uniform_real_distribution<float> uniform(-1, 1);
    const bool dead = r % block.n_baselines() % 17 == 5;
    for (std::size_t i = r * row; i < (r + 1) * row; ++i) {
      block.vis[i] = {uniform(random), uniform(random)};
      block.weight[i] = 1.0f + 0.5f * uniform(random);
      block.flag[i] = dead || uniform(random) < 2 * static_cast<float>(tile.flagged) - 1 ? 1 : 0;
    }
  });
  return block;
}

// The cross-correlation samples of a block as the oracle wants them, with natural weights.
inline std::vector<oracle::DirectSample> OracleSamples(const VisibilityBlock& block) {
  std::vector<oracle::DirectSample> samples;
  samples.reserve(block.n_times() * block.n_baselines() * block.n_channels());
  const auto vis = block.vis_view();
  const auto flag = block.flag_view();
  const auto weight = block.weight_view();
  const auto uvw = block.uvw_view();
  for (std::size_t t = 0; t < block.n_times(); ++t) {
    for (std::size_t b = 0; b < block.n_baselines(); ++b) {
      if (block.baselines[b].is_auto()) continue;
      for (std::size_t k = 0; k < block.n_channels(); ++k) {
        if (flag(t, b, k, 0u) != 0 || flag(t, b, k, 1u) != 0) continue;
        const double per_metre = block.frequency_hz[k] / kSpeedOfLight;
        const double w0 = weight(t, b, k, 0u);
        const double w1 = weight(t, b, k, 1u);
        samples.push_back({uvw(t, b, 0u) * per_metre, uvw(t, b, 1u) * per_metre, uvw(t, b, 2u) * per_metre,
                           0.5 * (std::complex<double>(vis(t, b, k, 0u)) + std::complex<double>(vis(t, b, k, 1u))),
                           4 / (1 / w0 + 1 / w1)});
      }
    }
  }
  return samples;
}

}  // namespace contimg::image
