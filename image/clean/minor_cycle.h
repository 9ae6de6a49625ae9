// CLEAN's minor cycle: finds and subtracts components on the pixels that matter.
//
// Clark's idea (1980, A&A 89, 377): collect the pixels above the level down to which this cycle will clean, and
// subtract only there, with the full PSF; the other pixels are brought up to date by the exact major cycle that
// follows (Schwab 1984, AJ 89, 1076). Pixels are collected in cells of 16 neighbours of one row so that a subtraction
// reads the PSF in runs, and cells in tiles that wait until they matter (active_tiles.h). The result does not depend on
// the number of threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "config/array_view.h"
#include "image/clean/active_tiles.h"
#include "image/plane/clean_component.h"

namespace contimg::image {

// What the search sees besides the residual. A pixel's search value is |residual| · weight (or residual · weight
// without negative components) inside the mask and nothing outside. Empty views: everywhere, weight 1.
struct SearchWeights {
  ArrayView<const std::uint8_t, 2> mask;  // non-zero = allowed
  ArrayView<const float, 2> weight;       // at most 1, for example min(local rms) / local rms
};

struct MinorCycleParams {
  float gain = 0.1F;               // fraction of the peak per component
  float stop_level = 0;            // search value down to which to clean
  std::size_t max_iterations = 0;  // at most this many components
  bool allow_negative = true;
  std::size_t border_px = 0;       // no components this close to the edges
  std::size_t max_cells = 400000;  // the level is raised until no more cells than this are above it
  int scale = 0;                   // written into the components
};

enum class MinorCycleStop { kLevelReached, kIterations, kNegative, kNothingToDo };

struct MinorCycleResult {
  std::vector<CleanComponent> components;
  float level = 0;       // the level that applied: stop_level, or higher when there were too many cells
  float final_peak = 0;  // search value of the highest pixel left
  std::size_t cells = 0;
  MinorCycleStop stop = MinorCycleStop::kNothingToDo;
};

// Largest search value of the image.
float SearchPeak(ArrayView<const float, 2> residual, const SearchWeights& weights, const MinorCycleParams& params,
                 int threads);

// One minor cycle on `residual` (not changed). The PSF has the residual's shape and the value 1 at its centre.
MinorCycleResult RunMinorCycle(ArrayView<const float, 2> residual, const PaddedPsf& psf, const SearchWeights& weights,
                               const MinorCycleParams& params, int threads);

}  // namespace contimg::image
