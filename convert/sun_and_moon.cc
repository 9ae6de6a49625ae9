#include "convert/sun_and_moon.h"

#include <erfa.h>
#include <erfam.h>

#include <cmath>

#include "config/error.h"
#include "config/units.h"

namespace contimg::convert {

BodySight SightOf(BrightBody body, UtcTime time, const PhaseCentre& direction, const Geodetic& site) {
  const double utc = time.mjd();
  double tai1, tai2, tt1, tt2;
  if (eraUtctai(kMjdOfJd, utc, &tai1, &tai2) < 0 || eraTaitt(tai1, tai2, &tt1, &tt2) != 0) {
    throw Error(ErrorKind::kBadInput, "convert", time.Iso8601(), "is not a usable date");
  }
  // From the geocentre, AU, axes of the ICRS.
  double place_au[3];
  if (body == BrightBody::kMoon) {
    double moon[2][3];
    eraMoon98(tt1, tt2, moon);
    eraCp(moon[0], place_au);
  } else {
    double heliocentric[2][3], barycentric[2][3];
    eraEpv00(tt1, tt2, heliocentric, barycentric);
    eraSxp(-1, heliocentric[0], place_au);
  }
  double celestial_to_terrestrial[3][3], seen_au[3], up[3], towards[3];
  eraC2t00b(tt1, tt2, kMjdOfJd, utc, 0, 0, celestial_to_terrestrial);
  const Itrf telescope = ToItrf(site);
  double telescope_au[3], from_geocentre_au[3];
  for (std::size_t i = 0; i < 3; ++i) telescope_au[i] = telescope[i] / ERFA_DAU;
  eraTrxp(celestial_to_terrestrial, telescope_au, from_geocentre_au);
  eraPmp(place_au, from_geocentre_au, seen_au);
  eraS2c(site.longitude_rad, site.latitude_rad, up);
  eraTrxp(celestial_to_terrestrial, up, up);
  eraS2c(direction.ra_rad, direction.dec_rad, towards);
  return {eraSepp(seen_au, towards), kPi / 2 - eraSepp(seen_au, up)};
}

}  // namespace contimg::convert
