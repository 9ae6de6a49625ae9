#include "tests/simulator/apparent_place.h"

#include <cmath>

namespace contimg::simulator {

EarthFrame::EarthFrame(UtcTime time) {
  const double mjd = time.mjd();
  double tai1, tai2, tt1, tt2, origins;
  eraUtctai(kMjdOfJd, mjd, &tai1, &tai2);
  eraTaitt(tai1, tai2, &tt1, &tt2);
  eraApci13(tt1, tt2, &astrom_, &origins);  // TT serves as TDB: they differ by less than 2 ms
  earth_rotation_angle_ = eraEra00(kMjdOfJd, mjd);
}

Vec3 EarthFrame::FromIcrs(double ra, double dec) const {
  double cirs_ra, cirs_dec;
  // The function does not change the parameters although it takes them as mutable.
  eraAtciqz(ra, dec, const_cast<eraASTROM*>(&astrom_), &cirs_ra, &cirs_dec);
  const double longitude = cirs_ra - earth_rotation_angle_;
  return {std::cos(cirs_dec) * std::cos(longitude), std::cos(cirs_dec) * std::sin(longitude), std::sin(cirs_dec)};
}

SkyDirection EarthFrame::ToIcrs(const Vec3& d) const {
  const double cirs_ra = std::atan2(d[1], d[0]) + earth_rotation_angle_;
  const double cirs_dec = std::atan2(d[2], std::hypot(d[0], d[1]));
  double ra, dec;
  eraAticq(cirs_ra, cirs_dec, const_cast<eraASTROM*>(&astrom_), &ra, &dec);
  return {WrapPositive(Angle::Radians(ra)), Angle::Radians(dec)};
}

Vec3 MeridianDirection(double longitude, double dec) {
  return {std::cos(dec) * std::cos(longitude), std::cos(dec) * std::sin(longitude), std::sin(dec)};
}

UtcTime NextTransit(double ra, double dec, double longitude, UtcTime from, double& app_dec) {
  // Newton's method on the hour angle; the first step looks forwards only.
  UtcTime time = from;
  for (int step = 0; step < 6; ++step) {
    const Vec3 s = EarthFrame(time).FromIcrs(ra, dec);
    double to_go = std::atan2(s[1], s[0]) - longitude;  // east of the meridian is still to come
    to_go = step == 0 ? WrapPositive(Angle::Radians(to_go)).rad() : WrapSigned(Angle::Radians(to_go)).rad();
    time = time + to_go / kEarthRotationRadPerS;
    app_dec = std::atan2(s[2], std::hypot(s[0], s[1]));
  }
  return time;
}

}  // namespace contimg::simulator
