// What `contimg simulate --source` can be told of a source.
#pragma once

#include <string>
#include <string_view>

#include "config/units.h"
#include "tests/simulator/sky_model.h"

namespace contimg::ops {

// RA,DEC in degrees or hours and degrees. Throws Error{kUsage} that names `option`.
SkyDirection ParseSimulatedPlace(const std::string& option, std::string_view ra, std::string_view dec);

// "RA,DEC,JY[,ALPHA][,KEY=VALUE…]" with these keys; `alpha` where none is given. Throws Error{kUsage}.
//   major, minor, angle     a Gaussian: full widths (arcsec; minor: as major), north through east (degrees)
//   vary=sinusoid           amplitude (of the flux density, at most 1), period; at: where it rises through its mean
//   (MJD 0) vary=flare              factor (of the peak over before), at, decay, rise: e-folding times (rise: 0, at
//   once) vary=step               factor, at from, to                a transient: nothing before and after
// Times are MJD or UTC, durations days or with a unit (12h).
simulator::Source ParseSimulatedSource(const std::string& text, double alpha);

}  // namespace contimg::ops
