// Whether a tile's beam is the usual one of its declination: fluxes of resolved sources, blends and side lobes follow
// the beam, and differences of images need equal ones.
#pragma once

#include <map>
#include <vector>

#include "state/flux_reference_store.h"
#include "state/light_curve_store.h"

namespace contimg::ops {

// Beams that agree to this part of a width are one.
inline constexpr double kBeamTolerance = 0.02;

// By declination in whole degrees, as far as three tiles or more are on record: the medians of their widths.
std::map<int, state::UsualBeam> UsualBeams(const std::vector<state::ObservationRow>& tiles);

// Sets or takes away beam_differs. A tile without a beam, and one of a declination without a usual one, has none.
void FlagBeam(state::ObservationRow& tile, const std::map<int, state::UsualBeam>& usual);
// The same by what is on record.
void FlagBeam(state::Database& database, state::ObservationRow& tile);

}  // namespace contimg::ops
