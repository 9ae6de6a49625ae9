#include "image/plane/beam_fit.h"

#include <Eigen/Core>
#include <Eigen/LU>
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "config/error.h"

namespace contimg::image {
namespace {

constexpr double kFwhmPerSigma = 2.3548200450309493;
// The main lobe is fitted down to here (the default of CASA's tclean, psfcutoff); docs/imaging.md compares others.
constexpr double kCutoff = 0.35;
constexpr double kLowestCutoff = 0.1;
// The centre and a pair of pixels for each number of the shape.
constexpr std::size_t kFewestPixels = 7;
// When a smaller part of the beam's ellipse is above half power, the lobe has a shoulder above the cutoff.
constexpr double kShoulder = 0.6;

struct CorePixel {
  double x, y;  // pixels east (+) and north of the peak
  double value;
  double weight;  // value − cutoff: no jump where a pixel comes to lie in the lobe or out of it
};

// Pixels above `level` that are connected to the peak through such pixels, at most `reach` away.
std::vector<CorePixel> CoreAbove(ArrayView<const float, 2> psf, double level, std::ptrdiff_t reach) {
  const auto ny = static_cast<std::ptrdiff_t>(psf.shape(0)), nx = static_cast<std::ptrdiff_t>(psf.shape(1));
  const std::ptrdiff_t cx = nx / 2, cy = ny / 2;
  reach = std::min({reach, cx, cy, nx - 1 - cx, ny - 1 - cy});
  const std::ptrdiff_t side = 2 * reach + 1;
  std::vector<std::uint8_t> seen(static_cast<std::size_t>(side * side), 0);
  std::vector<std::pair<std::ptrdiff_t, std::ptrdiff_t>> open{{0, 0}};
  seen[static_cast<std::size_t>(reach * side + reach)] = 1;
  std::vector<CorePixel> core;
  while (!open.empty()) {
    const auto [dx, dy] = open.back();
    open.pop_back();
    const double value = psf(cy + dy, cx + dx);
    if (!(value >= level)) continue;
    core.push_back({-static_cast<double>(dx), static_cast<double>(dy), value, value - level});
    for (const auto& [sx, sy] : {std::pair{1, 0}, {-1, 0}, {0, 1}, {0, -1}}) {
      const std::ptrdiff_t x = dx + sx, y = dy + sy;
      if (std::abs(x) > reach || std::abs(y) > reach) continue;
      std::uint8_t& mark = seen[static_cast<std::size_t>((y + reach) * side + x + reach)];
      if (mark == 0) {
        mark = 1;
        open.emplace_back(x, y);
      }
    }
  }
  return core;
}

// exp(−(p x² + q y² + r x y)) as (p, q, r).
using Quadratic = Eigen::Vector3d;

Quadratic BasisAt(const CorePixel& c) { return {c.x * c.x, c.y * c.y, c.x * c.y}; }

// False for a singular matrix: pixels that all lie on a line.
bool Solve(const Eigen::Matrix3d& matrix, const Eigen::Vector3d& right, Quadratic& out) {
  out = matrix.partialPivLu().solve(right);
  return out.allFinite();
}

// Levenberg-Marquardt from a start made by a linear fit of log(value), weighted by value² besides.
bool FitQuadratic(const std::vector<CorePixel>& core, Quadratic& shape) {
  Eigen::Matrix3d matrix = Eigen::Matrix3d::Zero();
  Eigen::Vector3d right = Eigen::Vector3d::Zero();
  for (const CorePixel& c : core) {
    const Quadratic basis = BasisAt(c);
    const double weight = c.weight * c.value * c.value;
    matrix += weight * basis * basis.transpose();
    right += weight * -std::log(std::min(c.value, 1.0)) * basis;
  }
  if (!Solve(matrix, right, shape)) return false;
  const auto cost_of = [&](const Quadratic& s) {
    double cost = 0;
    for (const CorePixel& c : core) {
      const double d = c.value - std::exp(-s.dot(BasisAt(c)));
      cost += c.weight * d * d;
    }
    return cost;
  };
  double cost = cost_of(shape), damping = 1e-3;
  for (int step = 0; step < 50; ++step) {
    matrix.setZero();
    right.setZero();
    for (const CorePixel& c : core) {
      const Quadratic basis = BasisAt(c);
      const double model = std::exp(-shape.dot(basis));
      matrix += c.weight * model * model * basis * basis.transpose();
      right -= c.weight * model * (c.value - model) * basis;
    }
    matrix.diagonal() *= 1 + damping;
    Quadratic change;
    if (!Solve(matrix, right, change)) return false;
    const Quadratic next = shape + change;
    const double next_cost = cost_of(next);
    if (next_cost <= cost) {
      const bool converged = cost - next_cost <= 1e-12 * cost;
      shape = next;
      cost = next_cost;
      damping /= 10;
      if (converged) break;
    } else {
      damping *= 10;
      if (damping > 1e8) break;
    }
  }
  return true;
}

// The whole lobe above a level; empty when it does not end inside the PSF.
std::vector<CorePixel> LobeAbove(ArrayView<const float, 2> psf, double level) {
  const auto edge = static_cast<std::ptrdiff_t>(std::min(psf.shape(0), psf.shape(1)) / 2) - 1;
  for (std::ptrdiff_t reach = 10;; reach *= 2) {
    std::vector<CorePixel> core = CoreAbove(psf, level, reach);
    double furthest = 0;
    for (const CorePixel& c : core) furthest = std::max({furthest, std::abs(c.x), std::abs(c.y)});
    if (furthest < static_cast<double>(std::min(reach, edge))) return core;
    if (reach >= edge) return {};
  }
}

bool FitLobe(const std::vector<CorePixel>& lobe, double cell_rad, GaussianBeam& beam) {
  Quadratic shape = Quadratic::Zero();
  if (lobe.size() < kFewestPixels || !FitQuadratic(lobe, shape)) return false;
  const auto found = BeamOfQuadratic(shape[0], shape[1], shape[2], cell_rad);
  if (!found) return false;
  beam = *found;
  return beam.minor_rad > 0.5 * cell_rad;
}

}  // namespace

double GaussianBeam::Value(double dl, double dm) const {
  const double along = dl * std::sin(angle_rad) + dm * std::cos(angle_rad);
  const double across = dl * std::cos(angle_rad) - dm * std::sin(angle_rad);
  const double a = along / major_rad, b = across / minor_rad;
  return std::exp(-4 * std::log(2.0) * (a * a + b * b));
}

std::optional<GaussianBeam> BeamOfQuadratic(double p, double q, double r, double cell_rad) {
  const double mean = (p + q) / 2, difference = (p - q) / 2, cross = r / 2;
  const double spread = std::hypot(difference, cross), small = mean - spread, large = mean + spread;
  if (!(small > 0)) return std::nullopt;
  GaussianBeam beam;
  beam.major_rad = cell_rad * kFwhmPerSigma / std::sqrt(2 * small);
  beam.minor_rad = cell_rad * kFwhmPerSigma / std::sqrt(2 * large);
  // The eigenvector of the smaller curvature, (sin θ, cos θ) in (east, north).
  double angle = 0.5 * std::atan2(-cross, difference);
  if (angle < 0) angle += kPi;
  if (angle >= kPi) angle = 0;  // -1e-17 + π is π
  beam.angle_rad = spread > 0 ? angle : 0;
  return beam;
}

GaussianBeam FitBeam(ArrayView<const float, 2> psf, double cell_rad) {
  GaussianBeam beam;
  bool good = false;
  // A lobe of a few pixels has too few above the cutoff: lower ones follow.
  for (double cutoff = kCutoff; !good && cutoff >= kLowestCutoff; cutoff /= 1.5) {
    good = FitLobe(LobeAbove(psf, cutoff), cell_rad, beam);
  }
  const auto pixels = static_cast<double>(LobeAbove(psf, 0.5).size());
  for (const double cutoff : {0.4, 0.45, 0.5}) {
    const double ellipse = kPi / 4 * beam.major_rad * beam.minor_rad / (cell_rad * cell_rad);
    if (good && pixels >= kShoulder * ellipse) break;
    GaussianBeam narrower;
    if (!FitLobe(LobeAbove(psf, cutoff), cell_rad, narrower)) continue;
    beam = narrower;
    good = true;
  }
  if (good) return beam;
  throw Error(ErrorKind::kNumeric, "image", "psf",
              "no Gaussian fits the core of the point-spread function: it must be a single peak several pixels wide");
}

PsfShape MeasurePsf(ArrayView<const float, 2> psf, const GaussianBeam& beam, double cell_rad) {
  constexpr double kFar = 1.5;
  const double cx = static_cast<double>(psf.shape(1) / 2), cy = static_cast<double>(psf.shape(0) / 2);
  // exp(-4 ln 2 d²) at d full widths from the peak.
  const double far = std::exp(-4 * std::log(2.0) * kFar * kFar);
  PsfShape shape;
  for (std::size_t y = 0; y < psf.shape(0); ++y) {
    for (std::size_t x = 0; x < psf.shape(1); ++x) {
      const double value = psf(y, x);
      if (value <= shape.sidelobe && value < 0.4) continue;  // neither side lobe nor main lobe: most pixels
      const double expected =
          beam.Value(-(static_cast<double>(x) - cx) * cell_rad, (static_cast<double>(y) - cy) * cell_rad);
      if (expected < far) shape.sidelobe = std::max(shape.sidelobe, value);
      if (expected >= 0.5) shape.misfit = std::max(shape.misfit, std::abs(value - expected));
    }
  }
  return shape;
}

}  // namespace contimg::image
