#include "ops/lightcurves/meridian.h"

#include <algorithm>
#include <cmath>

#include "config/telescope.h"
#include "config/time.h"
#include "config/units.h"
#include "convert/frames.h"

namespace contimg::ops {

double MeridianDeg(double mjd, double dec_deg) {
  const convert::SkyFrame frame(UtcTime::FromMjd(mjd), {});
  const auto place = frame.IcrsOfItrf(frame.ItrfOfMeridian(kDsa110Centre.longitude_rad, Angle::Degrees(dec_deg).rad()));
  const double degrees = WrapPositive(Angle::Radians(place.ra_rad)).deg();
  return degrees < 360 ? degrees : 0;
}

double ApparentDecDeg(double mjd, double ra_deg, double dec_deg) {
  const convert::SkyFrame frame(UtcTime::FromMjd(mjd), {});
  const convert::Vector3 seen = frame.ItrfOfIcrs(Angle::Degrees(ra_deg).rad(), Angle::Degrees(dec_deg).rad());
  return Angle::Radians(std::asin(std::clamp(seen[2], -1.0, 1.0))).deg();
}

}  // namespace contimg::ops
