// How a point source stands in a restored image, where it is known: what was cleaned of it (image less residual) as the
// restoring beam, what CLEAN left of it (the residual) as the PSF, which has side lobes where the beam has nothing.
// Finding and forced photometry take neighbours away by this one rule. docs/photometry.md derives and measures it.
#pragma once

#include <optional>
#include <vector>

#include "mosaic/tile/beam_pixels.h"
#include "mosaic/tile/image_reader.h"
#include "mosaic/tile/tile_images.h"

namespace contimg::mosaic {

// Apparent, Jy/beam: of a source, or of what an image reads at a place.
struct PointFlux {
  double whole = 0;
  double left = 0;  // of it: what CLEAN left; 0 where that is not told apart
};

// Fluxes of points solved for together, as JointFluxes has them.
struct JointPoints {
  std::vector<PointFlux> flux;
  std::vector<double> variance;
  double condition = 1;
};

class PointShape {
 public:
  // Without a PSF everything is taken to be beam, and likewise without a residual of its own: where the image stands in
  // for it, nothing tells what was cleaned.
  explicit PointShape(const TileImages& images);

  const BeamPixels& beam() const { return beam_; }
  double band() const { return band_; }  // BandOf the beam
  bool knows_psf() const { return psf_.has_value(); }
  // How far, in full widths of the beam, sources are to be told apart: kSidelobeWidths, or kLinkWidths with the beam
  // alone.
  double reach_widths() const;

  // What the image reads at a place, NaN where it is blank.
  PointFlux Read(double x, double y) const;
  // What a source adds at an offset from it, pixels; of what CLEAN left nothing beyond the reach.
  double Value(const PointFlux& source, double dx, double dy) const;
  // The same, both parts apart.
  PointFlux Parts(const PointFlux& source, double dx, double dy) const;

  // Fluxes of sources at known places from what the image reads there: K C = v − r with the beam, P R = r with the PSF
  // (SolveJointly), S = C + R. Variances and condition are those of the beam.
  JointPoints Solve(const std::vector<image::PixelPosition>& places, const std::vector<PointFlux>& readings) const;

 private:
  double Psf(double dx, double dy) const;

  const BeamPixels beam_;
  const double band_;
  const ImageReader image_;
  std::optional<ImageReader> residual_, psf_;
  double psf_x_ = 0, psf_y_ = 0;  // its middle
};

inline PointFlux operator-(const PointFlux& a, const PointFlux& b) { return {a.whole - b.whole, a.left - b.left}; }

}  // namespace contimg::mosaic
