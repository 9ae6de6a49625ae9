// Gaussian beams through one another: the squares of their widths add up, direction by direction, as covariances do.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "image/plane/beam_fit.h"

namespace contimg::image {

// Squares of full widths at half maximum, rad²: 8 ln 2 times the covariance. East, north.
struct BeamMoments {
  double ee = 0, nn = 0, en = 0;
};
BeamMoments MomentsOf(const GaussianBeam& beam);
GaussianBeam BeamOf(const BeamMoments& moments);

// Beams that differ in width by less are one: nobody gives theirs more exactly.
inline constexpr double kBeamTolerance = 1e-4;

// The largest relative difference of their widths, over all directions.
double BeamDifference(const GaussianBeam& a, const GaussianBeam& b);

// What must be done to an image restored with `from` to have it restored with `to`: the Gaussian with which it is
// convolved, all zero where the beams are one and zero along one axis where they agree there. Nothing when `to` is
// narrower in some direction by more than kBeamTolerance: no convolution does that.
std::optional<BeamMoments> BeamBetween(const GaussianBeam& from, const GaussianBeam& to);

// The beam of least area to which images of all these (at least one) can be convolved: C with C − B_i nowhere negative
// for all moments B_i. Beams as ellipses, it is the smallest one about the common centre that holds them all (the
// Löwner-John ellipse; Boyd & Vandenberghe 2004, Convex Optimization, section 8.4.1). It is unique, and found to 1e-8
// of its widths, whatever their number, round or turned; where one beam holds the others, it is that one, exactly.
GaussianBeam CommonBeam(const std::vector<GaussianBeam>& beams);

// "MAJOR,MINOR,ANGLE": arcsec, arcsec, degrees from north through east. Throws Error{kUsage} that names `subject` for
// anything else, for widths that are not positive and for a major axis that is the shorter one.
GaussianBeam ParseBeam(const std::string& subject, const std::string& text);
// "34.5" x 16.4" at 12 degrees"
std::string BeamWords(const GaussianBeam& beam);

}  // namespace contimg::image
