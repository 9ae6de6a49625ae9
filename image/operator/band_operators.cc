#include "image/operator/band_operators.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "config/error.h"
#include "config/parallel.h"
#include "image/plane/plane.h"
#include "ingest/channel_slice.h"

namespace contimg::image {

BandOperators::BandOperators(const VisibilityBlock& block, const VisibilityParts& vis, std::size_t n_bands,
                             const ImageGeometry& geometry, const WeightSettings& weights,
                             const OperatorSettings& settings, const VaryingSources& outside)
    : threads_(settings.threads),
      by_channel_shape_{block.n_times(), block.n_channels()},
      by_baseline_shape_{block.n_times(), block.n_baselines()},
      by_channel_(block.n_times() * block.n_channels()),
      by_baseline_(block.n_times() * block.n_baselines()) {
  if (n_bands > block.n_channels()) {
    throw Error(ErrorKind::kUsage, "image", "image.spectral_channels",
                fmt::format("expected at most one band per channel, found {} bands for {} channels", n_bands,
                            block.n_channels()));
  }
  if (n_bands <= 1) {
    Add(block, 0, block.n_channels() - 1, MeasurementOperator(block, vis, geometry, weights, settings, outside));
  } else {
    OperatorSettings left = settings;
    std::optional<Error> empty;
    for (std::size_t i = 0; i < n_bands; ++i) {
      const std::size_t first = i * block.n_channels() / n_bands, last = (i + 1) * block.n_channels() / n_bands - 1;
      const VisibilityBlock part = SliceChannels(block, first, last, threads_);
      try {
        Add(block, first, last, MeasurementOperator(part, geometry, weights, left, outside));
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::kBadInput) throw;
        if (!empty) empty = error;
        continue;
      }
      const std::size_t held = operators_.back().figures().memory_bytes;
      if (left.memory_limit_bytes > 0) left.memory_limit_bytes -= std::min(held, left.memory_limit_bytes - 1);
    }
    if (operators_.empty()) throw *empty;
  }
  for (Band& band : bands_) band.weight /= figures_.sum_weights;
}

void BandOperators::Add(const VisibilityBlock& block, std::size_t first, std::size_t last, MeasurementOperator op) {
  const OperatorFigures& f = op.figures();
  if (operators_.empty()) {
    figures_ = f;
  } else {
    figures_.n_used += f.n_used;
    figures_.n_selected += f.n_selected;
    figures_.sum_weights += f.sum_weights;
    figures_.sum_weights_squared_over_natural += f.sum_weights_squared_over_natural;
    figures_.n_nodes += f.n_nodes;
    figures_.n_w_terms = std::max(figures_.n_w_terms, f.n_w_terms);
    figures_.uses_w_planes = figures_.uses_w_planes || f.uses_w_planes;
    figures_.max_residual_w_lambda = std::max(figures_.max_residual_w_lambda, f.max_residual_w_lambda);
    figures_.expected_error = std::max(figures_.expected_error, f.expected_error);
    figures_.memory_bytes += f.memory_bytes;
    figures_.peak_memory_bytes = std::max(figures_.peak_memory_bytes, figures_.memory_bytes + f.peak_memory_bytes);
    figures_.max_uv_lambda = std::max(figures_.max_uv_lambda, f.max_uv_lambda);
  }
  Band band{first,
            last,
            0,
            block.frequency_hz[first] - block.channel_width_hz / 2,
            block.frequency_hz[last] + block.channel_width_hz / 2,
            f.sum_weights};
  const auto channels = op.weight_by_time_channel();
  double sum = 0;
  for (std::size_t t = 0; t < channels.shape(0); ++t) {
    for (std::size_t k = 0; k < channels.shape(1); ++k) {
      by_channel_[t * by_channel_shape_[1] + first + k] = channels(t, k);
      band.frequency_hz += channels(t, k) * block.frequency_hz[first + k];
      sum += channels(t, k);
    }
  }
  band.frequency_hz /= sum;
  const auto baselines = op.weight_by_time_baseline();
  for (std::size_t i = 0; i < by_baseline_.size(); ++i) by_baseline_[i] += baselines.data()[i];
  bands_.push_back(band);
  operators_.push_back(std::move(op));
}

double BandOperators::frequency_hz() const {
  double mean = 0;
  for (const Band& band : bands_) mean += band.weight * band.frequency_hz;
  return mean;
}

std::size_t BandOperators::n_used_baselines() const {
  std::size_t used = 0;
  for (std::size_t b = 0; b < by_baseline_shape_[1]; ++b) {
    double sum = 0;
    for (std::size_t t = 0; t < by_baseline_shape_[0]; ++t) sum += by_baseline_[t * by_baseline_shape_[1] + b];
    used += sum > 0 ? 1 : 0;
  }
  return used;
}

void BandOperators::Psf(ArrayView<float, 2> psf) const {
  if (n_bands() == 1) return operators_[0].Psf(psf);
  Plane part(psf.shape(0), psf.shape(1));
  std::fill(psf.begin(), psf.end(), 0.0F);
  for (std::size_t i = 0; i < n_bands(); ++i) {
    operators_[i].Psf(part.view());
    AddScaled(part.view(), static_cast<float>(bands_[i].weight), psf, threads_);
  }
}

void BandOperators::DirtyAndPsf(ArrayView<float, 2> image, ArrayView<float, 2> psf) const {
  if (n_bands() == 1) return operators_[0].DirtyAndPsf(image, psf);
  Plane part_image(image.shape(0), image.shape(1)), part_psf(psf.shape(0), psf.shape(1));
  std::fill(image.begin(), image.end(), 0.0F);
  std::fill(psf.begin(), psf.end(), 0.0F);
  for (std::size_t i = 0; i < n_bands(); ++i) {
    operators_[i].DirtyAndPsf(part_image.view(), part_psf.view());
    AddScaled(part_image.view(), static_cast<float>(bands_[i].weight), image, threads_);
    AddScaled(part_psf.view(), static_cast<float>(bands_[i].weight), psf, threads_);
  }
}

void AddScaled(ArrayView<const float, 2> from, float factor, ArrayView<float, 2> to, int threads) {
  ParallelFor(threads, to.shape(0), [&](std::size_t y) {
    const float* in = &from(y, 0);
    float* out = &to(y, 0);
    for (std::size_t x = 0; x < to.shape(1); ++x) out[x] += factor * in[x];
  });
}

}  // namespace contimg::image
