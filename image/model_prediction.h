// The visibilities of the CLEAN model, put into the block in place of the data.
#pragma once

#include <cstddef>

#include "config/array_view.h"
#include "image/clean/spectral_model.h"
#include "image/operator/band_operators.h"
#include "image/response/varying_sources.h"
#include "ingest/visibility_block.h"

namespace contimg::image {

// One band: `model` (slant grid, Jy/pixel) with `varying`, the sources whose response varies.
void PredictModel(const BandOperators& op, ArrayView<const float, 2> model, const VaryingSources& varying,
                  VisibilityBlock& block);
// Several bands, each with its own model. `first_channel`: the block's channel that is the operators' first. Channels
// outside the bands get the nearest band's model.
void PredictBands(const BandOperators& op, ArrayView<const float, 2> model, const SpectralMajorCycle& spectral,
                  const ImageGeometry& slant, std::size_t first_channel, VisibilityBlock& block, int threads);

}  // namespace contimg::image
