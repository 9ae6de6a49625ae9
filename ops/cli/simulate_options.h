// What `contimg simulate` can be told.
#pragma once

#include <CLI/CLI.hpp>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "config/machine.h"
#include "config/telescope.h"
#include "tests/simulator/simulate.h"

namespace contimg::ops {

struct SimulateOptions {
  std::filesystem::path out, truth;
  std::string start, transit, antennas, dead, dead_pol, dead_from, late, missing, rfi;
  double dec_deg = std::numeric_limits<double>::quiet_NaN();
  int tiles = 1, days = 1, pairs = 0;
  double hours = 0;
  int integrations = kDsa110IntegrationsPerFile, channels = kDsa110ChannelsPerSubband, subbands = kDsa110Subbands;
  bool sizes = false, realtime = false, json = false, no_noise = false, no_beam = false, rfi_mask = false;
  double pace = 1;
  std::filesystem::path catalog;
  double alpha = simulator::kTypicalSpectralIndex, radius_deg = 5, random_mjy = 0, calibrator_jy = 0;
  std::size_t max_sources = 1000;
  std::vector<std::string> sources;
  double sefd_jy = kDsa110SefdJy, delays_ns = 0, bandpass = 0, stamp_jitter_s = 0;
  std::vector<double> gains, drift, rfi_flux, pair_widths, pair_flux, pair_beam{34.4, 16.4, 93};
  std::uint64_t seed = 1;
  int threads = AvailableProcessors();
};

void AddSimulateOptions(CLI::App* command, SimulateOptions& options);

}  // namespace contimg::ops
