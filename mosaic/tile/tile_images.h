// The images of one tile as photometry and source finding take them: views, whoever holds the pixels (the worker while
// they are still in memory, or a reader of files).
#pragma once

#include <optional>
#include <string>

#include "config/array_view.h"
#include "config/quality_flags.h"
#include "config/units.h"
#include "image/plane/image_geometry.h"
#include "image/products/fits_image.h"

namespace contimg::mosaic {

// All of one shape {ny, nx} on one plain SIN grid; blank pixels are NaN.
struct TileImages {
  const image::FitsHeader* header = nullptr;  // of `image`: geometry, centre, beam
  ArrayView<const float, 2> image;            // restored, attenuated by the primary beam, Jy/beam
  ArrayView<const float, 2> residual;         // what CLEAN left: the noise is measured on it
  ArrayView<const float, 2> pb;               // primary beam; empty: 1
  ArrayView<const float, 2> smear;            // what smearing leaves of a peak; empty: 1
  ArrayView<const float, 2> psf;              // 1 in its middle, of any shape; empty: not known
};

// Throws Error{kBadInput} that names `subject` unless shapes agree and the header has a beam and is in Jy/beam.
void CheckTileImages(const TileImages& images, const std::string& subject);

// What is left of the peak of a point source at a pixel: pb · smear, bilinear between pixels (both are smooth over
// hundreds of them); NaN outside the image and where either is blank.
double ResponseAt(const TileImages& images, double x, double y);
// The primary beam alone.
double BeamPowerAt(const TileImages& images, double x, double y);

// Less response, and less of a peak after smearing, is flagged.
inline constexpr double kLowResponse = 0.25;
inline constexpr double kMuchSmearing = 0.9;
// What the response at a pixel says of a source there: low_response, smearing.
QualityFlags ResponseFlags(const TileImages& images, double x, double y);

// Zero-based (fractional) pixel of a direction (ICRS), in the image or not; nothing for what is beyond the horizon of
// the projection. Directions, never right ascensions, are compared: 0 h and the poles are places like others.
std::optional<image::PixelPosition> PixelOf(const image::FitsHeader& header, const SkyDirection& direction);
SkyDirection DirectionOf(const image::FitsHeader& header, double x, double y);

}  // namespace contimg::mosaic
