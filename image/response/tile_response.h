// How the instrument sees the sky during one tile: the primary beam and its track, and smearing.
//
// One place that turns settings and a tile's metadata into the inputs of image/response/primary_beam.h,
// image/response/smearing.h and image/response/varying_sources.h.
#pragma once

#include <optional>
#include <vector>

#include "config/array_view.h"
#include "config/settings.h"
#include "convert/frames.h"
#include "image/plane/image_geometry.h"
#include "image/response/primary_beam.h"
#include "image/response/source_catalogue.h"
#include "image/response/varying_sources.h"
#include "ingest/visibility_block.h"

namespace contimg::image {

// All are kept by reference and must live as long as this.
struct TileResponseInput {
  const VisibilityBlock& block;  // phased
  const ImageSettings& settings;
  const TelescopeSettings& telescope;
  const convert::EarthOrientationTable& orientation;
};

class TileResponse {
 public:
  // Throws what convert::ChooseBeam throws, and Error{kIo, kBadInput} for a file of the beam that cannot be used.
  explicit TileResponse(const TileResponseInput& input);

  // The beam that was chosen, and where the dishes pointed in the middle of the tile, when that is known.
  const convert::TileBeam& beam() const { return beam_; }
  std::optional<PhaseCentre> Axis() const { return axis_; }
  // How far from the centre a source can matter: the beam's first lobe at the lowest frequency, radians; 0 without a
  // beam.
  double Reach() const;

  // The primary beam of some channels, weighted as they are in the image ([time][channel]); 1 without a beam.
  void BeamMap(const std::vector<double>& frequency_hz, ArrayView<const double, 2> weights, const ImageGeometry& plain,
               ArrayView<float, 2> image, int threads) const;
  // What smearing leaves of a peak; weights [time][baseline].
  void SmearMap(ArrayView<const double, 2> weights, const ImageGeometry& plain, ArrayView<float, 2> image,
                int threads) const;

  // What varies about the means that the two maps hold, for some channels. `smear` on `plain` is kept by reference.
  SourceVariation Variation(const std::vector<double>& frequency_hz, ArrayView<const double, 2> weights,
                            const ImageGeometry& plain, ArrayView<const float, 2> smear,
                            const ImageGeometry& slant) const;
  // Catalogue sources that the grid does not hold, whole (SourceVariation::Outside). `total_jy`: what they amount to.
  // `scale`: AberrationScale.
  VaryingSources Outside(const std::vector<CatalogueSource>& catalogue, const ImageGeometry& slant, double scale,
                         double& total_jy) const;

 private:
  SourceVariationInput VariationInput(const std::vector<double>& frequency_hz,
                                      ArrayView<const double, 2> weights) const;
  SmearingInput Smearing(ArrayView<const double, 2> weights) const;

  const VisibilityBlock& block_;
  convert::TileBeam beam_;
  BeamModel pattern_;                              // used when there is a beam
  std::vector<DirectionCosines> track_, stopped_;  // of its axis, and where fringes are stopped
  std::optional<PhaseCentre> axis_;
};

}  // namespace contimg::image
