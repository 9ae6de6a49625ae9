#include "image/operator/pixel_doubling.h"

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <algorithm>
#include <cmath>

#include "config/error.h"
#include "config/parallel.h"
#include "config/units.h"
#include "image/operator/doubling_kernels.h"

namespace contimg::image {
namespace {

constexpr std::size_t kMostTaps = 40;
constexpr std::size_t kRowsAtOnce = 16;

// ∫ cos 2πfd df over [0, band], divided by the band.
double CosineMean(double band, double d) {
  const double x = 2 * kPi * band * d;
  return x == 0 ? 1.0 : std::sin(x) / x;
}

// Weights w_k of the pairs at ± (k + 1/2) that minimise the mean of (1 − Σ 2 w_k cos 2πf(k + 1/2))² over the band.
Eigen::VectorXd LeastSquaresWeights(double band, std::size_t pairs) {
  constexpr double kRidge = 1e-13;  // bounds the weights, at an error of its square root
  const auto n = static_cast<Eigen::Index>(pairs);
  Eigen::MatrixXd gram(n, n);
  Eigen::VectorXd right(n);
  for (Eigen::Index i = 0; i < n; ++i) {
    const double a = static_cast<double>(i) + 0.5;
    right[i] = 2 * CosineMean(band, a);
    for (Eigen::Index j = 0; j < n; ++j) {
      const double b = static_cast<double>(j) + 0.5;
      gram(i, j) = 2 * (CosineMean(band, a - b) + CosineMean(band, a + b)) + (i == j ? kRidge : 0.0);
    }
  }
  return gram.llt().solve(right);
}

double LargestError(const std::vector<float>& weights, double band) {
  double largest = 0;
  constexpr int kSteps = 400;
  for (int i = 0; i <= kSteps; ++i) {
    double sum = 0;
    for (std::size_t k = 0; k < weights.size(); ++k) {
      sum +=
          2 * static_cast<double>(weights[k]) * std::cos(2 * kPi * band * i / kSteps * (static_cast<double>(k) + 0.5));
    }
    largest = std::max(largest, std::fabs(1 - sum));
  }
  return largest;
}

// Number of wide pixels of an axis of `fine` pixels: even, with `margin` beyond every fine one.
std::size_t WideSize(std::size_t fine, std::size_t margin) { return 2 * ((fine + 3) / 4 + margin); }

}  // namespace

std::optional<PixelDoubling> PixelDoubling::Make(double band, double error) {
  if (!(band > 0 && band < 0.5)) return std::nullopt;
  PixelDoubling doubling;
  for (std::size_t pairs = 2; 2 * pairs <= kMostTaps; ++pairs) {
    const Eigen::VectorXd weights = LeastSquaresWeights(band, pairs);
    doubling.weights_.assign(weights.begin(), weights.end());
    doubling.largest_error_ = std::sqrt(2.0) * LargestError(doubling.weights_, band);
    if (doubling.largest_error_ <= error) return doubling;
  }
  return std::nullopt;
}

ImageGeometry PixelDoubling::Wide(const ImageGeometry& fine) const {
  ImageGeometry wide = fine;
  wide.nx = WideSize(fine.nx, weights_.size());
  wide.ny = WideSize(fine.ny, weights_.size());
  wide.cell_rad = 2 * fine.cell_rad;
  return wide;
}

void PixelDoubling::Double(ArrayView<const float, 2> wide, ArrayView<float, 2> fine, int threads) const {
  const std::size_t nx = fine.shape(1), ny = fine.shape(0), wide_nx = wide.shape(1);
  const std::ptrdiff_t centre = static_cast<std::ptrdiff_t>(wide.shape(0) / 2);
  const PixelAxis axis{nx, wide_nx};
  ParallelFor(threads, (ny + kRowsAtOnce - 1) / kRowsAtOnce, [&](std::size_t block) {
    std::vector<float> between(wide_nx), scratch(wide_nx);
    for (std::size_t y = block * kRowsAtOnce; y < std::min(ny, (block + 1) * kRowsAtOnce); ++y) {
      const std::ptrdiff_t offset = static_cast<std::ptrdiff_t>(y) - static_cast<std::ptrdiff_t>(ny / 2);
      const bool odd = offset % 2 != 0;
      const float* row =
          wide.data() + (centre + (odd ? offset - 1 : offset) / 2) * static_cast<std::ptrdiff_t>(wide_nx);
      if (odd) {
        SumPairs(weights_, row, row + wide_nx, wide_nx, wide_nx, between.data());
        row = between.data();
      }
      DoubleRow(weights_, axis, row, scratch.data(), fine.data() + y * nx);
    }
  });
}

void PixelDoubling::Transpose(ArrayView<const float, 2> fine, ArrayView<float, 2> wide, int threads) const {
  const std::size_t nx = fine.shape(1), wide_nx = wide.shape(1), wide_ny = wide.shape(0);
  const std::ptrdiff_t ny = static_cast<std::ptrdiff_t>(fine.shape(0));
  const PixelAxis axis{nx, wide_nx};
  ParallelFor(threads, (wide_ny + kRowsAtOnce - 1) / kRowsAtOnce, [&](std::size_t block) {
    std::vector<float> sum(nx), scratch(2 * (wide_nx + weights_.size()));
    for (std::size_t y = block * kRowsAtOnce; y < std::min(wide_ny, (block + 1) * kRowsAtOnce); ++y) {
      const std::ptrdiff_t at =
          2 * (static_cast<std::ptrdiff_t>(y) - static_cast<std::ptrdiff_t>(wide_ny / 2)) + ny / 2;
      const auto row = [&](std::ptrdiff_t i) {
        return i >= 0 && i < ny ? fine.data() + i * static_cast<std::ptrdiff_t>(nx) : nullptr;
      };
      if (const float* same = row(at)) {
        std::copy_n(same, nx, sum.data());
      } else {
        std::fill(sum.begin(), sum.end(), 0.0F);
      }
      for (std::size_t k = 0; k < weights_.size(); ++k) {
        const std::ptrdiff_t step = 2 * static_cast<std::ptrdiff_t>(k) + 1;
        for (const float* beside : {row(at - step), row(at + step)}) {
          if (beside != nullptr) AddScaled(weights_[k], beside, nx, sum.data());
        }
      }
      TransposeRow(weights_, axis, sum.data(), scratch.data(), wide.data() + y * wide_nx);
    }
  });
}

}  // namespace contimg::image
