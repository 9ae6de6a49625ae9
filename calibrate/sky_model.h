// Point sources with spectra: what a calibration model is made of.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/units.h"

namespace contimg::calibrate {

struct SkySource {
  std::string name;
  double ra_rad = 0, dec_rad = 0;  // ICRS
  // Flux density at `reference_hz` with S ∝ ν^spectral_index …
  double flux_jy = 0;
  double reference_hz = 1.4e9;
  double spectral_index = -0.7;
  // … unless coefficients a_i of log10(S/Jy) = Σ a_i (log10 ν/GHz)^i are given, with their valid range.
  std::vector<double> log_coefficients;
  double valid_from_hz = 0, valid_to_hz = 0;
  bool extended = false;  // larger than a point for this array: a poor calibrator
  bool variable = false;

  double FluxJy(double frequency_hz) const;
};
inline SkyDirection DirectionOf(const SkySource& source) {
  return {Angle::Radians(source.ra_rad), Angle::Radians(source.dec_rad)};
}
// Catalogue entries within an arcminute of each other are taken for one source.
bool IsSameSource(const SkyDirection& a, const SkyDirection& b);

// One source of the Perley & Butler 2017 flux scale (ApJS 230, 7, tables 6 and 7), epoch 2017.
struct FluxStandard {
  std::string_view name;        // "3C286"
  std::string_view j2000_name;  // "J1331+3030"
  double ra_deg, dec_deg;       // J2000
  double from_ghz, to_ghz;      // valid range of the fit
  std::vector<double> coefficients;
  bool extended;          // resolved by a 10" beam
  bool variable = false;  // Perley & Butler 2013 (ApJS 204, 19) and 2017: changes by per cents within years
};
const std::vector<FluxStandard>& PerleyButler2017();

// The standard of that name (case, spaces, '-' and '_' do not matter, "3C 286" = "3C286" = "J1331+305"), or null.
const FluxStandard* FindFluxStandard(std::string_view name);

// As a source. Throws Error{kBadInput} when [from_hz, to_hz] leaves the valid range of the fit.
SkySource SourceOf(const FluxStandard& standard, double from_hz, double to_hz);

// Throws Error{kBadInput} when `sources` is empty or any flux is missing, not finite or the sum is zero: a model never
// gets a default flux.
void CheckModel(const std::vector<SkySource>& sources);

}  // namespace contimg::calibrate
