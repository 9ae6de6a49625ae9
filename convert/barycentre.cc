#include "convert/barycentre.h"

#include <erfa.h>
#include <erfam.h>

#include "config/error.h"
#include "config/units.h"

namespace contimg::convert {

double BarycentricMjdTdb(UtcTime time, double ra_rad, double dec_rad, const Itrf& telescope) {
  const double utc = time.mjd();
  double tai1, tai2, tt1, tt2;
  // A "dubious year" is accepted: the newest number of leap seconds holds until another one is announced.
  if (eraUtctai(kMjdOfJd, utc, &tai1, &tai2) < 0 || eraTaitt(tai1, tai2, &tt1, &tt2) != 0) {
    throw Error(ErrorKind::kBadInput, "convert", time.Iso8601(), "is not a usable date");
  }
  // TDB − TT at the geocentre; the telescope's place on the Earth changes it by 2 µs.
  const double tdb_minus_tt_s = eraDtdb(tt1, tt2, 0, 0, 0, 0);

  double heliocentric[2][3], barycentric[2][3];
  eraEpv00(tt1, tt2 + tdb_minus_tt_s / kSecondsPerDay, heliocentric, barycentric);  // outside 1900–2100: less accurate
  double celestial_to_terrestrial[3][3];
  eraC2t00b(tt1, tt2, kMjdOfJd, utc, 0, 0, celestial_to_terrestrial);
  double towards[3];
  eraS2c(ra_rad, dec_rad, towards);

  double delay_s = 0;
  for (int i = 0; i < 3; ++i) {
    double place_m = barycentric[0][i] * ERFA_DAU;
    for (int j = 0; j < 3; ++j) place_m += celestial_to_terrestrial[j][i] * telescope[static_cast<std::size_t>(j)];
    delay_s += towards[i] * place_m / kSpeedOfLight;
  }
  // In days from the moment, so that the small terms keep their digits.
  const double tt_minus_utc = (tt1 - kMjdOfJd) + (tt2 - utc);
  return utc + (tt_minus_utc + (tdb_minus_tt_s + delay_s) / kSecondsPerDay);
}

}  // namespace contimg::convert
