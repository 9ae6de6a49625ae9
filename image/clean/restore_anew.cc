#include "image/clean/restore_anew.h"

#include <algorithm>
#include <cmath>

#include "config/buffer.h"
#include "image/operator/padded_transform.h"

namespace contimg::image {
namespace {

constexpr double kReach = 5.5;                     // standard deviations: 3e-7
constexpr double kFwhm2PerVariance = 5.545177444;  // 8 ln 2

TransformShape ShapeFor(std::size_t ny, std::size_t nx, double reach_x, double reach_y) {
  TransformShape shape;
  shape.nx = nx;
  shape.ny = ny;
  shape.padded_nx = GoodFftSize(nx + static_cast<std::size_t>(std::ceil(reach_x)));
  shape.padded_ny = GoodFftSize(ny + static_cast<std::size_t>(std::ceil(reach_y)));
  shape.n_columns = shape.padded_nx / 2 + 1;
  shape.n_terms = 1;
  return shape;
}

}  // namespace

void RestoreAnew(const GaussianBeam& from, const GaussianBeam& to, const BeamMoments& between,
                 ArrayView<const float, 2> residual, double cell_rad, ArrayView<float, 2> image, int threads) {
  if (!(between.ee + between.nn > 0)) return;
  const std::size_t ny = image.shape(0), nx = image.shape(1);
  // Variances in pixels, x to the west.
  const double unit = kFwhm2PerVariance * cell_rad * cell_rad;
  const double xx = between.ee / unit, yy = between.nn / unit, xy = -between.en / unit;
  const TransformShape shape = ShapeFor(ny, nx, kReach * std::sqrt(xx), kReach * std::sqrt(yy));
  PaddedTransform<float> transform(shape);
  const std::size_t column = 2 * shape.padded_ny;
  Buffer<float> model(shape.n_columns * column);
  const auto left = [&](std::size_t y, std::size_t x) {
    const float value = image(y, x) - residual(y, x);
    return std::isfinite(value) ? value : 0.0F;
  };
  // Jy per new beam, and the transforms' own factor.
  const double scale = to.major_rad * to.minor_rad / (from.major_rad * from.minor_rad) /
                       (static_cast<double>(shape.padded_nx) * static_cast<double>(shape.padded_ny));
  transform.FromImage(
      1,
      [&](std::size_t y, float* row) {
        for (std::size_t x = 0; x < nx; ++x) row[x] = left(y, x);
      },
      [&](std::size_t u, const float* in) {
        const double fx = static_cast<double>(u) / static_cast<double>(shape.padded_nx);
        float* out = model.data() + u * column;
        for (std::size_t v = 0; v < shape.padded_ny; ++v) {
          const double turns = v <= shape.padded_ny / 2 ? static_cast<double>(v)
                                                        : static_cast<double>(v) - static_cast<double>(shape.padded_ny);
          const double fy = turns / static_cast<double>(shape.padded_ny);
          const double exponent = -2 * kPi * kPi * (xx * fx * fx + 2 * xy * fx * fy + yy * fy * fy);
          const auto factor = static_cast<float>(scale * std::exp(exponent));
          out[2 * v] = factor * in[2 * v];
          out[2 * v + 1] = factor * in[2 * v + 1];
        }
      },
      threads);
  transform.ToImage(
      1,
      [&](std::size_t u, float* columns) {
        const float* in = model.data() + u * column;
        for (std::size_t i = 0; i < column; ++i) columns[i] += in[i];
      },
      [&](std::size_t y, const float* row) {
        for (std::size_t x = 0; x < nx; ++x) {
          if (std::isfinite(image(y, x))) image(y, x) = residual(y, x) + row[x];
        }
      },
      threads);
}

std::size_t RestoreAnewBytes(std::size_t ny, std::size_t nx) {
  const TransformShape shape = ShapeFor(ny, nx, 64, 64);
  return PaddedTransform<float>::MemoryBytes(shape) + 2 * sizeof(float) * shape.n_columns * shape.padded_ny;
}

}  // namespace contimg::image
