// Positions in an R*Tree of unit vectors, where neither RA 0 nor the poles are special. Internal to state/.
#pragma once

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <string>

#include "config/error.h"
#include "config/units.h"
#include "state/stage_name.h"

namespace contimg::state {

inline std::array<double, 3> UnitVector(double ra_deg, double dec_deg) {
  const double ra = Angle::Degrees(ra_deg).rad(), dec = Angle::Degrees(dec_deg).rad();
  return {std::cos(dec) * std::cos(ra), std::cos(dec) * std::sin(ra), std::sin(dec)};
}

inline void RequireOnSky(const std::string& what, double ra_deg, double dec_deg) {
  if (!(ra_deg >= 0 && ra_deg < 360 && std::abs(dec_deg) <= 90)) {
    throw Error(ErrorKind::kBadInput, kStage, what,
                fmt::format("expected RA in [0, 360) and Dec in [-90, 90] deg, found {} {}", ra_deg, dec_deg));
  }
}

// The cube that holds the cap about a direction. The index stores 32-bit boxes rounded outwards: a hair is added.
struct SkyBox {
  std::array<double, 3> low, high;
};
inline SkyBox BoxOfCone(double ra_deg, double dec_deg, double radius_deg) {
  RequireOnSky("cone", ra_deg, dec_deg);
  if (!(radius_deg >= 0 && radius_deg <= 90)) {
    throw Error(ErrorKind::kUsage, kStage, "cone",
                fmt::format("expected a radius of 0 to 90 deg, found {}", radius_deg));
  }
  const auto centre = UnitVector(ra_deg, dec_deg);
  const double chord = 2 * std::sin(Angle::Degrees(radius_deg).rad() / 2) + 1e-6;
  SkyBox box{centre, centre};
  for (std::size_t i = 0; i < 3; ++i) {
    box.low[i] -= chord;
    box.high[i] += chord;
  }
  return box;
}

inline double SeparationDeg(double ra_deg, double dec_deg, double other_ra_deg, double other_dec_deg) {
  return Separation({Angle::Degrees(ra_deg), Angle::Degrees(dec_deg)},
                    {Angle::Degrees(other_ra_deg), Angle::Degrees(other_dec_deg)})
      .deg();
}

}  // namespace contimg::state
