// The shapes of multiscale CLEAN (Cornwell 2008, IEEE JSTSP 2, 793; Offringa & Smirnov 2017, MNRAS 471, 301).
#pragma once

#include <cstddef>
#include <vector>

#include "config/array_view.h"
#include "image/clean/minor_cycle.h"

namespace contimg::image {

// The tapered quadratic (1 − (r/a)²) · cos²(πr/2a), r < a = 1.2 scale, normalised to a sum of 1, on an odd square.
// A scale below one pixel is a point: one pixel of 1.
class ScaleKernel {
 public:
  explicit ScaleKernel(double scale_px);
  std::size_t size() const { return size_; }
  std::size_t half() const { return size_ / 2; }
  float at(std::size_t x, std::size_t y) const { return values_[y * size_ + x]; }
  bool is_point() const { return size_ == 1; }

 private:
  std::size_t size_ = 1;
  std::vector<float> values_;
};

// image(y, x) += flux · kernel centred on each component (of any scale); parts beyond the edges are lost.
void AddComponents(const std::vector<CleanComponent>& components, const std::vector<ScaleKernel>& kernels,
                   ArrayView<float, 2> image);

}  // namespace contimg::image
