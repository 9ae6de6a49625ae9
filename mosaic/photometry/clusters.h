// Sources that the beam mixes, and their fluxes told apart.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "image/plane/image_geometry.h"
#include "mosaic/tile/beam_pixels.h"

namespace contimg::mosaic {

// At this distance, in full widths of the beam, a source adds 0.0008 of its flux: what is farther is not mixed.
inline constexpr double kLinkWidths = 1.6;
// The same for what CLEAN left of a source: the PSF has side lobes where the beam has nothing (0.43 at 1.6 widths
// across a T of antennas, docs/photometry.md).
inline constexpr double kSidelobeWidths = 3;

// Friends of friends: groups of indices into `places` (pixels; all finite) of which each has another one of its group
// nearer than `widths` full widths of the beam in that direction. Groups and their members in ascending order of
// index; a place alone is a group of one.
std::vector<std::vector<std::size_t>> LinkPlaces(const std::vector<image::PixelPosition>& places,
                                                 const BeamPixels& beam, double widths);

// The places of `others` nearer than `widths` full widths to each of `places`, itself left out when both are one list
// (`same`). Ascending.
std::vector<std::vector<std::size_t>> NearPlaces(const std::vector<image::PixelPosition>& places,
                                                 const std::vector<image::PixelPosition>& others,
                                                 const BeamPixels& beam, double widths, bool same);

// What a point source of unit flux adds at an offset from it, pixels.
using PointResponse = std::function<double(double dx, double dy)>;

// Fluxes S of point sources at known places from what the image reads there: K S = v, K_jk the beam at x_j − x_k. What
// the image reads at a place is unbiased however deeply it was cleaned, because PSF and beam are both 1 there
// (docs/photometry.md). With noise whose correlation is the beam's, the covariance of S is σ² K⁻¹.
struct JointFluxes {
  std::vector<double> flux;      // of the values' unit
  std::vector<double> variance;  // (K⁻¹)_jj: of each flux, in σ²; 1 for a source alone
  double condition = 1;          // of K: how much a wrong place is amplified
};
JointFluxes SolveJointly(const std::vector<image::PixelPosition>& places, const std::vector<double>& values,
                         const BeamPixels& beam);
// The same with another response in the beam's place; it must be 1 in its middle and positive definite, as a PSF is.
JointFluxes SolveJointly(const std::vector<image::PixelPosition>& places, const std::vector<double>& values,
                         const PointResponse& response);

}  // namespace contimg::mosaic
