// Where the pixels of an image lie on the sky: the slant-orthographic SIN projection of tiles, and ZEA of mosaics.
//
// Images are ArrayView<float, 2> of shape {ny, nx}: y first, x fastest, as FITS stores them. Pixel (x, y) lies at
//     l' = shift_l − (x − nx/2)·cell,   m' = shift_m + (y − ny/2)·cell      (zero-based; east, +l, is to the left)
// with l' = l + a(n − 1), m' = m + b(n − 1), where l, m, n are the direction cosines about the phase centre.
// a = b = 0 is the ordinary SIN projection; any other pair is SIN with the FITS parameters PV2_1, PV2_2. An array whose
// baselines lie in the plane w = a u + b v sees a two-dimensional Fourier transform in these coordinates.
//
// The zenithal equal-area projection (FITS ZEA; Calabretta & Greisen 2002, A&A 395, 1077, section 5.1.7) is
//     (l', m') = (l, m) · √(2 / (1 + n)):
// all pixels cover the same part of the sky, however far from the centre. It has no slant.
#pragma once

#include <cstddef>

namespace contimg::image {

enum class Projection { kSin, kZea };
const char* Code(Projection projection);  // as FITS spells it: "SIN", "ZEA"

struct ImageGeometry {
  std::size_t nx = 0;   // even
  std::size_t ny = 0;   // even
  double cell_rad = 0;  // pixel side
  double shift_l = 0;   // slant coordinates of pixel (nx/2, ny/2)
  double shift_m = 0;
  double slant_a = 0;  // the plane w = a u + b v of the frame
  double slant_b = 0;
  Projection projection = Projection::kSin;
};

// n − 1 at slant coordinates (l', m'), without cancellation; NaN beyond the horizon of the frame. SIN alone.
double SlantNMinus1(const ImageGeometry& geometry, double l_slant, double m_slant);

struct DirectionCosines {
  double l = 0;
  double m = 0;
  double n_minus_1 = 0;
};
// Direction cosines of the (fractional) pixel (x, y); NaN beyond the horizon (n = 0) of the frame.
DirectionCosines PixelToDirection(const ImageGeometry& geometry, double x, double y);

struct PixelPosition {
  double x = 0;
  double y = 0;
};
// The inverse, for l² + m² ≤ 1.
PixelPosition DirectionToPixel(const ImageGeometry& geometry, double l, double m);

// Smallest and largest n − 1 over the image, edges of the outer pixels included.
struct NRange {
  double min = 0;
  double max = 0;
};
// Throws Error{kBadInput} for an odd, empty or non-positive geometry, Error{kUsage} for one that reaches beyond the
// horizon.
NRange CheckGeometry(const ImageGeometry& geometry);

}  // namespace contimg::image
