// What the gate of mosaics says of a tile, as a flag of all that is measured in it.
#pragma once

#include <string>
#include <vector>

#include "config/quality_flags.h"
#include "state/database.h"
#include "state/mosaic_store.h"
#include "state/product_store.h"

namespace contimg::ops {

// bad_tile or none: whether the fluxes of the tile's image as it is now were refused, as the mosaic says in which the
// most sources tell it.
QualityFlags GateFlags(const std::vector<state::MosaicTileRow>& judgements, const std::string& checksum);

// Brings the flags of these tiles' measurements on record up to date with what mosaics say of them; transits and
// statistics follow. Set and taken back is bad_tile alone, not where the image has grade F and not of tiles that no
// mosaic was to have; all others stay, those of people too. Called when a mosaic was made and when measurements were
// recorded (again). Returns the tiles whose flags changed.
std::vector<std::string> MarkTiles(state::ProductStore& products, state::Database& sources,
                                   const std::vector<std::string>& groups);

}  // namespace contimg::ops
