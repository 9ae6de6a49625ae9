// When a wavefront that reaches the telescope would pass the barycentre of the solar system: the time on which
// observatories can compare light curves.
#pragma once

#include "config/telescope.h"
#include "config/time.h"

namespace contimg::convert {

// Barycentric Modified Julian Date, days TDB: TDB at `time` plus the Rømer delay from the telescope to the direction
// (ICRS, radians) of a source at infinity (Eastman et al. 2010, PASP 122, 935). The Earth is where ERFA's eraEpv00 puts
// it (to 20 µs of light). Left out: parallax, the Sun's Shapiro delay (0.1 ms at the limb), UT1 − UTC and polar motion
// (2 µs). Throws Error{kBadInput} for a time that is no date.
double BarycentricMjdTdb(UtcTime time, double ra_rad, double dec_rad, const Itrf& telescope);

}  // namespace contimg::convert
