// The minor cycle of multiscale CLEAN (Cornwell 2008, IEEE JSTSP 2, 793; scale selection and the sub-minor loop at a
// fixed scale after Offringa & Smirnov 2017, MNRAS 471, 301).
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "config/array_view.h"
#include "image/clean/minor_cycle.h"
#include "image/clean/scale_kernels.h"

namespace contimg::image {

struct MultiscaleParams {
  MinorCycleParams minor;       // gain, iterations and stop level of the whole minor cycle
  double bias = 0.6;            // a scale's peak counts bias^(its index) times as much
  double sub_minor_gain = 0.2;  // one scale is kept until its peak fell by this fraction
};

struct MultiscaleResult {
  std::vector<CleanComponent> components;
  MinorCycleStop stop = MinorCycleStop::kNothingToDo;
  float level = 0;
  std::size_t cells = 0;
};

// PSFs smoothed to every scale, made once; memory: two images per scale and a transform.
class MultiscaleMinorCycle {
 public:
  MultiscaleMinorCycle(ArrayView<const float, 2> psf, const std::vector<ScaleKernel>& kernels, int threads);
  ~MultiscaleMinorCycle();
  MultiscaleMinorCycle(const MultiscaleMinorCycle&) = delete;
  MultiscaleMinorCycle& operator=(const MultiscaleMinorCycle&) = delete;

  // `residual` is brought up to date with the components found (by convolution, so approximately; the exact major cycle
  // follows). `masks`: one per scale, or empty.
  MultiscaleResult Run(ArrayView<float, 2> residual, const SearchWeights& weights,
                       const std::vector<ArrayView<const std::uint8_t, 2>>& masks, const MultiscaleParams& params,
                       int threads);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace contimg::image
