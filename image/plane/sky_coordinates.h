// ICRS directions and direction cosines about a phase centre (FITS projection SIN; Calabretta & Greisen 2002, A&A 395,
// 1077). l runs towards increasing right ascension, m northwards.
#pragma once

#include <optional>

#include "config/time.h"
#include "config/units.h"
#include "convert/frames.h"
#include "image/plane/image_geometry.h"
#include "ingest/visibility_block.h"

namespace contimg::image {

// n − 1 without cancellation, for l² + m² ≤ 1.
double NMinusOne(double l, double m);

// The ICRS direction of (l, m), l² + m² ≤ 1.
SkyDirection DirectionOfCosines(const PhaseCentre& centre, double l, double m);
// The inverse; nothing for a direction more than 90° from the centre.
std::optional<DirectionCosines> CosinesOfDirection(const PhaseCentre& centre, const SkyDirection& direction);

// Annual aberration moves the sky towards the Earth's velocity and so stretches or shrinks it there by up to 1e-4,
// evenly in all directions (it is conformal): the apparent angle between two directions near `centre` over the
// catalogue's. uvw are baselines on the apparent sky, hence the direction cosines of the measurement equation are this
// factor times those of ICRS; over 2 degrees the factor leaves 0.02" unexplained.
double AberrationScale(const PhaseCentre& centre, UtcTime time, const convert::EarthOrientation& orientation);

}  // namespace contimg::image
