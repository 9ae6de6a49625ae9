// Places of sources of our own from what tiles have found of them.
#pragma once

#include <cstdint>
#include <string>

#include "state/database.h"

namespace contimg::ops {

struct PlaceRules {
  std::int64_t min_detections = 3;  // of one source
  double min_snr = 7;               // of each of them
  double floor_arcsec = 0.3;        // of each, beside its noise: the astrometry of a tile
};

struct RefinedPlaces {
  std::int64_t version = 0;  // that the places have now; 0: there were none to refine
  std::int64_t sources = 0;
  double median_arcsec = 0;  // by which they moved
};

// Puts each source of our own that was found often enough at the weighted mean of its detections, with their error (by
// their scatter where that exceeds it), as the next version of places; names stay. Suspect, blended and resolved
// detections do not count, nor those of tiles with a flag of the preset "hard". Transits and statistics follow, for
// passages are at the source's right ascension. One transaction.
RefinedPlaces RefinePlaces(state::Database& database, const PlaceRules& rules, double now);

}  // namespace contimg::ops
