#include "image/plane/slant_resample.h"

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <limits>

#include "config/error.h"
#include "config/units.h"
#include "image/plane/sky_coordinates.h"
#include "image/plane/slant_resample_kernel.h"

namespace contimg::image {
namespace {

double Sinc(double x) { return x == 0 ? 1.0 : std::sin(kPi * x) / (kPi * x); }

InterpolationInput InputOf(ArrayView<const float, 2> image, const BandlimitedInterpolator& interpolator) {
  return {image.data(),
          nullptr,
          static_cast<std::int32_t>(image.shape(1)),
          static_cast<std::int32_t>(image.shape(0)),
          interpolator.Weights(0),
          static_cast<std::int32_t>(interpolator.taps())};
}

}  // namespace

BandlimitedInterpolator::BandlimitedInterpolator(double band, double tolerance) {
  if (!(band > 0)) throw Error(ErrorKind::kBug, "image", "resampling", "the band must be positive");
  if (!Build(band, 8, tolerance) && !Build(band, 12, tolerance)) Build(band, 16, tolerance);
}

bool BandlimitedInterpolator::Build(double band, std::size_t taps, double tolerance) {
  // The ridge bounds the weights (noise outside the band would grow with them) at an error of its square root.
  constexpr double kRidge = 1e-12;
  const double b2 = 2 * std::min(band, 0.5);
  const auto n = static_cast<Eigen::Index>(taps);
  Eigen::MatrixXd gram(n, n);
  for (Eigen::Index i = 0; i < n; ++i) {
    for (Eigen::Index j = 0; j < n; ++j) gram(i, j) = Sinc(b2 * static_cast<double>(i - j)) + (i == j ? kRidge : 0.0);
  }
  const Eigen::LLT<Eigen::MatrixXd> cholesky(gram);
  taps_ = taps;
  expected_error_ = 0;
  table_.assign((kPhases + 1) * stride(), 0.0F);
  const double first = 1.0 - static_cast<double>(taps / 2);
  Eigen::VectorXd right(n);
  for (std::size_t phase = 0; phase <= kPhases; ++phase) {
    const double fraction = static_cast<double>(phase) / kPhases;
    for (Eigen::Index i = 0; i < n; ++i) right[i] = Sinc(b2 * (fraction - first - static_cast<double>(i)));
    const Eigen::VectorXd weights = cholesky.solve(right);
    for (Eigen::Index i = 0; i < n; ++i)
      table_[phase * stride() + static_cast<std::size_t>(i)] = static_cast<float>(weights[i]);
    expected_error_ = std::max(expected_error_, std::sqrt(std::max(0.0, 1 - weights.dot(right))));
  }
  return std::sqrt(2.0) * expected_error_ <= tolerance;  // two axes
}

void InterpolateAt(ArrayView<const float, 2> image, const BandlimitedInterpolator& interpolator, const double* x,
                   const double* y, std::size_t count, float* values) {
  InterpolateRow(InputOf(image, interpolator), x, y, count, values, nullptr);
}

void InterpolateTwoAt(ArrayView<const float, 2> image, ArrayView<const float, 2> second,
                      const BandlimitedInterpolator& interpolator, const double* x, const double* y, std::size_t count,
                      float* values, float* second_values) {
  InterpolationInput source = InputOf(image, interpolator);
  source.second = second.data();
  InterpolateRow(source, x, y, count, values, second_values);
}

void ResampleRowToPlain(ArrayView<const float, 2> input, const ImageGeometry& slant,
                        const BandlimitedInterpolator& interpolator, ArrayView<float, 2> output,
                        const ImageGeometry& plain, std::size_t y) {
  const std::size_t nx = output.shape(1);
  const double m = plain.shift_m + (static_cast<double>(y) - static_cast<double>(plain.ny / 2)) * plain.cell_rad;
  SlantRow row;
  row.middle = static_cast<double>(plain.nx / 2);
  row.shift_l = plain.shift_l;
  row.cell = plain.cell_rad;
  row.m = m;
  row.x0 = static_cast<double>(slant.nx / 2) + (slant.shift_l - plain.shift_l) / slant.cell_rad;
  row.scale = plain.cell_rad / slant.cell_rad;
  row.x_n = -slant.slant_a / slant.cell_rad;
  row.y0 = static_cast<double>(slant.ny / 2) + (m - slant.shift_m) / slant.cell_rad;
  row.y_n = slant.slant_b / slant.cell_rad;
  std::vector<double> at_x(nx), at_y(nx);
  LocateRow(row, nx, at_x.data(), at_y.data());
  InterpolateAt(input, interpolator, at_x.data(), at_y.data(), nx, &output(y, 0));
}

}  // namespace contimg::image
