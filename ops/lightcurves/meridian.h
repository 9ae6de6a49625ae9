// The sidereal time of tiles as light curves need it.
#pragma once

namespace contimg::ops {

// The right ascension (ICRS, degrees, [0, 360)) on the telescope's meridian at that declination.
double MeridianDeg(double mjd, double dec_deg);

}  // namespace contimg::ops
