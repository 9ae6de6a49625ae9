// The subtables of a Measurement Set, filled from a tile's metadata. C++17.
#pragma once

#include <casacore/ms/MeasurementSets/MeasurementSet.h>

#include "convert/measurement_set_writer.h"

namespace contimg::convert::internal {

// Fills ANTENNA, FEED, FIELD, SOURCE, SPECTRAL_WINDOW, POLARIZATION, DATA_DESCRIPTION, OBSERVATION, STATE, PROCESSOR
// and HISTORY of a Measurement Set with default subtables; POINTING and FLAG_CMD stay empty (a drift scan points
// nowhere).
void FillSubtables(casacore::MS& ms, const VisibilityBlock& block, const PhaseCentre& centre,
                   const MeasurementSetHeader& header);

}  // namespace contimg::convert::internal
