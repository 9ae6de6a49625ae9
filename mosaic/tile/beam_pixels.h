// The restoring beam on the pixel grid: distances in full widths, and values.
#pragma once

#include <cmath>

#include "config/units.h"
#include "image/plane/beam_fit.h"

namespace contimg::mosaic {

// An elliptical Gaussian in pixels, x to the west (as images have it) and y to the north.
class BeamPixels {
 public:
  BeamPixels(const image::GaussianBeam& beam, double cell_rad)
      : major_px_(beam.major_rad / cell_rad), minor_px_(beam.minor_rad / cell_rad) {
    const double s = std::sin(beam.angle_rad), c = std::cos(beam.angle_rad);
    const double a = 1 / (major_px_ * major_px_), b = 1 / (minor_px_ * minor_px_);
    xx_ = s * s * a + c * c * b;
    yy_ = c * c * a + s * s * b;
    xy_ = -2 * s * c * (a - b);  // x runs against east
  }

  // Square of the distance in full widths at half maximum of that direction.
  double Distance2(double dx, double dy) const { return xx_ * dx * dx + yy_ * dy * dy + xy_ * dx * dy; }
  // 1 at the centre, 1/2 half a full width away.
  double Value(double dx, double dy) const { return std::exp(-kFourLn2 * Distance2(dx, dy)); }
  double major_px() const { return major_px_; }
  double minor_px() const { return minor_px_; }
  // Pixels in x and y within which all places of `widths` full widths lie.
  double ReachX(double widths) const { return widths * std::sqrt(yy_ / Determinant()); }
  double ReachY(double widths) const { return widths * std::sqrt(xx_ / Determinant()); }
  // ∫ beam, in pixels.
  double Area() const { return kPi / (kFourLn2 * std::sqrt(Determinant())); }

  static constexpr double kFourLn2 = 2.772588722239781;

 private:
  double Determinant() const { return xx_ * yy_ - xy_ * xy_ / 4; }
  double major_px_, minor_px_;
  double xx_, yy_, xy_;
};

}  // namespace contimg::mosaic
