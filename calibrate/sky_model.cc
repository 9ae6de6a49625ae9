#include "calibrate/sky_model.h"

#include <fmt/format.h>

#include <cctype>
#include <cmath>

#include "config/error.h"
#include "config/units.h"

namespace contimg::calibrate {

namespace {

// Upper case without separators: "3c 286" -> "3C286", "J1331+3030" keeps its sign.
std::string Canonical(std::string_view name) {
  std::string out;
  for (char c : name) {
    if (c == ' ' || c == '_') continue;
    out += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return out;
}

// Position names of a standard: "1331+3030" as published and the VLA list's "1331+305" (tenths of a degree).
bool MatchesPosition(std::string_view given, const FluxStandard& standard) {
  if (!given.empty() && given.front() == 'J') given.remove_prefix(1);
  if (given == standard.j2000_name.substr(1)) return true;
  const int minutes = static_cast<int>(standard.ra_deg * 4);
  const int tenths = static_cast<int>(std::abs(standard.dec_deg) * 10);
  return given ==
         fmt::format("{:02d}{:02d}{}{:03d}", minutes / 60, minutes % 60, standard.dec_deg < 0 ? '-' : '+', tenths);
}

}  // namespace

double SkySource::FluxJy(double frequency_hz) const {
  if (log_coefficients.empty()) return flux_jy * std::pow(frequency_hz / reference_hz, spectral_index);
  const double x = std::log10(frequency_hz * 1e-9);
  double log_flux = 0;
  for (std::size_t i = log_coefficients.size(); i-- > 0;) log_flux = log_flux * x + log_coefficients[i];
  return std::pow(10.0, log_flux);
}

bool IsSameSource(const SkyDirection& a, const SkyDirection& b) { return Separation(a, b).arcsec() <= 60; }

const std::vector<FluxStandard>& PerleyButler2017() {
  // Coefficients and ranges: Perley & Butler 2017, as distributed with CASA (PerleyButler2017Coeffs of 2017-07-25).
  // Positions: the NRAO VLA calibrator list and the NASA Extragalactic Database.
  static const std::vector<FluxStandard> standards = {
      {"J0133-3629", "J0133-3629", 23.49042, -36.49325, 0.2, 4, {1.044, -0.6619, -0.2252}, true},
      {"3C48", "J0137+3309", 24.4220808, 33.1597594, 0.05, 50, {1.3253, -0.7553, -0.1914, 0.0498}, false, true},
      {"FORNAX_A", "J0322-3712", 50.67383, -37.20822, 0.2, 0.5, {2.2175, -0.6606}, true},
      {"3C123", "J0437+2940", 69.26823, 29.67051, 0.05, 50, {1.8017, -0.7884, -0.1035, -0.0248, 0.009}, true},
      {"J0444-2809", "J0444-2809", 71.15708, -28.16528, 0.2, 2, {0.971, -0.8938, -0.1176}, true},
      {"3C138",
       "J0521+1638",
       80.2911917,
       16.6394586,
       0.2,
       50,
       {1.0088, -0.4981, -0.1552, -0.0102, 0.0223},
       false,
       true},
      {"PICTOR_A", "J0519-4546", 79.95717, -45.77883, 0.2, 4, {1.938, -0.747, -0.0739}, true},
      {"TAURUS_A", "J0534+2200", 83.63308, 22.0145, 0.05, 4, {2.9516, -0.2173, -0.0473, -0.0674}, true, true},
      {"3C147",
       "J0542+4951",
       85.6505746,
       49.8520094,
       0.05,
       50,
       {1.4516, -0.6961, -0.2007, 0.064, -0.0464, 0.0289},
       false,
       true},
      {"3C196", "J0813+4813", 123.4001379, 48.2173783, 0.05, 50, {1.2872, -0.853, -0.1534, -0.02, 0.0201}, false},
      {"HYDRA_A", "J0918-1205", 139.52388, -12.09567, 0.05, 12, {1.7795, -0.9176, -0.0843, -0.0139, 0.0295}, true},
      {"VIRGO_A", "J1230+1223", 187.70593, 12.39112, 0.05, 3, {2.4466, -0.8116, -0.0483}, true},
      {"3C286", "J1331+3030", 202.7845329, 30.5091550, 0.05, 50, {1.2481, -0.4507, -0.1798, 0.0357}, false},
      {"3C295", "J1411+5212", 212.8354958, 52.2027694, 0.05, 50, {1.4701, -0.7658, -0.278, -0.0347, 0.0399}, false},
      {"HERCULES_A", "J1651+0459", 252.78394, 4.99259, 0.2, 12, {1.8298, -1.0247, -0.0951}, true},
      {"3C353", "J1720-0058", 260.11733, -0.97958, 0.2, 4, {1.8627, -0.6938, -0.0998, -0.0732}, true},
      {"3C380",
       "J1829+4844",
       277.3824204,
       48.7461556,
       0.05,
       4,
       {1.232, -0.7909, 0.0947, 0.0976, -0.1794, -0.1566},
       false},
      {"CYGNUS_A", "J1959+4044", 299.86815, 40.73392, 0.05, 12, {3.3498, -1.0022, -0.2246, 0.0227, 0.0425}, true},
      {"3C444", "J2214-1701", 333.6072, -17.02661, 0.2, 12, {1.1064, -1.0052, -0.075, -0.0767}, true},
      {"CASSIOPEIA_A", "J2323+5848", 350.85, 58.815, 0.2, 4, {3.3584, -0.7518, -0.0347, -0.0705}, true, true},
  };
  return standards;
}

const FluxStandard* FindFluxStandard(std::string_view name) {
  const std::string wanted = Canonical(name);
  for (const FluxStandard& standard : PerleyButler2017()) {
    if (wanted == Canonical(standard.name) || MatchesPosition(wanted, standard)) return &standard;
  }
  return nullptr;
}

SkySource SourceOf(const FluxStandard& standard, double from_hz, double to_hz) {
  const std::string name(standard.name);
  if (from_hz < standard.from_ghz * 1e9 || to_hz > standard.to_ghz * 1e9) {
    throw Error(ErrorKind::kBadInput, "calibrate", name,
                "the Perley-Butler 2017 fit holds from " + std::to_string(standard.from_ghz) + " to " +
                    std::to_string(standard.to_ghz) + " GHz, the data span " + std::to_string(from_hz * 1e-9) + " to " +
                    std::to_string(to_hz * 1e-9) + " GHz");
  }
  SkySource source;
  source.name = name;
  source.ra_rad = Angle::Degrees(standard.ra_deg).rad();
  source.dec_rad = Angle::Degrees(standard.dec_deg).rad();
  source.log_coefficients = standard.coefficients;
  source.valid_from_hz = standard.from_ghz * 1e9;
  source.valid_to_hz = standard.to_ghz * 1e9;
  source.flux_jy = source.FluxJy(source.reference_hz);
  source.extended = standard.extended;
  source.variable = standard.variable;
  return source;
}

void CheckModel(const std::vector<SkySource>& sources) {
  double sum = 0;
  for (const SkySource& source : sources) {
    const double flux = source.FluxJy(source.reference_hz);
    if (!std::isfinite(flux) || flux < 0) {
      throw Error(ErrorKind::kBadInput, "calibrate", source.name, "has no usable flux density");
    }
    sum += flux;
  }
  if (!(sum > 0)) {
    throw Error(ErrorKind::kBadInput, "calibrate", "sky model",
                sources.empty() ? "holds no source" : "has zero flux density");
  }
}

}  // namespace contimg::calibrate
