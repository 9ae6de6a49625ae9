#include "image/model_prediction.h"

#include "image/plane/plane.h"
#include "ingest/channel_slice.h"

namespace contimg::image {

void PredictModel(const BandOperators& op, ArrayView<const float, 2> model, const VaryingSources& varying,
                  VisibilityBlock& block) {
  op.op(0).Predict(model, varying, block);
  block.data_state = DataState::kModel;
}

void PredictBands(const BandOperators& op, ArrayView<const float, 2> model, const SpectralMajorCycle& spectral,
                  const ImageGeometry& slant, std::size_t first_channel, VisibilityBlock& block, int threads) {
  Plane band_model(slant);
  for (std::size_t i = 0; i < op.n_bands(); ++i) {
    const std::size_t first = i == 0 ? 0 : first_channel + op.band(i).first_channel;
    const std::size_t last = i + 1 == op.n_bands() ? block.n_channels() - 1 : first_channel + op.band(i).last_channel;
    VisibilityBlock part = SliceChannels(block, first, last, threads);
    spectral.BandModel(model, i, band_model.view());
    op.op(i).Predict(band_model.view(), spectral.BandVarying(i), part);
    InsertChannels(part, first, block, threads);
  }
  block.data_state = DataState::kModel;
}

}  // namespace contimg::image
