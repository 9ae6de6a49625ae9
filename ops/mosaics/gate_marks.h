// What the gate of mosaics says of a tile, as a flag of all that is measured in it.
#pragma once

#include <string>
#include <vector>

#include "config/quality_flags.h"
#include "state/database.h"
#include "state/mosaic_store.h"
#include "state/product_store.h"

namespace contimg::ops {

// Of the judgements on the tile's image as it is now: of fluxes that were refused (bad_tile) or another beam
// (beam_differs), as the mosaic says in which the most sources tell it. Nothing is said of a tile that no mosaic was to
// have.
QualityFlags GateFlags(const std::vector<state::MosaicTileRow>& judgements, const std::string& checksum);

// Brings the flags of these tiles' measurements on record up to date with what mosaics say of them; transits and
// statistics follow. Set and taken back are the two flags above, bad_tile not where the image has grade F. All others
// stay, those of people too. Called when a mosaic was made and when measurements were recorded (again). Returns the
// tiles whose flags changed.
std::vector<std::string> MarkTiles(state::ProductStore& products, state::Database& sources,
                                   const std::vector<std::string>& groups);

}  // namespace contimg::ops
