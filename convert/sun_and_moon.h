// Where the Sun and the Moon stand in a telescope's sky.
#pragma once

#include "config/telescope.h"
#include "config/time.h"
#include "ingest/visibility_block.h"

namespace contimg::convert {

enum class BrightBody { kSun, kMoon };

struct BodySight {
  double separation_rad = 0;  // from a direction
  double elevation_rad = 0;   // above the horizon of the ellipsoid, without refraction
};

// The body as seen from the site (the Moon's parallax of up to 1° counts), beside the direction (ICRS). The Sun is
// where ERFA's eraEpv00 puts it, the Moon where eraMoon98 does (Meeus 1998, Astronomical Algorithms, ch. 47: 10
// arcsec); aberration and light time are left out, which makes half an arcminute. Throws Error{kBadInput} for a time
// that is no date.
BodySight SightOf(BrightBody body, UtcTime time, const PhaseCentre& direction, const Geodetic& site);

}  // namespace contimg::convert
