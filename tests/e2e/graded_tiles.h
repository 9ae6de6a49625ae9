// Good tiles and tiles spoiled in ten ways, for the grades of images: visibilities by a direct sum over point sources
// on a small T-shaped array with outriggers, phased to the centre. Everything about a tile follows from its number.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <complex>
#include <cstdint>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "ingest/visibility_block.h"

namespace contimg::oracle {

enum class Spoiling {
  kNone,
  kNoPhases,       // every antenna has a phase of its own, constant: never calibrated
  kWrongGains,     // phases off by 50° to 100° rms, amplitudes by 30 %: the table of another day
  kAbsurdRows,     // 1e6 Jy in 0.01 to 10 % of the rows
  kInterference,   // a carrier in a few channels and a burst, on all baselines
  kLostAntennas,   // a quarter to a half of the antennas see noise only
  kWrongPlace,     // coordinates off by one to four beams
  kWrongScale,     // fluxes off by 25 to 60 %, either way
  kFewData,        // 85 to 97 % NaN or flagged
  kSidelobesOnly,  // a strong source far outside the image, and noise
  kCleanCutShort,  // CLEAN has no time to finish
};
constexpr std::array<Spoiling, 10> kSpoilings = {
    Spoiling::kNoPhases,      Spoiling::kWrongGains,   Spoiling::kAbsurdRows, Spoiling::kInterference,
    Spoiling::kLostAntennas,  Spoiling::kWrongPlace,   Spoiling::kWrongScale, Spoiling::kFewData,
    Spoiling::kSidelobesOnly, Spoiling::kCleanCutShort};
inline const char* NameOf(Spoiling s) {
  constexpr std::array<const char*, 11> kNames = {"good",         "no phases",      "wrong gains",    "absurd rows",
                                                  "interference", "lost antennas",  "wrong place",    "wrong scale",
                                                  "few data",     "sidelobes only", "CLEAN cut short"};
  return kNames[static_cast<std::size_t>(s)];
}

struct GradedTile {
  VisibilityBlock block;
  std::string catalogue;  // CSV of the true sky; spoiled tiles and every other good one have one
  bool cut_clean_short = false;
};

constexpr double kGradedPi = 3.14159265358979323846;
constexpr double kGradedCellArcsec = 5;
constexpr std::size_t kGradedSize = 512;

class GradedTileMaker {
 public:
  GradedTileMaker(Spoiling spoiling, unsigned number)
      : spoiling_(spoiling), random_(1000 * static_cast<unsigned>(spoiling) + number), number_(number) {}

  GradedTile Make() {
    PlaceAntennas();
    MakeAxes();
    MakeSky();
    MakeGains();
    Fill();
    SpoilSamples();
    GradedTile tile;
    if (spoiling_ != Spoiling::kNone || number_ % 2 == 0) tile.catalogue = Catalogue();
    tile.cut_clean_short = spoiling_ == Spoiling::kCleanCutShort;
    tile.block = std::move(block_);
    return tile;
  }

 private:
  struct Star {
    double l, m, flux_jy;
    bool listed;
  };
  double Uniform(double low, double high) { return std::uniform_real_distribution<double>(low, high)(random_); }
  double Normal() { return normal_(random_); }
  bool Spoiled(Spoiling s) const { return spoiling_ == s; }

  // East and north in metres: two arms and outriggers.
  void PlaceAntennas() {
    const int n = static_cast<int>(Uniform(28, 44));
    for (int a = 0; a < n; ++a) {
      const double along = Uniform(-450, 450), kind = Uniform(0, 1);
      if (kind < 0.42) {
        place_.push_back({along, 0});
      } else if (kind < 0.72) {
        place_.push_back({0, along});
      } else {
        place_.push_back({Uniform(-1300, 1300), Uniform(-1300, 1300)});
      }
      block_.antennas.names.push_back(std::to_string(a + 1));
      block_.antennas.numbers.push_back(a);
      block_.antennas.positions_itrf_m.push_back({0, 0, 0});
      block_.antennas.diameters_m.push_back(4.65);
    }
    for (int a = 0; a < n; ++a) {
      for (int b = a; b < n; ++b) block_.baselines.push_back({a, b});
    }
  }

  void MakeAxes() {
    for (int t = 0; t < 8; ++t) {
      block_.time_mjd_s.push_back(5.2e9 + 13.0 * t);
      block_.integration_s.push_back(0.1);  // no smearing
    }
    for (int k = 0; k < 16; ++k) block_.frequency_hz.push_back(1.311e9 + 11.7e6 * k);
    block_.channel_width_hz = 1e4;
    block_.windows = {{0, 0, block_.frequency_hz.size(), ""}};
    block_.polarisations = {Polarisation::kXX, Polarisation::kYY};
    block_.phase_state = PhaseState::kPhased;
    block_.phase_centre = {Uniform(0, 6.28), Uniform(-30, 75) * kGradedPi / 180};
    block_.telescope_name = "TEST";
    block_.Allocate();
    block_.uvw_m.resize(block_.n_times() * block_.n_baselines() * 3);
    const double tilt = 37.23 * kGradedPi / 180 - block_.phase_centre.dec_rad;
    for (std::size_t t = 0; t < block_.n_times(); ++t) {
      const double turn = 7.3e-5 * 13.0 * static_cast<double>(t);
      for (std::size_t b = 0; b < block_.n_baselines(); ++b) {
        const auto& one = place_[static_cast<std::size_t>(block_.baselines[b].antenna1)];
        const auto& two = place_[static_cast<std::size_t>(block_.baselines[b].antenna2)];
        const double x = two[0] - one[0], y = two[1] - one[1];
        double* uvw = &block_.uvw_m[(t * block_.n_baselines() + b) * 3];
        uvw[0] = x * std::cos(turn) - y * std::sin(turn) * std::sin(tilt);
        uvw[1] = y * std::cos(tilt) + x * std::sin(turn) * std::sin(block_.phase_centre.dec_rad);
        uvw[2] = y * std::sin(tilt);
      }
    }
  }

  // Fluxes as dN/dS ~ S^-2 above a limit, now and then one source that outshines all; some faint ones off the list and
  // outside the image.
  void MakeSky() {
    noise_jy_ = Uniform(0.3, 1.5);
    const double rms = noise_jy_ / std::sqrt(2.0 * 16 * 8 * static_cast<double>(block_.n_baselines()));
    rms_jy_ = rms;
    const double half = kGradedSize / 2.0 * kGradedCellArcsec / 206264.8;
    // An empty field is no fault; a spoiled one must have something to spoil.
    const bool empty = Spoiled(Spoiling::kNone) && number_ % 10 == 7;
    const int n = empty ? 0 : static_cast<int>(Uniform(8, 40));
    for (int i = 0; i < n; ++i) {
      const double flux = std::min(1.0, 20 * rms / Uniform(0.01, 1));
      sky_.push_back({Uniform(-0.9, 0.9) * half, Uniform(-0.9, 0.9) * half, flux, true});
    }
    if (!empty && Uniform(0, 1) < 0.3) sky_.front().flux_jy = Uniform(1, 5);
    for (int i = 0; i < 10; ++i) {
      sky_.push_back({Uniform(-1.3, 1.3) * half, Uniform(-1.3, 1.3) * half, Uniform(0.2, 3) * rms, false});
    }
    if (Spoiled(Spoiling::kSidelobesOnly)) {
      sky_ = {{Uniform(2, 4) * half, Uniform(-3, 3) * half, Uniform(100, 1000) * rms, false}};
    }
  }

  void MakeGains() {
    const double phase_rms = Spoiled(Spoiling::kWrongGains) ? Uniform(50, 100) : Uniform(0, 2);
    const double amplitude_rms = Spoiled(Spoiling::kWrongGains) ? 0.3 : Uniform(0, 0.02);
    const double scale =
        Spoiled(Spoiling::kWrongScale) ? (Uniform(0, 1) < 0.5 ? Uniform(1.25, 1.6) : 1 / Uniform(1.3, 1.6)) : 1;
    for (std::size_t a = 0; a < place_.size(); ++a) {
      const double phase =
          Spoiled(Spoiling::kNoPhases) ? Uniform(0, 2 * kGradedPi) : phase_rms * kGradedPi / 180 * Normal();
      gains_.push_back(std::polar(std::sqrt(scale) * std::exp(amplitude_rms * Normal()), phase));
    }
    if (Spoiled(Spoiling::kLostAntennas)) {
      const std::size_t lost = static_cast<std::size_t>(Uniform(0.25, 0.5) * static_cast<double>(place_.size()));
      for (std::size_t i = 0; i < lost; ++i) gains_[(i * 3 + 1) % gains_.size()] = 0;
    }
  }

  void Fill() {
    const auto vis = block_.vis_view();
    const auto flag = block_.flag_view();
    std::fill(block_.weight.begin(), block_.weight.end(), 1.0F);
    // Up to a quarter of the subbands never came; a few antennas are flagged; stray flags.
    std::vector<bool> missing(block_.n_channels()), dead(place_.size());
    for (int i = 0, n = static_cast<int>(Uniform(0, 4.99)); i < n; ++i)
      missing[static_cast<std::size_t>(Uniform(0, 15.99))] = true;
    for (int i = 0, n = static_cast<int>(Uniform(0, 3.99)); i < n; ++i) {
      dead[static_cast<std::size_t>(Uniform(0, static_cast<double>(place_.size()) - 0.01))] = true;
    }
    const double stray = Uniform(0, 0.1);
    for (std::size_t t = 0; t < block_.n_times(); ++t) {
      for (std::size_t b = 0; b < block_.n_baselines(); ++b) {
        const double* uvw = &block_.uvw_m[(t * block_.n_baselines() + b) * 3];
        const auto a1 = static_cast<std::size_t>(block_.baselines[b].antenna1),
                   a2 = static_cast<std::size_t>(block_.baselines[b].antenna2);
        const std::complex<double> gain = gains_[a1] * std::conj(gains_[a2]);
        for (std::size_t k = 0; k < block_.n_channels(); ++k) {
          const double wavenumber = 2 * kGradedPi * block_.frequency_hz[k] / 299792458.0;
          std::complex<double> sum = 0;
          if (gain != 0.0 && !missing[k]) {
            for (const Star& s : sky_) {
              const double n1 = std::sqrt(1 - s.l * s.l - s.m * s.m) - 1;
              sum += std::polar(s.flux_jy, wavenumber * (uvw[0] * s.l + uvw[1] * s.m + uvw[2] * n1));
            }
          }
          sum *= gain;
          const bool bad = missing[k] || dead[a1] || dead[a2] || Uniform(0, 1) < stray;
          for (std::size_t p = 0; p < 2; ++p) {
            vis(t, b, k, p) = Visibility(static_cast<float>(sum.real() + noise_jy_ * Normal()),
                                         static_cast<float>(sum.imag() + noise_jy_ * Normal()));
            flag(t, b, k, p) = bad ? 1 : 0;
          }
        }
      }
    }
  }

  void SpoilSamples() {
    const auto vis = block_.vis_view();
    const auto flag = block_.flag_view();
    const std::size_t rows = block_.n_times() * block_.n_baselines(), row = block_.n_channels() * 2;
    if (Spoiled(Spoiling::kAbsurdRows)) {
      const auto n =
          std::max<std::size_t>(1, static_cast<std::size_t>(std::pow(10, Uniform(-4, -1)) * static_cast<double>(rows)));
      for (std::size_t hit = 0; hit < n;) {
        const auto r = static_cast<std::size_t>(Uniform(0, static_cast<double>(rows) - 0.01));
        if (block_.baselines[r % block_.n_baselines()].is_auto()) continue;
        const std::uint8_t* flags = &block_.flag[r * row];
        if (std::all_of(flags, flags + row, [](std::uint8_t f) { return f != 0; })) continue;
        std::fill_n(&block_.vis[r * row], row, Visibility(1e6F, 0));
        ++hit;
      }
    }
    if (Spoiled(Spoiling::kInterference)) {
      // A transmitter on the ground: fringes as the array stops them, a path of its own to each antenna.
      const double level = noise_jy_ * Uniform(3, 100);
      std::vector<double> path;
      for (std::size_t a = 0; a < place_.size(); ++a) path.push_back(Uniform(0, 2 * kGradedPi));
      const std::size_t carrier = static_cast<std::size_t>(Uniform(4, 12)),
                        burst = static_cast<std::size_t>(Uniform(0, 7.9));
      for (std::size_t t = 0; t < block_.n_times(); ++t) {
        for (std::size_t b = 0; b < block_.n_baselines(); ++b) {
          const double turn = path[static_cast<std::size_t>(block_.baselines[b].antenna1)] -
                              path[static_cast<std::size_t>(block_.baselines[b].antenna2)];
          const auto wave = Visibility(std::polar(level, turn));
          for (std::size_t k = 0; k < block_.n_channels(); ++k) {
            if (k / 2 != carrier / 2 && t != burst) continue;
            for (std::size_t p = 0; p < 2; ++p) {
              vis(t, b, k, p) += wave;
              flag(t, b, k, p) = 0;
            }
          }
        }
      }
    }
    if (Spoiled(Spoiling::kFewData)) {
      const double part = Uniform(0.85, 0.97);
      for (std::size_t i = 0; i < block_.flag.size(); ++i) {
        if (Uniform(0, 1) < part) block_.flag[i] = 1;
      }
    }
  }

  std::string Catalogue() {
    const double shift = Spoiled(Spoiling::kWrongPlace) ? Uniform(40, 150) / 206264.8 : 0,
                 towards = Uniform(0, 2 * kGradedPi);
    std::string text = "ra_deg,dec_deg,flux_jy,alpha\n";
    for (const Star& s : sky_) {
      if (!s.listed) continue;
      const double l = s.l + shift * std::cos(towards), m = s.m + shift * std::sin(towards);
      // Inverse of the SIN projection.
      const double d0 = block_.phase_centre.dec_rad, n = std::sqrt(1 - l * l - m * m);
      const double dec = std::asin(m * std::cos(d0) + n * std::sin(d0));
      const double ra = block_.phase_centre.ra_rad + std::atan2(l, n * std::cos(d0) - m * std::sin(d0));
      char line[120];
      std::snprintf(line, sizeof line, "%.9f,%.9f,%.6f,0\n", std::fmod(ra * 180 / kGradedPi + 360, 360.0),
                    dec * 180 / kGradedPi, s.flux_jy * (1 + 0.03 * Normal()));
      text += line;
    }
    if (Spoiled(Spoiling::kSidelobesOnly)) {  // what should be there
      for (int i = 0; i < 8; ++i) {
        char line[120];
        std::snprintf(line, sizeof line, "%.9f,%.9f,%.6f,0\n", block_.phase_centre.ra_rad * 180 / kGradedPi,
                      block_.phase_centre.dec_rad * 180 / kGradedPi + 0.03 * (i - 4), 30 * rms_jy_);
        text += line;
      }
    }
    return text;
  }

  Spoiling spoiling_;
  std::mt19937 random_;
  unsigned number_;
  std::normal_distribution<double> normal_{0, 1};
  VisibilityBlock block_;
  std::vector<std::array<double, 2>> place_;
  std::vector<Star> sky_;
  std::vector<std::complex<double>> gains_;
  double noise_jy_ = 1, rms_jy_ = 0;
};

}  // namespace contimg::oracle
