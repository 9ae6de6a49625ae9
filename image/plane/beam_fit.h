// The restoring beam: a Gaussian fitted to the core of the PSF.
#pragma once

#include <optional>

#include "config/array_view.h"
#include "config/units.h"

namespace contimg::image {

// Elliptical Gaussian of unit peak. FITS conventions: the position angle runs from north through east, in [0°, 180°).
struct GaussianBeam {
  double major_rad = 0;  // full width at half maximum
  double minor_rad = 0;
  double angle_rad = 0;

  // Value at an offset, l to the east and m to the north (radians).
  double Value(double dl, double dm) const;
};

// Least-squares fit of a Gaussian with peak 1 at (nx/2, ny/2) to the main lobe of the PSF: the pixels above 0.35 that
// are connected to the peak through such pixels, weighted by what they exceed it by. With few pixels the cutoff goes
// down to 0.1; with a shoulder above 0.35 (a dense core of antennas and far ones) it goes up, to 0.5 at most, so that
// the beam has the width of the half-power contour: docs/imaging.md. Throws Error{kNumeric} when the PSF has no such
// lobe (NaN, or a beam narrower than about two pixels).
GaussianBeam FitBeam(ArrayView<const float, 2> psf, double cell_rad);

// The Gaussian exp(−(p x² + q y² + r x y)), x pixels to the east and y to the north, as widths and angle; nothing when
// it is no peak.
std::optional<GaussianBeam> BeamOfQuadratic(double p, double q, double r, double cell_rad);

// How far a PSF is from its beam.
struct PsfShape {
  double misfit = 0;    // largest |PSF − beam| above half power
  double sidelobe = 0;  // highest PSF farther than 1.5 beams (full widths, in that direction) from its peak
};
PsfShape MeasurePsf(ArrayView<const float, 2> psf, const GaussianBeam& beam, double cell_rad);

}  // namespace contimg::image
