#include "image/sky_grid.h"

#include <algorithm>

namespace contimg::image {

SkyDirection SkyGrid::Direction(const DirectionCosines& at) const {
  const double n = 1.0 + NMinusOne(at.l, at.m);
  const double sin_dec = std::sin(centre.dec_rad), cos_dec = std::cos(centre.dec_rad);
  const double dec = std::asin(std::clamp(at.m * cos_dec + n * sin_dec, -1.0, 1.0));
  const double ra = centre.ra_rad + std::atan2(at.l, n * cos_dec - at.m * sin_dec);
  return {WrapPositive(Angle::Radians(ra)), Angle::Radians(dec)};
}

DirectionCosines SkyGrid::Cosines(const SkyDirection& direction, bool* in_front) const {
  const double dec = direction.dec.rad(), d_ra = direction.ra.rad() - centre.ra_rad;
  const double sin_c = std::sin(centre.dec_rad), cos_c = std::cos(centre.dec_rad);
  const double sin_d = std::sin(dec), cos_d = std::cos(dec);
  // sin d cos c − cos d sin c cos Δ, written so that nothing cancels near the centre.
  const double half = std::sin(d_ra / 2);
  const double l = cos_d * std::sin(d_ra);
  const double m = std::sin(dec - centre.dec_rad) + 2 * cos_d * sin_c * half * half;
  if (in_front != nullptr) *in_front = sin_d * sin_c + cos_d * cos_c * std::cos(d_ra) > 0;
  return {l, m};
}

DirectionCosines SlantGrid::Cosines(double x, double y) const {
  const double l_slant = -(x - static_cast<double>(nx / 2)) * cell_rad;
  const double m_slant = (y - static_cast<double>(ny / 2)) * cell_rad;
  // With s = n − 1: l = l' − a s, m = m' − b s and (1 + s)² = 1 − l² − m² is a quadratic in s:
  // (1 + a² + b²) s² + 2 (1 − a l' − b m') s + (l'² + m'²) = 0; the root near 0.
  const double c2 = 1.0 + a * a + b * b;
  const double c1 = 1.0 - a * l_slant - b * m_slant;
  const double c0 = l_slant * l_slant + m_slant * m_slant;
  const double s = -c0 / (c1 + std::sqrt(std::max(0.0, c1 * c1 - c2 * c0)));
  return {l_slant - a * s, m_slant - b * s};
}

}  // namespace contimg::image
