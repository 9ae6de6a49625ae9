// Apparent places for the simulator: ICRS to Earth-fixed directions, straight from ERFA (IAU 2006/2000A).
//
// Geocentric: light deflection by the Sun and annual aberration, no diurnal aberration, no refraction. UT1 = UTC, no
// polar motion. The product has its own code for this (convert/frames.h); the two meet only in tests.
#pragma once

#include <erfa.h>

#include <array>

#include "config/time.h"
#include "config/units.h"

namespace contimg::simulator {

using Vec3 = std::array<double, 3>;

inline double Dot(const Vec3& a, const Vec3& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

// Rotation rate of the Earth with respect to the stars, rad per second of UT1 (the derivative of the Earth rotation
// angle, Capitaine et al. 2000).
constexpr double kEarthRotationRadPerS = 2 * kPi * 1.00273781191135448 / 86400;

// The sky as seen from the turning Earth at one moment.
class EarthFrame {
 public:
  explicit EarthFrame(UtcTime time);
  // Unit vector, ITRF, towards the apparent place of a star at these ICRS coordinates (radians).
  Vec3 FromIcrs(double ra, double dec) const;
  // The ICRS coordinates of the star that is seen in this ITRF direction.
  SkyDirection ToIcrs(const Vec3& direction) const;

 private:
  eraASTROM astrom_;
  double earth_rotation_angle_;
};

// Unit vector, ITRF, towards hour angle 0 of the meridian at `longitude` and apparent declination `dec` (radians).
Vec3 MeridianDirection(double longitude, double dec);

// d/dt of a sky-fixed direction in the ITRF, per second.
inline Vec3 SiderealRate(const Vec3& s) { return {kEarthRotationRadPerS * s[1], -kEarthRotationRadPerS * s[0], 0.0}; }

// The first moment at or after `from` when the star at ICRS `ra`, `dec` (radians) is on the meridian at `longitude`.
// `app_dec` receives its apparent declination then.
UtcTime NextTransit(double ra, double dec, double longitude, UtcTime from, double& app_dec);

}  // namespace contimg::simulator
