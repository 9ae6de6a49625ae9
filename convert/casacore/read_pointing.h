// Where the dishes of a Measurement Set pointed. C++17.
#pragma once

#include <casacore/tables/Tables/Table.h>

#include <string>

#include "ingest/visibility_block.h"

namespace contimg::convert::internal {

// The record CONTIMG of our own sets: pointing, site, group. False when there is none, or another program's of that
// name. Throws Error{kBadInput} about the set at `path` when a field is no number, out of its range or absent.
bool ReadDriftKeywords(const casacore::Table& main, VisibilityBlock& block, const std::string& path);

// Where the dishes pointed while the block's data were taken, by the first of these that says it:
//   1. the table POINTING: DIRECTION (TARGET where DIRECTION is not filled) of the antennas of the block at its times,
//      rows with TRACKING only if any have it, polynomials evaluated. At rest among the stars: tracking; at rest on the
//      Earth: drift; in a span too short to tell, what the frame of the column is at rest in.
//   2. FIELD of a telescope that is known to track: REFERENCE_DIR, which programs leave in place when they move
//      PHASE_DIR. DELAY_DIR must agree with it.
//   3. dishes of the DSA-110 (name and diameter) with a phase centre on the meridian at the middle of the block: drift.
// Anything else is kUnknown, and `source` says why. `pointing` may be a null table. Needs axes,
// antennas, telescope name and phase centre of the block.
Pointing ReadPointing(const casacore::Table& pointing, const casacore::Table& fields, int field,
                      const VisibilityBlock& block);

}  // namespace contimg::convert::internal
