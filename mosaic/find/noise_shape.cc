#include "mosaic/find/noise_shape.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "config/error.h"
#include "config/parallel.h"
#include "config/units.h"
#include "mosaic/table/stage_name.h"

namespace contimg::mosaic {
namespace {

constexpr std::size_t kEveryPixels = 3;  // of rows and columns
constexpr double kWithinRms = 4;

struct GradientSums {
  double vv = 0, xx = 0, yy = 0, xy = 0;
  std::size_t count = 0;
};

// First derivative at p[0] with this stride between neighbours.
double Derivative(const float* p, std::ptrdiff_t stride) {
  return 0.75 * (static_cast<double>(p[stride]) - p[-stride]) -
         0.15 * (static_cast<double>(p[2 * stride]) - p[-2 * stride]) +
         (static_cast<double>(p[3 * stride]) - p[-3 * stride]) / 60;
}

PixelTensor Inverse(const PixelTensor& m) {
  const double d = m.Determinant();
  return {m.yy / d, m.xx / d, -m.xy / d};
}

}  // namespace

PixelTensor MeasureGradients(const TileImages& images, const image::CoarseMap& rms, double min_pb, int threads) {
  const ArrayView<const float, 2> residual = images.residual;
  const std::size_t ny = residual.shape(0), nx = residual.shape(1);
  const std::size_t rows = ny > 6 ? (ny - 6 + kEveryPixels - 1) / kEveryPixels : 0;
  std::vector<GradientSums> sums(rows);
  ParallelFor(threads, rows, [&](std::size_t j) {
    const std::size_t y = 3 + j * kEveryPixels;
    GradientSums& sum = sums[j];
    for (std::size_t x = 3; x + 3 < nx; x += kEveryPixels) {
      const float* at = &residual(y, x);
      if (*at == 0 || (!images.pb.empty() && !(images.pb(y, x) >= min_pb))) continue;
      const double sigma = rms.At(static_cast<double>(x), static_cast<double>(y)), v = *at / sigma;
      if (!(std::abs(v) < kWithinRms)) continue;
      const double gx = Derivative(at, 1) / sigma, gy = Derivative(at, static_cast<std::ptrdiff_t>(nx)) / sigma;
      if (!std::isfinite(gx) || !std::isfinite(gy)) continue;
      sum.vv += v * v;
      sum.xx += gx * gx;
      sum.yy += gy * gy;
      sum.xy += gx * gy;
      ++sum.count;
    }
  });
  GradientSums all;
  for (const GradientSums& sum : sums) {
    all.vv += sum.vv, all.xx += sum.xx, all.yy += sum.yy, all.xy += sum.xy, all.count += sum.count;
  }
  const PixelTensor g{all.xx / all.vv, all.yy / all.vv, all.xy / all.vv};
  if (all.count < 100 || !(g.Determinant() > 0)) {
    throw Error(ErrorKind::kBadInput, kStage, "",
                "expected noise whose correlation can be measured, found too little of the residual that is not blank");
  }
  return g;
}

PixelTensor CurvatureOf(ArrayView<const float, 2> psf, double band) {
  const ImageReader reader(psf, band);
  const ImageReader::Shape peak =
      reader.ShapeAt(static_cast<double>(psf.shape(1) / 2), static_cast<double>(psf.shape(0) / 2));
  const PixelTensor h{-peak.hxx / peak.value, -peak.hyy / peak.value, -peak.hxy / peak.value};
  if (!(peak.value > 0) || !(h.xx > 0) || !(h.Determinant() > 0)) {
    throw Error(ErrorKind::kBadInput, kStage, "",
                "expected a point-spread function with its peak in the middle, found none");
  }
  return h;
}

PixelTensor PlaceCovariance(const PixelTensor& g, const PixelTensor& h) {
  const PixelTensor i = Inverse(h);
  const double a = i.xx * g.xx + i.xy * g.xy, b = i.xx * g.xy + i.xy * g.yy;  // first row of H⁻¹ G
  const double c = i.xy * g.xx + i.yy * g.xy, d = i.xy * g.xy + i.yy * g.yy;
  return {a * i.xx + b * i.xy, c * i.xy + d * i.yy, a * i.xy + b * i.yy};
}

double ExpectedMaxima(double pixels, const PixelTensor& g, double u) {
  return pixels * std::sqrt(g.Determinant()) * std::pow(2 * kPi, -1.5) * u * std::exp(-u * u / 2);
}

}  // namespace contimg::mosaic
