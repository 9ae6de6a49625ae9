// A mosaic's record made anew from its files, where the databases are lost: `contimg doctor --rebuild`.
#pragma once

#include <string>
#include <vector>

#include "config/os.h"
#include "config/settings.h"
#include "state/product_store.h"

namespace contimg::ops {

// From the table of tiles and the figures beside the image of the mosaic of that name, whose products are on record:
// their grade, what they are made of, the mosaic and its tiles. Where it has a record that lacks tiles, these alone;
// nothing where all is there. Whether it is one of an hour or of days is told by its name: that of days has the times
// of its first and last tile. Throws Error{kIo, kBadInput}. Returns the groups of the tiles that were not on record.
std::vector<std::string> RestoreMosaicRecord(state::ProductStore& products, const std::string& name,
                                             const MosaicSettings& settings, double now, Os& os);

}  // namespace contimg::ops
