// Facts of the DSA-110: stations, site, band, correlator timing, dish and its beam. C++17-clean.
//
// These are the facts that the simulator and the product share; anything that a file's header states (antenna
// positions, diameters, frequencies) is taken from the file instead. Sources: station coordinates and the centre of the
// T from the observatory's dsa110-antpos package (DSA110_Station_Coordinates.csv of 2022-02-15); correlator facts from
// its dsa110-meridian-fs writer.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>

#include "config/units.h"

namespace contimg {

// A point on or above the WGS84 ellipsoid.
struct Geodetic {
  double latitude_rad = 0;
  double longitude_rad = 0;  // east positive
  double height_m = 0;       // above the ellipsoid
};

// Earth-centred, Earth-fixed (ITRF) coordinates in metres: x towards longitude 0, z towards the pole.
using Itrf = std::array<double, 3>;

// WGS84 geodetic coordinates to ITRF: closed form, exact to rounding (a few nanometres).
Itrf ToItrf(const Geodetic& point);

struct Station {
  int number;            // 1…117, the name in the files; the antenna number there is number − 1
  double latitude_deg;   // WGS84
  double longitude_deg;  // WGS84, east positive
  double height_m;       // above the ellipsoid; station 117 was never surveyed and has the arms' 1182.6 m
  bool active;           // in the correlator on 2026-01-25 (96 stations)
  Geodetic position() const;
};

constexpr int kDsa110StationCount = 117;
constexpr int kDsa110ActiveCount = 96;
// All stations, by number: 1–51 the east-west arm, 52–102 the north-south arm, 103–117 the outriggers.
const std::array<Station, kDsa110StationCount>& Dsa110Stations();

// The crossing of the arms ("T centre"): the array centre where a header gives none.
constexpr Geodetic kDsa110Centre{0.6498455107238486, -2.064427799136453, 1188.0519};

// The dishes.
constexpr double kDsa110DishDiameterM = 4.65;
constexpr double kDsa110SefdJy = 6500.0;  // system equivalent flux density of one antenna and receptor

// The band. 8192 raw channels run down from 1.53 GHz; a subband is 384 of them, averaged by 8.
constexpr int kDsa110Subbands = 16;
constexpr int kDsa110ChannelsPerSubband = 48;
constexpr double kDsa110ChannelWidthHz = 244140.625;
constexpr double kDsa110RawChannelWidthHz = 30517.578125;
constexpr double kDsa110BandTopHz = 1.53e9;  // centre of raw channel 0

// Centre of output channel `channel` (0…47, descending) of subband `subband` (0 = top of the band … 15), in Hz.
constexpr double Dsa110ChannelFrequencyHz(int subband, int channel) {
  return kDsa110BandTopHz - (1024.0 + 384.0 * subband + 3.5 + 8.0 * channel) * kDsa110RawChannelWidthHz;
}

// Timing. One integration is 96 correlator samples; a file holds 24 integrations (309.24 s).
constexpr double kDsa110SampleTimeS = 0.134217728;
constexpr int kDsa110SamplesPerIntegration = 96;
constexpr double kDsa110IntegrationS = kDsa110SampleTimeS * kDsa110SamplesPerIntegration;
constexpr int kDsa110IntegrationsPerFile = 24;

// The primary beam: the far field of a uniformly illuminated circular aperture (Airy 1835). This is the one definition
// of the beam in the product.

// 2 J1(x) / x, the voltage pattern, for any finite x (even function, 1 at 0). Absolute error below 1e-14. For |x| ≤ 8,
// which covers the main lobe and the first side lobe, it is a polynomial of fixed length, so loops over it vectorise.
inline double AiryVoltage(double x) {
  const double q = 0.25 * x * x;
  if (q <= 16.0) {
    // Σ (−q)^k / (k! (k+1)!): the terms after k = 23 are below 1e-18 for q ≤ 16.
    constexpr int kTerms = 24;
    double sum = 1.0;
    for (int k = kTerms - 1; k >= 1; --k) sum = 1.0 - sum * (q / (static_cast<double>(k) * (k + 1)));
    return sum;
  }
  return 2.0 * ::j1(x) / x;
}

// Power response, relative to the axis, of a dish of `diameter_m` at the frequency, in the direction whose angle θ from
// the axis has the given sine: (2 J1(x)/x)² with x = π D sin θ ν / c.
inline double AiryPowerBeam(double sin_theta, double frequency_hz, double diameter_m) {
  const double voltage = AiryVoltage(kPi * diameter_m * sin_theta * frequency_hz / kSpeedOfLight);
  return voltage * voltage;
}

}  // namespace contimg
