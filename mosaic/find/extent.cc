#include "mosaic/find/extent.h"

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <limits>

#include "config/parallel.h"
#include "config/robust_statistics.h"
#include "mosaic/photometry/clusters.h"

namespace contimg::mosaic {
namespace {

constexpr double kApertureWidths = 1;
constexpr double kFitWidths = 1.5;
constexpr double kLargestBeams = 10;
constexpr int kFitSteps = 60;

// Calls visit(dx, dy, value) for the pixels within `widths` full widths of a place, `others` taken away; false when one
// of them is blank or outside.
template <typename Visit>
bool VisitPixels(ArrayView<const float, 2> image, const PointShape& shape, double x, double y, double widths,
                 const std::vector<Component>& others, const Visit& visit) {
  const BeamPixels& beam = shape.beam();
  const double reach_x = beam.ReachX(widths), reach_y = beam.ReachY(widths);
  const auto x0 = static_cast<std::ptrdiff_t>(std::ceil(x - reach_x)),
             x1 = static_cast<std::ptrdiff_t>(std::floor(x + reach_x)),
             y0 = static_cast<std::ptrdiff_t>(std::ceil(y - reach_y)),
             y1 = static_cast<std::ptrdiff_t>(std::floor(y + reach_y));
  if (x0 < 0 || y0 < 0 || x1 >= static_cast<std::ptrdiff_t>(image.shape(1)) ||
      y1 >= static_cast<std::ptrdiff_t>(image.shape(0)))
    return false;
  for (std::ptrdiff_t j = y0; j <= y1; ++j) {
    for (std::ptrdiff_t i = x0; i <= x1; ++i) {
      const double px = static_cast<double>(i), py = static_cast<double>(j);
      if (beam.Distance2(px - x, py - y) > widths * widths) continue;
      double value = image(j, i);
      if (!std::isfinite(value)) return false;
      for (const Component& c : others) value -= shape.Value(c.point(), px - c.x, py - c.y);
      visit(px - x, py - y, value);
    }
  }
  return true;
}

struct FitPixel {
  double dx, dy, value;
};

// A exp(−(p u² + q v² + r u v)), u = dx − x0, v = dy − y0 in pixels.
using FitVector = Eigen::Matrix<double, 6, 1>;  // A, x0, y0, p, q, r

double Model(const FitVector& s, const FitPixel& at, FitVector* gradient) {
  const double u = at.dx - s[1], v = at.dy - s[2];
  const double shape = std::exp(-(s[3] * u * u + s[4] * v * v + s[5] * u * v)), value = s[0] * shape;
  if (gradient != nullptr) {
    *gradient << shape, value * (2 * s[3] * u + s[5] * v), value * (2 * s[4] * v + s[5] * u), -value * u * u,
        -value * v * v, -value * u * v;
  }
  return value;
}

// Levenberg-Marquardt; false when it leads nowhere.
bool FitGaussian(const std::vector<FitPixel>& pixels, FitVector& s) {
  const auto cost_of = [&](const FitVector& at) {
    double cost = 0;
    for (const FitPixel& pixel : pixels) {
      const double d = pixel.value - Model(at, pixel, nullptr);
      cost += d * d;
    }
    return cost;
  };
  double cost = cost_of(s), damping = 1e-3;
  for (int step = 0; step < kFitSteps; ++step) {
    Eigen::Matrix<double, 6, 6> matrix = Eigen::Matrix<double, 6, 6>::Zero();
    FitVector right = FitVector::Zero(), gradient;
    for (const FitPixel& pixel : pixels) {
      const double d = pixel.value - Model(s, pixel, &gradient);
      matrix += gradient * gradient.transpose();
      right += d * gradient;
    }
    matrix.diagonal() *= 1 + damping;
    const FitVector change = matrix.ldlt().solve(right);
    if (!change.allFinite()) return false;
    const FitVector next = s + change;
    const double next_cost = cost_of(next);
    if (next_cost <= cost) {
      const bool converged = cost - next_cost <= 1e-10 * cost;
      s = next;
      cost = next_cost;
      damping /= 10;
      if (converged) return true;
    } else {
      damping *= 10;
      if (damping > 1e9) return true;
    }
  }
  return true;
}

}  // namespace

double ApertureFlux(ArrayView<const float, 2> image, const PointShape& shape, double x, double y,
                    const std::vector<Component>& others) {
  double sum = 0, of_point = 0;
  const bool whole = VisitPixels(image, shape, x, y, kApertureWidths, others, [&](double dx, double dy, double value) {
    sum += value;
    of_point += shape.beam().Value(dx, dy);
  });
  return whole && of_point > 0 ? sum / of_point : std::numeric_limits<double>::quiet_NaN();
}

double ApertureScatter(const TileImages& images, const image::CoarseMap& rms, const PointShape& shape, double min_pb,
                       int threads) {
  const std::size_t ny = images.residual.shape(0), nx = images.residual.shape(1);
  // Some 3000 places, none nearer to the next than three beams.
  const auto step = static_cast<std::size_t>(
      std::max(3 * shape.beam().major_px(), std::sqrt(static_cast<double>(nx) * static_cast<double>(ny) / 3000)));
  const std::size_t rows = ny / step;
  std::vector<std::vector<double>> found(rows);
  ParallelFor(threads, rows, [&](std::size_t j) {
    const std::size_t y = j * step + step / 2;
    for (std::size_t x = step / 2; x < nx; x += step) {
      if (!images.pb.empty() && !(images.pb(y, x) >= min_pb)) continue;
      const double px = static_cast<double>(x), py = static_cast<double>(y), value = images.residual(y, x);
      const double sigma = rms.At(px, py), flux = ApertureFlux(images.residual, shape, px, py, {});
      if (std::isfinite(flux) && std::abs(value) < 4 * sigma) found[j].push_back((flux - value) / sigma);
    }
  });
  std::vector<double> all;
  for (const auto& some : found) all.insert(all.end(), some.begin(), some.end());
  if (all.empty()) return std::numeric_limits<double>::infinity();  // nothing is told to be resolved
  std::vector<double> copy = all;
  const double median = TakeMedian(copy);
  return kSigmaPerMad * TakeMad(all, median);
}

std::optional<ExtendedSource> FitExtended(ArrayView<const float, 2> image, double cell_rad, const PointShape& shape,
                                          const Component& start, double flux_ratio, const PixelTensor& gradients,
                                          const std::vector<Component>& others) {
  const BeamPixels& beam = shape.beam();
  const double larger = std::clamp(std::sqrt(std::max(flux_ratio, 1.0)), 1.0, 3.0);
  std::vector<FitPixel> pixels;
  if (!VisitPixels(image, shape, start.x, start.y, kFitWidths * larger, others,
                   [&](double dx, double dy, double value) {
                     pixels.push_back({dx, dy, value});
                   }))
    return std::nullopt;
  // The beam's own quadratic form, grown.
  const double k = BeamPixels::kFourLn2 / (larger * larger);
  FitVector s;
  s << start.flux, 0, 0, k * beam.Distance2(1, 0), k * beam.Distance2(0, 1),
      k * (beam.Distance2(1, 1) - beam.Distance2(1, 0) - beam.Distance2(0, 1));
  if (pixels.size() < 12 || !FitGaussian(pixels, s)) return std::nullopt;
  // To the east, as BeamOfQuadratic has it.
  const auto fitted = image::BeamOfQuadratic(s[3], s[4], -s[5], cell_rad);
  if (!fitted || !(s[0] > 0) || fitted->major_rad / cell_rad > kLargestBeams * beam.major_px() ||
      std::hypot(s[1], s[2]) > beam.major_px() * larger)
    return std::nullopt;
  ExtendedSource source;
  source.x = start.x + s[1];
  source.y = start.y + s[2];
  source.peak = s[0];
  source.shape = *fitted;
  const double major = fitted->major_rad / cell_rad, minor = fitted->minor_rad / cell_rad;
  const double beams = major * minor / (beam.major_px() * beam.minor_px());
  source.flux = s[0] * beams;
  // Condon's ρ² (equation 41) for a correlation length θ_N of the noise.
  const double noise2 = BeamPixels::kFourLn2 / std::sqrt(gradients.Determinant()), snr = s[0] / start.sigma;
  const auto rho2 = [&](double a, double b) {
    return major * minor / (4 * noise2) * std::pow(1 + noise2 / (major * major), a) *
           std::pow(1 + noise2 / (minor * minor), b) * snr * snr;
  };
  const double peak2 = 2 / rho2(1.5, 1.5), major2 = 2 / rho2(2.5, 0.5), minor2 = 2 / rho2(0.5, 2.5);
  source.peak_error = source.peak * std::sqrt(peak2);
  source.flux_error = source.flux * std::sqrt(peak2 + noise2 / (major * minor) * (major2 + minor2));
  source.error_factor = std::sqrt(std::max(1.0, beams));
  return source;
}

bool IsRatherExtended(ArrayView<const float, 2> image, double cell_rad, const PointShape& shape,
                      const Component& maximum, const ExtendedSource& extended, const std::vector<Component>& points,
                      const std::vector<Component>& others) {
  const BeamPixels &beam = shape.beam(), gaussian(extended.shape, cell_rad);
  double of_points = 0, of_extended = 0;
  const auto sum_up = [&](double dx, double dy, double value) {
    const double x = maximum.x + dx, y = maximum.y + dy;
    double left = value;
    for (const Component& c : points) left -= shape.Value(c.point(), x - c.x, y - c.y);
    of_points += left * left;
    left = value - extended.peak * gaussian.Value(x - extended.x, y - extended.y);
    of_extended += left * left;
  };
  const double widths = kLinkWidths * std::max(1.0, gaussian.major_px() / beam.major_px());
  if (!VisitPixels(image, shape, maximum.x, maximum.y, widths, others, sum_up)) return false;
  const double unit = maximum.sigma * maximum.sigma * beam.Area();  // pixels of a beam are about one measurement
  return of_extended / unit + 2 * 6 < of_points / unit + 2 * 3 * static_cast<double>(points.size());
}

}  // namespace contimg::mosaic
