// What the headers of a tile's images say.
#pragma once

#include <optional>
#include <string>

#include "image/image_stage.h"
#include "image/operator/band_operators.h"
#include "image/plane/image_geometry.h"
#include "image/products/fits_image.h"
#include "image/response/tile_response.h"
#include "ingest/flag_count.h"
#include "ingest/uv_limit.h"
#include "ingest/visibility_block.h"

namespace contimg::image {

// Views; all must outlive the call.
struct ImageFacts {
  const VisibilityBlock& block;  // that is imaged
  const ImageRequest& request;
  const BandOperators& op;
  const TileResponse& response;
  const ImageGeometry &plain, &slant;
  const UvLimit& uv;  // as it was applied
  const FlagCensus& flags;
  const std::string& note;  // about sources beyond the edges; empty: nothing
};

// The header of the plain images, without unit and beam.
FitsHeader DescribeImage(const ImageFacts& facts);

// That of a product of the same tile: `base` with its unit, its beam (none: pixels are no averages) and its type.
FitsHeader HeaderOf(ProductKind kind, const char* unit, const std::optional<GaussianBeam>& beam,
                    const FitsHeader& base);

}  // namespace contimg::image
