// Places of our own sources from what is found in a mosaic: of many days, it has them better than single tiles do.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "ops/lightcurves/refine_places.h"
#include "state/database.h"
#include "state/mosaic_store.h"
#include "state/own_source_store.h"
#include "state/product_store.h"

namespace contimg::ops {

// What the service asks of a source that is to move: places of 10 sigma are good to a twentieth of the beam.
inline constexpr double kDeepPlaceMinSnr = 10;

// Whether the service refines places from a mosaic, `earlier` being those that there are: it is the reference of its
// strip there and of more tiles than every mosaic of its window from which places are. So they become better while
// co-adds grow, and stay for good then: light curves are of one place.
bool DeepensPlaces(const state::MosaicRow& mosaic, const std::vector<state::PlaceVersionRow>& earlier);

// The catalogue of what is found in a mosaic (PREFIX.sources.fits), if it is on record and on the disk.
std::optional<std::filesystem::path> CatalogueOfMosaic(state::ProductStore& products, const std::string& name);

// Puts each source of our own where the catalogue of a mosaic has it, as the next version of places, which says that it
// is from this mosaic; names stay. Counted are found sources of rules.min_snr or more that are no suspects, blends or
// resolved, each for the nearest source of our own within state::kSamePlaceArcsec; rules.floor_arcsec is added to their
// errors. Transits and statistics follow. One transaction. Throws Error{kIo, kBadInput} for what is no such catalogue.
RefinedPlaces RefinePlacesFromMosaic(state::Database& database, const state::MosaicRow& mosaic,
                                     const std::filesystem::path& catalogue, const PlaceRules& rules, double now);

}  // namespace contimg::ops
