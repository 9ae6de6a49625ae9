// A small tile as the reader hands it over, for tests: a few antennas of the telescope, random visibilities.
#pragma once

#include <cmath>
#include <random>

#include "config/telescope.h"
#include "config/time.h"
#include "ingest/visibility_block.h"

namespace contimg::convert {

struct TestBlockShape {
  int n_antennas = 5;
  int n_times = 3;
  int n_windows = 2;
  int n_channels = 7;  // per window
  int n_pols = 2;
};

inline VisibilityBlock MakeTestBlock(const TestBlockShape& shape = {}, double app_dec_rad = 0.95,
                                     const char* start = "2025-10-13T13:28:03") {
  VisibilityBlock block;
  const auto& stations = Dsa110Stations();
  for (int i = 0; i < shape.n_antennas; ++i) {
    const Station& station = stations[static_cast<std::size_t>(i * 116 / std::max(shape.n_antennas - 1, 1))];
    const Itrf position = ToItrf(station.position());
    block.antennas.names.push_back(std::to_string(station.number));
    block.antennas.numbers.push_back(station.number - 1);
    block.antennas.positions_itrf_m.push_back({position[0], position[1], position[2]});
    block.antennas.diameters_m.push_back(kDsa110DishDiameterM);
  }
  for (int a = 0; a < shape.n_antennas; ++a) {
    for (int b = a; b < shape.n_antennas; ++b) {
      Baseline baseline;
      baseline.antenna1 = a;
      baseline.antenna2 = b;
      block.baselines.push_back(baseline);
    }
  }
  const UtcTime t0 = UtcTime::FromIso8601(start);
  for (int t = 0; t < shape.n_times; ++t) {
    block.time_mjd_s.push_back((t0 + t * kDsa110IntegrationS).mjd_s());
    block.integration_s.push_back(kDsa110IntegrationS);
  }
  block.channel_width_hz = kDsa110ChannelWidthHz;
  for (int w = 0; w < shape.n_windows; ++w) {
    SpectralWindow window;
    window.subband = shape.n_windows - 1 - w;
    window.first_channel = block.frequency_hz.size();
    window.n_channels = static_cast<std::size_t>(shape.n_channels);
    window.input_path = "sb" + std::to_string(window.subband) + ".hdf5";
    block.windows.push_back(window);
    for (int k = 0; k < shape.n_channels; ++k) {
      block.frequency_hz.push_back(1.311e9 + (w * 48 + k) * kDsa110ChannelWidthHz);
    }
  }
  const Polarisation all[] = {Polarisation::kXX, Polarisation::kXY, Polarisation::kYX, Polarisation::kYY};
  if (shape.n_pols == 4) {
    block.polarisations.assign(all, all + 4);
  } else if (shape.n_pols == 2) {
    block.polarisations = {Polarisation::kXX, Polarisation::kYY};
  } else {
    block.polarisations = {Polarisation::kXX};
  }
  block.site = {kDsa110Centre.latitude_rad, kDsa110Centre.longitude_rad, kDsa110Centre.height_m, "telescope"};
  block.app_dec_rad = app_dec_rad;
  block.pointing = {Pointing::Kind::kDrift, block.site.longitude_rad, app_dec_rad, {}, true, "the test"};
  block.group_id = start;
  block.telescope_name = "OVRO_MMA";
  block.instrument = "DSA";
  block.object_name = "search";
  block.Allocate();
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  for (Visibility& v : block.vis) v = {normal(random), normal(random)};
  for (float& w : block.weight) w = static_cast<float>(random() % 97);
  for (std::uint8_t& f : block.flag) f = random() % 11 == 0 ? 1 : 0;
  return block;
}

}  // namespace contimg::convert
