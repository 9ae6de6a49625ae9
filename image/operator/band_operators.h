// The measurement operators of one band, or of several bands of a tile that are imaged apart and used as one.
//
// Images of the whole are the bands' images averaged with their sums of weights. One band is the tile itself, without
// any copy. Several bands are equal parts of its channels, each weighted (density, robustness) for itself.
#pragma once

#include <cstddef>
#include <vector>

#include "image/operator/measurement_operator.h"

namespace contimg::image {

class BandOperators {
 public:
  // As MeasurementOperator; `n_bands` at most the number of channels (Error{kUsage}). Bands without usable samples are
  // left out; Error{kBadInput} when none is left. `vis`: the visibilities of the block; several bands need them in it.
  BandOperators(const VisibilityBlock& block, const VisibilityParts& vis, std::size_t n_bands,
                const ImageGeometry& geometry, const WeightSettings& weights, const OperatorSettings& settings,
                const VaryingSources& outside = {});

  struct Band {
    std::size_t first_channel = 0, last_channel = 0;  // of the block
    double frequency_hz = 0;                          // weighted mean
    double low_hz = 0, high_hz = 0;                   // edges
    double weight = 1;                                // part of the sum of all weights
  };
  std::size_t n_bands() const { return bands_.size(); }
  const Band& band(std::size_t i) const { return bands_[i]; }
  const MeasurementOperator& op(std::size_t i) const { return operators_[i]; }
  double frequency_hz() const;  // weighted mean of all

  const OperatorFigures& figures() const { return figures_; }  // of the whole
  void Psf(ArrayView<float, 2> psf) const;
  void DirtyAndPsf(ArrayView<float, 2> image, ArrayView<float, 2> psf) const;

  // Sums of the imaging weights over the whole block: [time][channel] and [time][baseline].
  ArrayView<const double, 2> weight_by_time_channel() const { return {by_channel_.data(), by_channel_shape_}; }
  ArrayView<const double, 2> weight_by_time_baseline() const { return {by_baseline_.data(), by_baseline_shape_}; }
  std::size_t n_used_baselines() const;  // with any weight

 private:
  void Add(const VisibilityBlock& block, std::size_t first, std::size_t last, MeasurementOperator op);

  int threads_;
  std::vector<Band> bands_;
  std::vector<MeasurementOperator> operators_;
  OperatorFigures figures_;
  std::array<std::size_t, 2> by_channel_shape_{}, by_baseline_shape_{};
  std::vector<double> by_channel_, by_baseline_;
};

// to += factor · from.
void AddScaled(ArrayView<const float, 2> from, float factor, ArrayView<float, 2> to, int threads);

}  // namespace contimg::image
