// Where the settings let CLEAN look for sources.
#pragma once

#include <cstdint>
#include <vector>

#include "config/buffer.h"
#include "config/settings.h"
#include "image/plane/image_geometry.h"
#include "image/response/source_catalogue.h"
#include "ingest/visibility_block.h"

namespace contimg::image {

// The pixels of the slant grid, 1 where CLEAN may work: those of image.mask_file and about the sources of the catalogue
// (image.catalogue_mask_arcsec). Empty: everywhere. Throws what ReadFitsImage does.
Buffer<std::uint8_t> MakeUserMask(const ImageSettings& settings, const std::vector<CatalogueSource>& catalogue,
                                  const ImageGeometry& slant, const PhaseCentre& centre, int threads);

}  // namespace contimg::image
