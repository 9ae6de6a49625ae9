// The gridding kernel: a compact function over `support` cells whose aliases fall outside the image.
//
// φ(z) = exp(β W ((1 − z²)^e − 1)), z = 2 d / W for a distance of d cells. The shapes come from
// image/operator/kernel_coefficients.py; evaluation is by one polynomial per cell.
#pragma once

#include <vector>

namespace contimg::image {

struct KernelShape {
  int support = 0;          // W, cells
  double oversampling = 0;  // σ: padded size over image size
  double beta = 0;
  double exponent = 0;
  double rms_error = 0;     // aliasing relative to the rms of an image of random visibilities, two axes
  double corner_error = 0;  // the same in the corners of the image
};

// The narrowest kernel for this oversampling (1.5 or 2) with an rms error of at most `rms_error` (or the best there
// is).
const KernelShape& ChooseKernel(double oversampling, double rms_error);

class GriddingKernel {
 public:
  explicit GriddingKernel(const KernelShape& shape);

  const KernelShape& shape() const { return shape_; }
  int support() const { return shape_.support; }
  // Taps are padded with zeros to this many: a multiple of 8.
  int lanes() const { return lanes_; }
  int degree() const { return degree_; }
  // [degree + 1][lanes], highest power first. A sample at cell coordinate c touches the cells i0 … i0 + W − 1,
  // i0 = ceil(c − W/2); the weight of cell i0 + j is the polynomial of tap j at 2(i0 − c + W/2) − 1, in [−1, 1).
  const std::vector<double>& coefficients() const { return coefficients_; }

  double Value(double cells) const;
  // ∫ φ exp(2πi ν d) dd, with ν in periods per cell: what a pixel at ν (position over padded size) is multiplied with.
  double Transform(double nu) const;

 private:
  KernelShape shape_;
  int lanes_ = 0;
  int degree_ = 0;
  std::vector<double> coefficients_;
  std::vector<double> quadrature_;  // pairs (d, weight·φ)
};

}  // namespace contimg::image
