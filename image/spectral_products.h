// The images of a tile's bands, and what they say of spectra.
#pragma once

#include <functional>
#include <vector>

#include "config/run_context.h"
#include "image/clean/spectral_model.h"
#include "image/component_drawing.h"
#include "image/image_report.h"
#include "image/operator/band_operators.h"
#include "image/plain_grid.h"
#include "image/products/image_products.h"
#include "image/response/tile_response.h"

namespace contimg::image {

// Views; all must outlive the call.
struct SpectralFacts {
  const SpectralMajorCycle& cycle;  // after the last major cycle
  const BandOperators& op;
  const TileResponse& response;
  const ComponentDrawing& components;
  const PlainGrid& grid;
  const ImageGeometry &plain, &slant;
  const VisibilityBlock& block;  // that is imaged
  const FitsHeader& header;      // of an image in Jy/beam
};

// Frequencies of a band's channels among those of a tile.
std::vector<double> FrequenciesOf(const BandOperators::Band& band, const VisibilityBlock& block);

// Writes the image of each band and the spectral index with its error; adds figures of bands and the indices of sources
// to `report`.
void WriteSpectra(const SpectralFacts& facts, StagedProducts& staged, const RunContext& context, ImageReport& report);

}  // namespace contimg::image
