// Between node visibilities and images: gridding, Fourier transforms, w terms and corrections put together.
//
// Gridding adds the rows of each leaf of the plan to a grid of that leaf's own; the transforms collect the leaves
// column by column in a fixed order. Results therefore do not depend on the number of threads.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "config/array_view.h"
#include "image/operator/gridding_kernel.h"
#include "image/operator/uv_plan.h"
#include "image/operator/w_expansion.h"
#include "image/plane/image_geometry.h"

namespace contimg::image {

// One call at a time: grids are kept between calls.
class GridEngine {
 public:
  // What the nodes are: visibilities (complex conjugates of the rows' orientation), or the weights of a point source at
  // the centre of the image.
  enum class Kind { kData, kPsf };

  virtual ~GridEngine() = default;

  // image = scale · Σ over all nodes of Re[Z exp(2πi(…))] (image/operator/grid_kernels.h). `im` may be null for real
  // nodes.
  virtual void ToImage(Kind kind, const float* re, const float* im, double scale, ArrayView<float, 2> image,
                       int threads) = 0;
  // re, im = the nodes of an image: Z = Σ_xy image(x, y) exp(−2πi(…)).
  virtual void FromImage(ArrayView<const float, 2> image, float* re, float* im, int threads) = 0;

  // Grids and transforms (allocated at first use, then kept), and the scratch of a call's threads.
  struct Memory {
    std::size_t held_bytes = 0;
    std::size_t scratch_bytes = 0;
  };
  virtual Memory MemoryBytes(int threads) const = 0;
  virtual std::size_t padded_nx() const = 0;
  virtual std::size_t padded_ny() const = 0;
};

struct GridEngineSetup {
  const UvPlan* plan = nullptr;  // must outlive the engine
  ImageGeometry geometry;
  GriddingKernel kernel;
  WExpansion expansion;
  bool double_precision = false;
};
std::unique_ptr<GridEngine> MakeGridEngine(const GridEngineSetup& setup);

}  // namespace contimg::image
