// Angles and physical constants. Bare doubles carry their unit in the name (frequency_hz, time_mjd_s, uvw_m); angles,
// where degrees, radians, hours and arcseconds meet, have a type. C++17-clean.
#pragma once

#include <string>
#include <string_view>

namespace contimg {

constexpr double kPi = 3.14159265358979323846;
constexpr double kSpeedOfLight = 299792458.0;  // m/s

class Angle {
 public:
  constexpr Angle() = default;
  static constexpr Angle Radians(double v) { return Angle(v); }
  static constexpr Angle Degrees(double v) { return Angle(v * (kPi / 180)); }
  static constexpr Angle Arcsec(double v) { return Angle(v * (kPi / 648000)); }
  static constexpr Angle Hours(double v) { return Angle(v * (kPi / 12)); }

  constexpr double rad() const { return rad_; }
  constexpr double deg() const { return rad_ * (180 / kPi); }
  constexpr double arcsec() const { return rad_ * (648000 / kPi); }
  constexpr double hours() const { return rad_ * (12 / kPi); }

  friend constexpr Angle operator+(Angle a, Angle b) { return Angle(a.rad_ + b.rad_); }
  friend constexpr Angle operator-(Angle a, Angle b) { return Angle(a.rad_ - b.rad_); }
  friend constexpr Angle operator-(Angle a) { return Angle(-a.rad_); }
  friend constexpr Angle operator*(double k, Angle a) { return Angle(k * a.rad_); }
  friend constexpr bool operator==(Angle a, Angle b) { return a.rad_ == b.rad_; }
  friend constexpr bool operator<(Angle a, Angle b) { return a.rad_ < b.rad_; }

 private:
  constexpr explicit Angle(double rad) : rad_(rad) {}
  double rad_ = 0;
};

// A direction in the ICRS.
struct SkyDirection {
  Angle ra;   // [0, 360°)
  Angle dec;  // [−90°, 90°]
};

// Angle between two directions, exact for small and large ones (Vincenty's formula on the sphere).
Angle Separation(const SkyDirection& a, const SkyDirection& b);
// The same angle in [0, 2π) and in [−π, π).
Angle WrapPositive(Angle a);
Angle WrapSigned(Angle a);

// The unit in which a small angle is said to a person: arcsec from 1 arcsec on, mas from 1 mas on, else uas.
struct SmallAngleUnit {
  const char* name;
  double arcsec;  // of one
  double Of(Angle a) const { return a.arcsec() / arcsec; }
};
SmallAngleUnit UnitFor(Angle size);

}  // namespace contimg
