#include "image/operator/gridding_kernel.h"

#include <array>
#include <cmath>
#include <cstddef>

#include "config/units.h"

namespace contimg::image {
namespace {

constexpr KernelShape kShapes[] = {
#include "image/operator/kernel_table.inc"
};

// Monomial coefficients (lowest power first) of the polynomial through `values` at the Chebyshev points
// cos(π(i + ½)/n) of [−1, 1].
std::vector<double> ChebyshevFit(const std::vector<double>& values) {
  const std::size_t n = values.size();
  std::vector<double> series(n, 0.0);
  for (std::size_t k = 0; k < n; ++k) {
    for (std::size_t i = 0; i < n; ++i) {
      const double angle = kPi * static_cast<double>(k) * (static_cast<double>(i) + 0.5) / static_cast<double>(n);
      series[k] += values[i] * std::cos(angle) * (k == 0 ? 1.0 : 2.0) / static_cast<double>(n);
    }
  }
  // Sum of series[k] T_k in powers of x, by T_k+1 = 2x T_k − T_k−1.
  std::vector<double> result(n, 0.0), previous(n, 0.0), current(n, 0.0);
  current[0] = 1;
  for (std::size_t k = 0; k < n; ++k) {
    for (std::size_t i = 0; i < n; ++i) result[i] += series[k] * current[i];
    std::vector<double> next(n, 0.0);
    for (std::size_t i = 0; i + 1 < n; ++i) next[i + 1] = (k == 0 ? 1.0 : 2.0) * current[i];
    if (k > 0) {
      for (std::size_t i = 0; i < n; ++i) next[i] -= previous[i];
    }
    previous = current;
    current = next;
  }
  return result;
}

}  // namespace

const KernelShape& ChooseKernel(double oversampling, double rms_error) {
  const KernelShape* best = nullptr;
  for (const KernelShape& shape : kShapes) {
    if (shape.oversampling != oversampling) continue;
    best = &shape;
    if (shape.rms_error <= rms_error) break;
  }
  return *best;
}

GriddingKernel::GriddingKernel(const KernelShape& shape)
    : shape_(shape), lanes_((shape.support + 7) / 8 * 8), degree_(shape.support + 4) {
  const std::size_t n = static_cast<std::size_t>(degree_) + 1;
  const std::size_t stride = static_cast<std::size_t>(lanes_);
  coefficients_.assign(n * stride, 0.0);
  for (int tap = 0; tap < support(); ++tap) {
    std::vector<double> values(n);
    for (std::size_t i = 0; i < n; ++i) {
      const double x = std::cos(kPi * (static_cast<double>(i) + 0.5) / static_cast<double>(n));
      values[i] = Value(tap + 0.5 * (x + 1) - 0.5 * support());
    }
    const std::vector<double> powers = ChebyshevFit(values);
    for (std::size_t i = 0; i < n; ++i) {
      coefficients_[(n - 1 - i) * stride + static_cast<std::size_t>(tap)] = powers[i];
    }
  }
  // Composite Gauss-Legendre, eight points per cell: the integrand is smooth within the support.
  constexpr std::array<double, 4> kNode{0.1834346424956498, 0.5255324099163290, 0.7966664774136267, 0.9602898564975363};
  constexpr std::array<double, 4> kWeight{0.3626837833783620, 0.3137066458778873, 0.2223810344533745,
                                          0.1012285362903763};
  constexpr int kPanels = 4;  // per cell
  for (int panel = 0; panel < support() * kPanels; ++panel) {
    const double half = 0.5 / kPanels;
    const double middle = (2 * panel + 1) * half - 0.5 * support();
    for (std::size_t i = 0; i < kNode.size(); ++i) {
      for (const double sign : {-1.0, 1.0}) {
        const double d = middle + sign * half * kNode[i];
        quadrature_.push_back(d);
        quadrature_.push_back(half * kWeight[i] * Value(d));
      }
    }
  }
}

double GriddingKernel::Value(double cells) const {
  const double z = 2 * cells / support();
  const double inside = 1 - z * z;
  if (inside < 0) return 0;
  return std::exp(shape_.beta * support() * (std::pow(inside, shape_.exponent) - 1));
}

double GriddingKernel::Transform(double nu) const {
  double sum = 0;
  for (std::size_t i = 0; i < quadrature_.size(); i += 2) {
    sum += quadrature_[i + 1] * std::cos(2 * kPi * nu * quadrature_[i]);
  }
  return sum;
}

}  // namespace contimg::image
