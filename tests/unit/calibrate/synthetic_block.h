// Blocks with known gains for the calibration tests: random layouts, uvw by rotating the array under a fixed source.
#pragma once

#include <cmath>
#include <complex>
#include <random>
#include <vector>

#include "config/units.h"
#include "ingest/visibility_block.h"

namespace contimg::calibrate::testkit {

struct BlockShape {
  std::size_t n_antennas = 12, n_times = 4, n_windows = 2, channels_per_window = 16;
  double first_hz = 1.31e9, width_hz = 244140.625, integration_s = 12.885, declination_rad = 0.6;
  double extent_m = 2000;
  bool autocorrelations = true;
  std::vector<Polarisation> polarisations{Polarisation::kXX, Polarisation::kYY};
};

inline VisibilityBlock MakeBlock(const BlockShape& shape, unsigned seed = 1) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> place(-0.5 * shape.extent_m, 0.5 * shape.extent_m);
  VisibilityBlock block;
  block.polarisations = shape.polarisations;
  block.channel_width_hz = shape.width_hz;
  for (std::size_t t = 0; t < shape.n_times; ++t) {
    block.time_mjd_s.push_back(60000.0 * 86400 + 1000 + static_cast<double>(t) * shape.integration_s);
    block.integration_s.push_back(shape.integration_s);
  }
  for (std::size_t w = 0; w < shape.n_windows; ++w) {
    block.windows.push_back({static_cast<int>(w), w * shape.channels_per_window, shape.channels_per_window, ""});
  }
  for (std::size_t c = 0; c < shape.n_windows * shape.channels_per_window; ++c) {
    block.frequency_hz.push_back(shape.first_hz + static_cast<double>(c) * shape.width_hz);
  }
  for (std::size_t a = 0; a < shape.n_antennas; ++a) {
    block.antennas.names.push_back(std::to_string(a + 1));
    block.antennas.numbers.push_back(static_cast<int>(a));
    block.antennas.positions_itrf_m.push_back(
        {-2409150.0 + place(random), -4478573.0 + place(random), 3838617.0 + 0.2 * place(random)});
    block.antennas.diameters_m.push_back(4.65);
  }
  for (std::size_t p = 0; p < shape.n_antennas; ++p) {
    for (std::size_t q = p + (shape.autocorrelations ? 0 : 1); q < shape.n_antennas; ++q) {
      block.baselines.push_back({static_cast<int>(p), static_cast<int>(q)});
    }
  }
  block.phase_state = PhaseState::kPhased;
  block.phase_centre = {1.0, shape.declination_rad};
  block.app_dec_rad = shape.declination_rad;
  block.site.longitude_rad = -2.0644;
  block.Allocate();
  std::fill(block.weight.begin(), block.weight.end(), 1.0F);
  block.uvw_m.resize(shape.n_times * block.n_baselines() * 3);
  const double sin_d = std::sin(shape.declination_rad), cos_d = std::cos(shape.declination_rad);
  for (std::size_t t = 0; t < shape.n_times; ++t) {
    const double h = 7.292115e-5 * (block.time_mjd_s[t] - block.time_mjd_s[0]) - 0.01;  // Greenwich-like hour angle
    const double sin_h = std::sin(h), cos_h = std::cos(h);
    for (std::size_t b = 0; b < block.n_baselines(); ++b) {
      const auto& p1 = block.antennas.positions_itrf_m[static_cast<std::size_t>(block.baselines[b].antenna1)];
      const auto& p2 = block.antennas.positions_itrf_m[static_cast<std::size_t>(block.baselines[b].antenna2)];
      const double x = p1[0] - p2[0], y = p1[1] - p2[1], z = p1[2] - p2[2];
      double* uvw = block.uvw_m.data() + (t * block.n_baselines() + b) * 3;
      uvw[0] = sin_h * x + cos_h * y;
      uvw[1] = -sin_d * cos_h * x + sin_d * sin_h * y + cos_d * z;
      uvw[2] = cos_d * cos_h * x - cos_d * sin_h * y + sin_d * z;
    }
  }
  return block;
}

using Gains = std::vector<std::complex<double>>;  // [antenna][channel][receptor]

// Fills vis with g_p M conj(g_q) + noise of complex variance sigma² / weight.
inline void FillVisibilities(VisibilityBlock& block, const std::vector<Visibility>& model, const Gains& gains,
                             double sigma, unsigned seed = 2) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal(0, sigma / std::sqrt(2.0));
  const auto [n_t, n_b, n_c, n_p] = block.shape();
  for (std::size_t t = 0; t < n_t; ++t) {
    for (std::size_t b = 0; b < n_b; ++b) {
      const auto p = static_cast<std::size_t>(block.baselines[b].antenna1);
      const auto q = static_cast<std::size_t>(block.baselines[b].antenna2);
      for (std::size_t c = 0; c < n_c; ++c) {
        for (std::size_t r = 0; r < n_p; ++r) {
          const std::size_t i = ((t * n_b + b) * n_c + c) * n_p + r;
          const std::complex<double> m(model[(t * n_b + b) * n_c + c]);
          const auto g = gains[(p * n_c + c) * 2 + r % 2] * std::conj(gains[(q * n_c + c) * 2 + r % 2]);
          const double scale = 1 / std::sqrt(static_cast<double>(block.weight[i]));
          const std::complex<double> noise(scale * normal(random), scale * normal(random));
          block.vis[i] = Visibility(g * m + noise);
        }
      }
    }
  }
}

inline std::vector<Visibility> ConstantModel(const VisibilityBlock& block, float flux) {
  return std::vector<Visibility>(block.n_times() * block.n_baselines() * block.n_channels(), Visibility(flux, 0));
}

inline ArrayView<const Visibility, 3> ModelView(const VisibilityBlock& block, const std::vector<Visibility>& model) {
  return {model.data(), {block.n_times(), block.n_baselines(), block.n_channels()}};
}

// Random gains of amplitude 0.5 … 1.5 and any phase, smooth along the band by a delay of up to `max_delay_ns`.
inline Gains RandomGains(const VisibilityBlock& block, double max_delay_ns, unsigned seed = 3) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> unit(0, 1);
  Gains gains(block.antennas.size() * block.n_channels() * 2);
  for (std::size_t a = 0; a < block.antennas.size(); ++a) {
    for (std::size_t r = 0; r < 2; ++r) {
      const double amplitude = 0.5 + unit(random), phase = 2 * kPi * unit(random);
      const double delay = max_delay_ns * 1e-9 * (2 * unit(random) - 1);
      for (std::size_t c = 0; c < block.n_channels(); ++c) {
        gains[(a * block.n_channels() + c) * 2 + r] =
            std::polar(amplitude, phase + 2 * kPi * delay * (block.frequency_hz[c] - block.frequency_hz[0]));
      }
    }
  }
  return gains;
}

}  // namespace contimg::calibrate::testkit
