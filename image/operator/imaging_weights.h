// The imaging weights of a tile's samples (image/operator/weighting.h defines them).
#pragma once

#include <cstddef>
#include <vector>

#include "image/operator/sample_kernels.h"
#include "image/operator/uv_plan.h"
#include "image/operator/weighting.h"
#include "image/plane/image_geometry.h"
#include "ingest/visibility_block.h"
#include "ingest/visibility_parts.h"

namespace contimg::image {

// Which products of the block make Stokes I. Throws Error{kBadInput} when there are none.
HandSelection SelectHands(const VisibilityBlock& block, bool accept_single);
// Row `time`, `baseline` of the block; its visibilities are in `part`, or null.
RowSamples BlockRow(const VisibilityBlock& block, const VisibilityPart& part, std::size_t time, std::size_t baseline);

// The weights of all samples of a plan's rows: the density grid is made once, rows are weighted one by one.
class ImagingWeights {
 public:
  // `finite`: all unflagged visibilities are known to be finite, so that the density needs their weights alone.
  struct Input {
    const VisibilityBlock* block = nullptr;
    const VisibilityParts* vis = nullptr;
    const UvPlan* plan = nullptr;  // must outlive the weights
    bool finite = true;
  };
  ImagingWeights(const Input& input, const ImageGeometry& geometry, const WeightSettings& settings, int threads);

  // natural[k]: the natural weights of a row's channels; weight[k]: the imaging weights. `cells` is scratch.
  void Apply(const UvRow& row, const float* natural, std::vector<std::int32_t>& cells, float* weight) const;

 private:
  struct ChannelRange {
    std::size_t begin = 0;
    std::size_t end = 0;
  };
  ChannelRange InRange(const UvRow& row) const;
  DensityRow Coordinates(const UvRow& row) const;
  void MakeDensity(const Input& input, int threads);

  WeightSettings settings_;
  HandSelection hands_;
  const std::vector<double>* frequency_hz_;  // of the plan
  double cells_per_wavelength_u_ = 0;
  double cells_per_wavelength_v_ = 0;
  double taper_ = 0;  // exponent per wavelength²
  long v0_ = 0;
  std::size_t nv_ = 0;
  std::vector<float> factor_;  // [u][v]; empty for natural weights
};

}  // namespace contimg::image
