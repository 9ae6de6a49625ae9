// Any place of an image: which of its pixels lie about it, what they say there, and a picture of them. Of a mosaic and
// of a tile alike; nothing but the rows that are needed is read.
#pragma once

#include <array>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/units.h"
#include "image/products/fits_part.h"
#include "mosaic/grid/sky_grid.h"

namespace contimg::mosaic {

// What may be looked at, and how options and addresses call it: "image", "pbcor" (divided by the primary beam),
// "residual", "rms", "weight", "pb".
enum class MapLayer { kImage, kCorrected, kResidual, kRms, kWeight, kResponse };
std::string_view ToString(MapLayer layer);
bool HasSources(MapLayer layer);  // kImage, kCorrected, kResidual; the others are smooth

// The files of one mosaic or tile, FITS, all of the same pixels.
using MapFiles = std::map<MapLayer, std::filesystem::path>;
// Those of an image, or of a prefix as `contimg image --out` takes it, by their names. The image is `layer` of it: an
// image under a name of its own is kImage and alone. Throws Error{kIo, kUsage} when there is no such FITS image.
struct NamedMap {
  MapFiles files;
  MapLayer layer = MapLayer::kImage;
};
NamedMap MapOfName(const std::filesystem::path& name);
// The one of them that is called so, and what all of them are called: "image, residual, rms".
std::optional<MapLayer> FindMapLayer(std::string_view word, const MapFiles& files);
std::string LayerWords(const MapFiles& files);

// No request can make more work than a square of so many pixels, which a picture then has by blocks.
inline constexpr std::size_t kFewestMapPixels = 16, kMostMapPixels = 6000;
inline constexpr double kLargestMapDeg = 7;

// A square of pixels, an even number to a side, about the one that is nearest to a place.
struct MapSquare {
  SkyDirection place;
  image::PixelPart part;
  SkyGrid grid;  // of the part; about the image's phase centre
  double side_rad() const { return static_cast<double>(part.nx) * grid.geometry.cell_rad; }

  // The direction of a place of the square, x to the right and y downwards, both from 0 to 1; nothing where the
  // projection has no sky.
  std::optional<SkyDirection> DirectionAt(double x, double y) const;
  // The inverse; nothing for a direction beyond the horizon. Directions outside of the square have others than 0 to 1.
  std::optional<std::array<double, 2>> PlaceOf(const SkyDirection& direction) const;
};
// As many pixels as `size` has, at least kFewestMapPixels. Throws Error{kUsage} for a place that the image does not
// hold and for a square of more than kMostMapPixels or kLargestMapDeg; `path` is whom they name.
MapSquare SquareAbout(const image::FitsHeader& header, const std::filesystem::path& path, const SkyDirection& place,
                      Angle size);
// The middle of the image.
SkyDirection MiddleOfImage(const image::FitsHeader& header);

// What the images say at a place: kImage, kCorrected and kResidual read between pixels, the others, which are smooth,
// at the nearest one. What is blank or cannot be read is not there.
struct PlaceFigures {
  std::map<MapLayer, double> values;  // in the images' units
  // Of the image there, Jy/beam: of a mosaic by its rms map, else measured about the place on the residual or, where
  // there is none, on the image.
  std::optional<double> noise_jy;
};
PlaceFigures FiguresAt(const MapFiles& files, const SkyDirection& place);
// Of kCorrected the noise over the primary beam, of all others noise_jy.
std::optional<double> NoiseOfLayer(const PlaceFigures& figures, MapLayer layer);

struct MapMark {
  SkyDirection place;
  std::string name;
};
inline constexpr int kFewestSidePx = 200, kUsualSidePx = 720, kMostSidePx = 2000;
struct MapPicture {
  MapLayer layer = MapLayer::kImage;  // of the image that is drawn: tells its colours
  std::optional<double> noise_jy;     // tells the colours of fluxes; none: what the pixels scatter by
  int side_px = kUsualSidePx;         // of the map; below it stands a strip of kMapStripPx with the colours
  double scale = 1;                   // of letters and lines
  std::vector<MapMark> marks = {};    // rings
  bool names = false;                 // beside the rings
};
inline constexpr double kMapStripPx = 30;  // times `scale`

// A PNG of the square, north up, with lines of right ascension and declination, the beam and the marks. Where one
// screen pixel stands for many, point sources stay (ReadReducedPart). Throws as ReadFitsImage, Error{kResource}.
std::string MapPng(const std::filesystem::path& image, const MapSquare& square, const MapPicture& picture);

}  // namespace contimg::mosaic
