// Masks for CLEAN on the slant grid, from a FITS image or from a catalogue.
#pragma once

#include <cstdint>
#include <vector>

#include "config/array_view.h"
#include "image/plane/image_geometry.h"
#include "image/products/fits_image.h"
#include "image/response/source_catalogue.h"
#include "ingest/visibility_block.h"

namespace contimg::image {

// mask = 1 where the nearest pixel of `fits` (any SIN image of the sky) is neither 0 nor NaN, else 0.
void MaskFromImage(const FitsImage& fits, const ImageGeometry& slant, const PhaseCentre& centre,
                   ArrayView<std::uint8_t, 2> mask, int threads);

// Sets mask to 1 within `radius_rad` of each source and leaves the rest as it is.
void MaskFromCatalogue(const std::vector<CatalogueSource>& sources, double radius_rad, const ImageGeometry& slant,
                       const PhaseCentre& centre, ArrayView<std::uint8_t, 2> mask);

}  // namespace contimg::image
