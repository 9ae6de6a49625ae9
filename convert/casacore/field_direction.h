// The phase centres of FIELD and what their frames mean for uvw. C++17.
#pragma once

#include <casacore/measures/Measures/MDirection.h>
#include <casacore/tables/Tables/Table.h>

#include <string>
#include <vector>

#include "convert/measurement_set_reader.h"

namespace contimg::convert::internal {

// One direction of a frame that is at rest among the stars, in ICRS. `north_rad`: position angle (from ICRS north
// through east) of the frame's own north at that place.
struct FixedDirection {
  PhaseCentre icrs;
  double north_rad = 0;
};
// Understood: ICRS, J2000, B1950, B1950_VLA, GALACTIC, SUPERGAL, ECLIPTIC.
bool IsFixedFrame(casacore::MDirection::Types frame);
FixedDirection FixedDirectionOf(const casacore::MDirection& stored);

// Phase directions of the table FIELD, converted to ICRS; a field that cannot be used says why
// (MeasurementSetField::refusal).
std::vector<MeasurementSetField> ReadFields(const casacore::Table& field);

// Turns the u and v of a frame whose north has the position angle into those of ICRS north; w and so the phases stay.
void TurnToIcrsNorth(double north_rad, std::vector<double>& uvw_m);

}  // namespace contimg::convert::internal
