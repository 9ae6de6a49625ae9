#include "mosaic/map/map_view.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "config/error.h"
#include "config/os.h"
#include "image/plane/image_statistics.h"
#include "mosaic/table/stage_name.h"
#include "mosaic/tile/image_names.h"
#include "mosaic/tile/image_reader.h"

namespace contimg::mosaic {
namespace {

namespace fs = std::filesystem;

struct NamedLayer {
  MapLayer layer;
  std::string_view word;
  ProductKind kind;  // of the file beside others
};
constexpr std::array kLayers{NamedLayer{MapLayer::kImage, "image", ProductKind::kImage},
                             NamedLayer{MapLayer::kCorrected, "pbcor", ProductKind::kPbcor},
                             NamedLayer{MapLayer::kResidual, "residual", ProductKind::kResidual},
                             NamedLayer{MapLayer::kRms, "rms", ProductKind::kRms},
                             NamedLayer{MapLayer::kWeight, "weight", ProductKind::kWeight},
                             NamedLayer{MapLayer::kResponse, "pb", ProductKind::kPb}};

Vector3 VectorOf(const SkyDirection& direction) { return UnitVector({direction.ra.rad(), direction.dec.rad()}); }

SkyDirection DirectionOf(const Vector3& vector) {
  const PhaseCentre at = DirectionOfVector(vector);
  return {Angle::Radians(at.ra_rad), Angle::Radians(at.dec_rad)};
}

std::optional<image::PixelPosition> PixelOf(const image::FitsHeader& header, const SkyDirection& place) {
  const auto at = GridAxes({header.centre, header.geometry}).PixelAt(VectorOf(place));
  if (!at || !(at->x > -0.5 && at->y > -0.5 && at->x < static_cast<double>(header.geometry.nx) - 0.5 &&
               at->y < static_cast<double>(header.geometry.ny) - 0.5)) {
    return std::nullopt;
  }
  return at;
}

image::PixelPart SquareOfPixels(const image::PixelPosition& about, std::size_t size) {
  const auto first = [size](double at) { return std::lround(at) - static_cast<std::ptrdiff_t>(size / 2); };
  return {first(about.x), first(about.y), size, size};
}

// Nothing for blanks.
std::optional<double> ValueAt(const fs::path& path, MapLayer layer, const SkyDirection& place) {
  constexpr std::size_t kTaps = 34;  // more than any interpolator takes
  const image::FitsHeader header = image::ReadFitsHeader(path);
  const auto at = PixelOf(header, place);
  if (!at) return std::nullopt;
  const image::PixelPart part = SquareOfPixels(*at, kTaps);
  const std::vector<float> pixels = image::ReadFitsPart(path, part);
  const double x = at->x - static_cast<double>(part.x), y = at->y - static_cast<double>(part.y);
  double value = NAN;
  if (header.beam && HasSources(layer)) {  // interpolation is good to a thousandth, what is smooth better as it is
    value = ImageReader({pixels.data(), {kTaps, kTaps}}, BandOf(*header.beam, header.geometry.cell_rad)).At(x, y);
  }
  if (!std::isfinite(value)) {  // at the edge of what is blank
    value = pixels[static_cast<std::size_t>(std::lround(y)) * kTaps + static_cast<std::size_t>(std::lround(x))];
  }
  return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

// What pixels about the place scatter by; nothing where there are hardly any.
std::optional<double> ScatterAbout(const fs::path& path, const SkyDirection& place) {
  constexpr std::size_t kBox = 256, kFewest = 200;  // as mosaic/background/rms_mesh.h measures
  const auto at = PixelOf(image::ReadFitsHeader(path), place);
  if (!at) return std::nullopt;
  const std::vector<float> pixels = image::ReadFitsPart(path, SquareOfPixels(*at, kBox));
  const auto found = image::ComputeRobustStatistics({pixels.data(), {kBox, kBox}});
  return found.samples >= kFewest && found.rms > 0 ? std::optional(found.rms) : std::nullopt;
}

// What an image that cannot be read says is not known.
template <typename Ask>
std::optional<double> Known(const MapFiles& files, MapLayer layer, const Ask& ask) {
  const auto found = files.find(layer);
  if (found == files.end()) return std::nullopt;
  try {
    return ask(found->second);
  } catch (const Error&) {
    return std::nullopt;
  }
}

bool IsCasacore(const fs::path& path) { return IsDirectory(path); }

}  // namespace

std::string_view ToString(MapLayer layer) {
  for (const NamedLayer& each : kLayers) {
    if (each.layer == layer) return each.word;
  }
  throw Error(ErrorKind::kBug, kStage, "", "no such layer of a map");
}

std::optional<MapLayer> FindMapLayer(std::string_view word, const MapFiles& files) {
  for (const auto& [layer, path] : files) {
    if (ToString(layer) == word) return layer;
  }
  return std::nullopt;
}

std::string LayerWords(const MapFiles& files) {
  std::vector<std::string_view> words;
  for (const auto& [layer, path] : files) words.push_back(ToString(layer));
  return fmt::format("{}", fmt::join(words, ", "));
}

bool HasSources(MapLayer layer) {
  return layer == MapLayer::kImage || layer == MapLayer::kCorrected || layer == MapLayer::kResidual;
}

NamedMap MapOfName(const fs::path& name) {
  NamedMap map;
  std::optional<std::string> prefix;
  if (!Exists(name) || IsDirectory(name)) {
    if (!ProductBeside(PlainName(name), ProductKind::kImage).empty()) prefix = PlainName(name);
  }
  if (prefix == std::nullopt && !Exists(name)) {
    throw Error(ErrorKind::kIo, kStage, name.string(),
                "expected a FITS image, or a prefix as `contimg image --out` takes it, found no such file");
  }
  if (!prefix) {
    for (const NamedLayer& each : kLayers) {
      prefix = PrefixOfImage(name, each.kind);
      if (!prefix) continue;
      map.layer = each.layer;
      break;
    }
  }
  if (prefix) {
    for (const NamedLayer& each : kLayers) {
      const fs::path beside = ProductBeside(*prefix, each.kind);
      if (!beside.empty() && !IsCasacore(beside)) map.files[each.layer] = beside;
    }
  }
  if (IsFile(name)) map.files[map.layer] = name;
  if (map.files.count(map.layer) == 0) {
    throw Error(ErrorKind::kUsage, kStage, name.string(),
                "expected a FITS image, found a casacore one; `contimg mosaic` and `contimg image` write FITS with "
                "--format fits or both");
  }
  return map;
}

std::optional<SkyDirection> MapSquare::DirectionAt(double x, double y) const {
  const auto direction =
      GridAxes(grid).DirectionAt(x * static_cast<double>(part.nx) - 0.5, (1 - y) * static_cast<double>(part.ny) - 0.5);
  return direction ? std::optional(DirectionOf(*direction)) : std::nullopt;
}

std::optional<std::array<double, 2>> MapSquare::PlaceOf(const SkyDirection& direction) const {
  const auto at = GridAxes(grid).PixelAt(VectorOf(direction));
  if (!at) return std::nullopt;
  return std::array<double, 2>{(at->x + 0.5) / static_cast<double>(part.nx),
                               1 - (at->y + 0.5) / static_cast<double>(part.ny)};
}

MapSquare SquareAbout(const image::FitsHeader& header, const fs::path& path, const SkyDirection& place, Angle size) {
  const auto at = PixelOf(header, place);
  if (!at) {
    throw Error(
        ErrorKind::kUsage, kStage, path.string(),
        fmt::format("expected a place in the image, whose middle is at {:.4f},{:.4f} degrees, found {:.4f},{:.4f}",
                    MiddleOfImage(header).ra.deg(), MiddleOfImage(header).dec.deg(), place.ra.deg(), place.dec.deg()));
  }
  const Angle cell = Angle::Radians(header.geometry.cell_rad);
  const double most_deg = std::min(kLargestMapDeg, static_cast<double>(kMostMapPixels) * cell.deg());
  if (!(size.deg() <= most_deg * (1 + 1e-9)) || !(size.rad() > 0)) {
    throw Error(ErrorKind::kUsage, kStage, path.string(),
                fmt::format("expected a size of at most {:.4g} degrees ({} pixels of {:.3g}\"), found {:.4g}", most_deg,
                            kMostMapPixels, cell.arcsec(), size.deg()));
  }
  const auto pixels = static_cast<std::size_t>(std::lround(size.rad() / cell.rad() / 2)) * 2;
  MapSquare square;
  square.place = place;
  square.part = SquareOfPixels(*at, std::clamp(pixels, kFewestMapPixels, kMostMapPixels));
  square.grid = {header.centre, image::GeometryOfPart(header.geometry, square.part)};
  return square;
}

SkyDirection MiddleOfImage(const image::FitsHeader& header) {
  const auto direction =
      GridAxes({header.centre, header.geometry})
          .DirectionAt(static_cast<double>(header.geometry.nx / 2), static_cast<double>(header.geometry.ny / 2));
  // That of any image that was read is on the sky.
  return direction ? DirectionOf(*direction)
                   : SkyDirection{Angle::Radians(header.centre.ra_rad), Angle::Radians(header.centre.dec_rad)};
}

PlaceFigures FiguresAt(const MapFiles& files, const SkyDirection& place) {
  PlaceFigures figures;
  for (const auto& file : files) {
    const MapLayer layer = file.first;
    const auto value = Known(files, layer, [&](const fs::path& of) { return ValueAt(of, layer, place); });
    if (value) figures.values[layer] = *value;
  }
  if (const auto rms = figures.values.find(MapLayer::kRms); rms != figures.values.end() && rms->second > 0) {
    figures.noise_jy = rms->second;
  }
  for (const MapLayer layer : {MapLayer::kResidual, MapLayer::kImage}) {
    if (figures.noise_jy) break;
    figures.noise_jy = Known(files, layer, [&](const fs::path& of) { return ScatterAbout(of, place); });
  }
  return figures;
}

std::optional<double> NoiseOfLayer(const PlaceFigures& figures, MapLayer layer) {
  if (layer != MapLayer::kCorrected || !figures.noise_jy) return figures.noise_jy;
  const auto response = figures.values.find(MapLayer::kResponse);
  if (response == figures.values.end() || !(response->second > 0)) return std::nullopt;
  return *figures.noise_jy / response->second;
}

}  // namespace contimg::mosaic
