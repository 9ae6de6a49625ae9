#include "config/units.h"

#include <cmath>

namespace contimg {

Angle Separation(const SkyDirection& a, const SkyDirection& b) {
  const double delta = b.ra.rad() - a.ra.rad();
  const double sin_a = std::sin(a.dec.rad()), cos_a = std::cos(a.dec.rad());
  const double sin_b = std::sin(b.dec.rad()), cos_b = std::cos(b.dec.rad());
  const double x = cos_b * std::sin(delta);
  const double y = cos_a * sin_b - sin_a * cos_b * std::cos(delta);
  return Angle::Radians(std::atan2(std::hypot(x, y), sin_a * sin_b + cos_a * cos_b * std::cos(delta)));
}

Angle WrapPositive(Angle a) {
  const double turn = 2 * kPi;
  double r = std::fmod(a.rad(), turn);
  if (r < 0) r += turn;
  return Angle::Radians(r >= turn ? 0.0 : r);
}

Angle WrapSigned(Angle a) {
  const double r = WrapPositive(a).rad();
  return Angle::Radians(r >= kPi ? r - 2 * kPi : r);
}

SmallAngleUnit UnitFor(Angle size) {
  const double arcsec = std::abs(size.arcsec());
  if (arcsec >= 1) return {"arcsec", 1};
  return arcsec >= 1e-3 ? SmallAngleUnit{"mas", 1e-3} : SmallAngleUnit{"uas", 1e-6};
}

}  // namespace contimg
