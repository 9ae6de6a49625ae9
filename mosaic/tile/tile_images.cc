#include "mosaic/tile/tile_images.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "config/error.h"
#include "image/plane/sky_coordinates.h"
#include "mosaic/table/stage_name.h"

namespace contimg::mosaic {
namespace {

double Bilinear(ArrayView<const float, 2> map, double x, double y) {
  const double right = static_cast<double>(map.shape(1)) - 1, top = static_cast<double>(map.shape(0)) - 1;
  if (!(x >= 0 && y >= 0 && x <= right && y <= top)) return std::numeric_limits<double>::quiet_NaN();
  const auto x0 = static_cast<std::size_t>(x), y0 = static_cast<std::size_t>(y);
  const std::size_t x1 = std::min(x0 + 1, map.shape(1) - 1), y1 = std::min(y0 + 1, map.shape(0) - 1);
  const double fx = x - static_cast<double>(x0), fy = y - static_cast<double>(y0);
  return (map(y0, x0) * (1 - fx) + map(y0, x1) * fx) * (1 - fy) + (map(y1, x0) * (1 - fx) + map(y1, x1) * fx) * fy;
}

}  // namespace

void CheckTileImages(const TileImages& images, const std::string& subject) {
  const auto refuse = [&](const std::string& why) { throw Error(ErrorKind::kBadInput, kStage, subject, why); };
  const image::FitsHeader& header = *images.header;
  std::string unit;
  for (const char c : header.unit) unit += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (unit != "jy/beam") refuse(fmt::format("expected pixels in Jy/beam, found BUNIT '{}'", header.unit));
  if (!header.beam || !(header.beam->minor_rad > 0)) {
    refuse("expected a restoring beam, found no BMAJ and BMIN in the header");
  }
  const double cell = header.geometry.cell_rad, major = header.beam->major_rad / cell,
               minor = header.beam->minor_rad / cell;
  const auto side = static_cast<double>(std::max(images.image.shape(0), images.image.shape(1)));
  if (!(minor >= 1 && major >= 0.999 * minor && major <= side)) {
    refuse(fmt::format(
        "expected a restoring beam of more than a pixel, less than the image and longer than wide, found one of "
        "{:.3g} by {:.3g} pixels",
        major, minor));
  }
  const std::array<std::pair<const char*, ArrayView<const float, 2>>, 3> others{
      {{"residual", images.residual}, {"primary beam", images.pb}, {"smearing map", images.smear}}};
  for (const auto& [name, view] : others) {
    if (view.empty() || view.shape() == images.image.shape()) continue;
    refuse(fmt::format("expected images of one size, found {} by {} pixels and a {} of {} by {}", images.image.shape(1),
                       images.image.shape(0), name, view.shape(1), view.shape(0)));
  }
}

double BeamPowerAt(const TileImages& images, double x, double y) {
  return images.pb.empty() ? 1 : Bilinear(images.pb, x, y);
}

double ResponseAt(const TileImages& images, double x, double y) {
  double response = BeamPowerAt(images, x, y);
  if (!images.smear.empty()) response *= Bilinear(images.smear, x, y);
  return response;
}

QualityFlags ResponseFlags(const TileImages& images, double x, double y) {
  QualityFlags flags = 0;
  if (!(ResponseAt(images, x, y) >= kLowResponse)) flags |= quality::kLowResponse.mask();
  if (!images.smear.empty() && Bilinear(images.smear, x, y) < kMuchSmearing) flags |= quality::kSmearing.mask();
  return flags;
}

std::optional<image::PixelPosition> PixelOf(const image::FitsHeader& header, const SkyDirection& direction) {
  const auto cosines = image::CosinesOfDirection(header.centre, direction);
  if (!cosines) return std::nullopt;
  return image::DirectionToPixel(header.geometry, cosines->l, cosines->m);
}

SkyDirection DirectionOf(const image::FitsHeader& header, double x, double y) {
  const image::DirectionCosines at = image::PixelToDirection(header.geometry, x, y);
  return image::DirectionOfCosines(header.centre, at.l, at.m);
}

}  // namespace contimg::mosaic
