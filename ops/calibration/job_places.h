// The known sources that a job measures in its tile.
#pragma once

#include <string>
#include <vector>

#include "ops/job/job.h"
#include "state/source_store.h"

namespace contimg::ops {

// Our own sources about a direction, then those of `catalogue` (may be empty: none) from min_flux_jy on that none of
// ours is: each in the order of their ids, none within state::kSamePlaceArcsec of one before.
std::vector<JobPlace> PlacesOfField(state::SourceStore& store, const std::string& catalogue, double ra_deg,
                                    double dec_deg, double radius_deg, double min_flux_jy);

}  // namespace contimg::ops
