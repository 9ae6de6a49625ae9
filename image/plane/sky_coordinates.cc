#include "image/plane/sky_coordinates.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace contimg::image {

double NMinusOne(double l, double m) {
  const double r2 = l * l + m * m;
  return -r2 / (1.0 + std::sqrt(1.0 - r2));
}

SkyDirection DirectionOfCosines(const PhaseCentre& centre, double l, double m) {
  const double n = 1.0 + NMinusOne(l, m);
  const double sin_dec = std::sin(centre.dec_rad), cos_dec = std::cos(centre.dec_rad);
  // The vector in axes (towards the centre's right ascension on the equator, east, pole).
  const double x = n * cos_dec - m * sin_dec, y = l, z = m * cos_dec + n * sin_dec;
  return {WrapPositive(Angle::Radians(centre.ra_rad + std::atan2(y, x))),
          Angle::Radians(std::atan2(z, std::hypot(x, y)))};
}

std::optional<DirectionCosines> CosinesOfDirection(const PhaseCentre& centre, const SkyDirection& direction) {
  const double dec = direction.dec.rad(), d_ra = direction.ra.rad() - centre.ra_rad;
  const double cos_d = std::cos(dec);
  if (std::sin(dec) * std::sin(centre.dec_rad) + cos_d * std::cos(centre.dec_rad) * std::cos(d_ra) <= 0) return {};
  // m = sin d cos c − cos d sin c cos Δ, written so that nothing cancels near the centre.
  const double half = std::sin(d_ra / 2);
  const double l = cos_d * std::sin(d_ra);
  const double m = std::sin(dec - centre.dec_rad) + 2 * cos_d * std::sin(centre.dec_rad) * half * half;
  return DirectionCosines{l, m, NMinusOne(l, m)};
}

double AberrationScale(const PhaseCentre& centre, UtcTime time, const convert::EarthOrientation& orientation) {
  const convert::SkyFrame frame(time, orientation);
  constexpr double kOffset = 0.01;  // rad: rounding 1e-14, curvature of the factor 1e-8
  const convert::Vector3 middle = frame.ItrfOfIcrs(centre.ra_rad, centre.dec_rad);
  double sum = 0;
  for (const auto& [l, m] : {std::pair{kOffset, 0.0}, {-kOffset, 0.0}, {0.0, kOffset}, {0.0, -kOffset}}) {
    const SkyDirection beside = DirectionOfCosines(centre, l, m);
    const convert::Vector3 seen = frame.ItrfOfIcrs(beside.ra.rad(), beside.dec.rad());
    const convert::Vector3 normal = convert::Cross(middle, seen);
    sum += std::sqrt(convert::Dot(normal, normal));  // sine of the apparent angle; kOffset is the sine in ICRS
  }
  return sum / (4 * kOffset);
}

}  // namespace contimg::image
