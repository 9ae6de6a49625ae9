// Places of our own sources from what is found in a mosaic: of many days, it has them better than single tiles do.
#pragma once

#include <filesystem>

#include "ops/lightcurves/refine_places.h"
#include "state/database.h"

namespace contimg::ops {

// Puts each source of our own where the catalogue of a mosaic (PREFIX.sources.fits) has it, as the next version of
// places; names stay. Counted are found sources of rules.min_snr or more that are no suspects, blends or resolved, each
// for the nearest source of our own within state::kSamePlaceArcsec; rules.floor_arcsec is added to their errors.
// Transits and statistics follow. One transaction. Throws Error{kIo, kBadInput} for what is no such catalogue.
RefinedPlaces RefinePlacesFromMosaic(state::Database& database, const std::filesystem::path& catalogue,
                                     const PlaceRules& rules, double now);

}  // namespace contimg::ops
