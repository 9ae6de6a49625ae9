// The flux scale of every tile on record (mosaic/variability/flux_scale.h): references are found from all tiles now and
// then, and tell each tile its scale when it goes on record.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "config/run_context.h"
#include "state/light_curve_store.h"

namespace contimg::ops {

// Gives a tile that is going on record the scale that the known references tell it: sources of its own rows, isolated
// (none with a flag of "hard"). It has none, and keeps none, with too few of them or a flag of "default" of its own.
void SetScaleByReferences(state::Database& database, state::ObservationRow& tile,
                          const std::vector<state::MeasurementRow>& rows);

struct NormaliseRequest {
  double from_mjd = 0, to_mjd = std::numeric_limits<double>::max();  // tiles that tell the references
  double now = 0;                                                    // unix_s
  bool only_if_new = false;  // do nothing when no tile went on record since the last time
};

struct NormaliseResult {
  bool done = true;  // false: there was nothing new
  std::int64_t references = 0;
  std::vector<state::ObservationRow> tiles;  // all, by time, with the scales they have now
};

// Finds the references anew, from tiles without a flag of "hard", gives every tile on record its scale by them, and
// reckons transits and statistics of all sources. The result depends on nothing but what is on record: tiles that are
// recorded later or again get the same bits as if they had been there. In transactions of about 0.1 s with pauses
// between them, so that others write meanwhile; who is killed begins again. Throws Error{kBusy} when another one has
// begun meanwhile, Error{kCancelled}.
NormaliseResult NormaliseTiles(state::Database& database, const NormaliseRequest& request, const RunContext& context);

}  // namespace contimg::ops
