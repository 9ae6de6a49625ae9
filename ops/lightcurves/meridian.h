// Where the sky stands over the telescope.
#pragma once

namespace contimg::ops {

// The right ascension (ICRS, degrees, [0, 360)) on the telescope's meridian at that apparent declination.
double MeridianDeg(double mjd, double dec_deg);
// The apparent declination (geocentric, degrees) of an ICRS direction.
double ApparentDecDeg(double mjd, double ra_deg, double dec_deg);

}  // namespace contimg::ops
