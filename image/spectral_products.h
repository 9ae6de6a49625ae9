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
#include "image/response/source_spectra.h"
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

// Where the indices of one band are looked at.
struct IndexPlaces {
  const ImageGeometry &slant, &plain;
  ArrayView<const float, 2> pb, smear;  // plain
  double pb_limit = 0;
  PhaseCentre centre;
  double scale = 1;  // from the direction cosines of the grids to those of the catalogue's sky
};
// The indices that one band tells by itself (image/response/source_spectra.h), without what is usual, brightest first:
// those known to better than SpectralIndexMaker's kLargestError where the primary beam is at least `pb_limit`. They are
// of the sky, as far as the beam's run with frequency is known; that of smearing is not, and what is lost by it is a
// part of the error.
std::vector<SpectralIndex> IndicesWithin(const SourceSpectra& spectra, const IndexPlaces& places);

// Writes the image of each band and the spectral index with its error; adds figures of bands and the indices of sources
// to `report`.
void WriteSpectra(const SpectralFacts& facts, StagedProducts& staged, const RunContext& context, ImageReport& report);

}  // namespace contimg::image
