// The two pixel grids of an image: the plain-SIN grid of the products and the slant grid on which imaging is done.
//
// Images are C order [y][x]. Pixel (x, y) counts from 0; x runs towards decreasing right ascension, y northwards, and
// the phase centre is the pixel (nx/2, ny/2) (integer division). l and m are direction cosines towards increasing right
// ascension and north, n = sqrt(1 − l² − m²).
//
// An array that is nearly a plane has w ≈ a·u + b·v; then u·l + v·m + w·(n−1) ≈ u·l' + v·m' with
// l' = l + a(n−1), m' = m + b(n−1): on a grid regular in (l', m') the field needs almost no w correction (the slanted
// orthographic projection; Cornwell & Perley 1992, A&A 261, 353). Products are resampled to the plain grid.
#pragma once

#include <cmath>
#include <cstddef>

#include "config/units.h"
#include "ingest/visibility_block.h"

namespace contimg::image {

// n − 1 without cancellation, for l² + m² ≤ 1.
inline double NMinusOne(double l, double m) {
  const double r2 = l * l + m * m;
  return -r2 / (1.0 + std::sqrt(1.0 - r2));
}

struct DirectionCosines {
  double l = 0;
  double m = 0;
};

struct PixelPosition {
  double x = 0;
  double y = 0;
};

// Regular in (l, m) about `centre`: FITS projection SIN without parameters.
struct SkyGrid {
  std::size_t nx = 0;
  std::size_t ny = 0;
  double cell_rad = 0;
  PhaseCentre centre;

  double L(double x) const { return -(x - static_cast<double>(nx / 2)) * cell_rad; }
  double M(double y) const { return (y - static_cast<double>(ny / 2)) * cell_rad; }
  PixelPosition Pixel(const DirectionCosines& at) const {
    return {static_cast<double>(nx / 2) - at.l / cell_rad, static_cast<double>(ny / 2) + at.m / cell_rad};
  }
  // The ICRS direction of (l, m), l² + m² ≤ 1, and the inverse. The inverse of a direction more than 90° away has no
  // meaning; `in_front` (may be null) tells.
  SkyDirection Direction(const DirectionCosines& at) const;
  DirectionCosines Cosines(const SkyDirection& direction, bool* in_front = nullptr) const;
};

// Regular in (l', m') about the same centre.
struct SlantGrid {
  std::size_t nx = 0;
  std::size_t ny = 0;
  double cell_rad = 0;
  double a = 0;
  double b = 0;

  PixelPosition Pixel(const DirectionCosines& at) const {
    const double n1 = NMinusOne(at.l, at.m);
    return {static_cast<double>(nx / 2) - (at.l + a * n1) / cell_rad,
            static_cast<double>(ny / 2) + (at.m + b * n1) / cell_rad};
  }
  // (l, m) of a pixel, exactly (a quadratic equation); meaningless beyond the horizon.
  DirectionCosines Cosines(double x, double y) const;
};

}  // namespace contimg::image
