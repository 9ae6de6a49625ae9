// ICRS directions and direction cosines about a phase centre (FITS projection SIN; Calabretta & Greisen 2002, A&A 395,
// 1077). l runs towards increasing right ascension, m northwards.
#pragma once

#include <optional>

#include "config/units.h"
#include "image/image_geometry.h"
#include "ingest/visibility_block.h"

namespace contimg::image {

// n − 1 without cancellation, for l² + m² ≤ 1.
double NMinusOne(double l, double m);

// The ICRS direction of (l, m), l² + m² ≤ 1.
SkyDirection DirectionOfCosines(const PhaseCentre& centre, double l, double m);
// The inverse; nothing for a direction more than 90° from the centre.
std::optional<DirectionCosines> CosinesOfDirection(const PhaseCentre& centre, const SkyDirection& direction);

}  // namespace contimg::image
