// Pictures of parts of images: mosaic/map/map_view.h.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "image/plane/image_statistics.h"
#include "image/quality/canvas.h"
#include "image/quality/picture_style.h"
#include "image/quality/sky_panel.h"
#include "mosaic/map/map_panel.h"
#include "mosaic/map/map_view.h"

namespace contimg::mosaic {
namespace {

using image::Box;
using image::Canvas;
using image::Colour;

constexpr Colour kBlankPixel{0.3, 0.3, 0.32, 1}, kRing{0.45, 0.95, 0.75, 0.85};
constexpr double kKeepBeyond = 5;  // of the noise: what stands out so far is a point source, not noise
constexpr double kLetters = 12;

// Values of a layer as colours.
struct ColourScale {
  double low = 0, high = 1;
  double soft = 0;  // inverse hyperbolic sine, straight up to about this value; 0: straight everywhere

  double Of(double value) const {
    if (!(soft > 0)) return (value - low) / (high - low);
    const double bottom = std::asinh(low / soft);
    return (std::asinh(value / soft) - bottom) / (std::asinh(high / soft) - bottom);
  }
};

ColourScale ScaleFor(MapLayer layer, double noise, const image::ReducedPart& pixels) {
  float least = std::numeric_limits<float>::infinity(), most = -least;
  for (const float value : pixels.pixels) {
    if (!std::isfinite(value)) continue;
    least = std::min(least, value), most = std::max(most, value);
  }
  if (!(least <= most)) return {};  // all blank
  ColourScale scale;
  switch (layer) {
    case MapLayer::kImage:
    case MapLayer::kCorrected:  // as the quick look has it: up to what only the brightest sources exceed
      scale = {-2.5 * noise, std::clamp(most / 3.0, 25 * noise, 400 * noise), 4 * noise};
      break;
    case MapLayer::kResidual:
      scale = {-6 * noise, 6 * noise, 0};
      break;
    case MapLayer::kRms:
      scale = {least, std::min<double>(most, 4.0 * least), 0};
      break;
    case MapLayer::kWeight:
    case MapLayer::kResponse:
      scale = {0, most, 0};
      break;
  }
  if (!(scale.high > scale.low)) scale.high = scale.low + std::max(1e-6 * std::abs(scale.low), 1e-30);
  return scale;
}

// "3.1 mJy", or as many digits for what is no flux.
std::string ValueWords(MapLayer layer, double value) {
  if (HasSources(layer) || layer == MapLayer::kRms) return image::FormatFlux(value);
  return fmt::format("{:.3g}", value);
}

class MapPictureDrawing {
 public:
  MapPictureDrawing(const MapSquare& square, const MapPicture& wishes, const image::FitsHeader& header,
                    const image::ReducedPart& pixels, double noise)
      : square_(square),
        wishes_(wishes),
        header_(header),
        pixels_(pixels),
        scale_(ScaleFor(wishes.layer, noise, pixels)),
        map_{0, 0, static_cast<double>(wishes.side_px), static_cast<double>(wishes.side_px)},
        canvas_(wishes.side_px, wishes.side_px + static_cast<int>(std::lround(kMapStripPx * wishes.scale)),
                image::kBackground) {}

  std::string Draw() {
    MapPanelStyle style;
    style.label_size = kLetters * wishes_.scale;
    style.labels_inside = true;
    style.finest_dec_arcsec = style.finest_ra_s = 1;
    MapPanel(canvas_, square_.grid, map_, style).Draw([&](int x, int y) { return ColourAt(x, y); });
    canvas_.Clipped(map_, [&] {
      if (header_.beam) DrawBeam(*header_.beam);
      DrawRings();
      DrawCross();
    });
    DrawStrip();
    return canvas_.Png();
  }

 private:
  double Px(double length) const { return length * wishes_.scale; }

  Colour ColourAt(int x, int y) const {
    const auto at = [&](int screen, std::size_t count) {
      return std::min(count - 1, static_cast<std::size_t>(screen) * count / static_cast<std::size_t>(wishes_.side_px));
    };
    const float value = pixels_.view()(at(wishes_.side_px - 1 - y, pixels_.ny), at(x, pixels_.nx));
    return std::isfinite(value) ? image::HeatColour(scale_.Of(value)) : kBlankPixel;
  }

  double PixelsAradian() const { return map_.width / square_.side_rad(); }

  void DrawRings() {
    const double beam = header_.beam ? header_.beam->major_rad * PixelsAradian() : 0;
    const double radius = std::max(Px(7), 0.8 * beam);
    std::vector<std::array<double, 2>> named;
    for (const MapMark& mark : wishes_.marks) {
      const auto at = square_.PlaceOf(mark.place);
      if (!at || !((*at)[0] >= 0 && (*at)[0] <= 1 && (*at)[1] >= 0 && (*at)[1] <= 1)) continue;
      const double x = (*at)[0] * map_.width, y = (*at)[1] * map_.height;
      canvas_.Circle(x, y, radius, kRing, Px(1.3));
      if (!wishes_.names) continue;
      const double width = canvas_.TextWidth(mark.name, Px(kLetters - 1));
      const bool taken = std::any_of(named.begin(), named.end(), [&](const std::array<double, 2>& other) {
        return std::abs(other[0] - x) < width + Px(8) && std::abs(other[1] - y) < Px(kLetters + 2);
      });
      if (taken) continue;
      named.push_back({x, y});
      const bool left = x + radius + width + Px(6) > map_.width;
      DrawOnMap(canvas_, left ? x - radius - Px(4) : x + radius + Px(4), y + Px(4), mark.name, Px(kLetters - 1),
                left ? image::Align::kRight : image::Align::kLeft);
    }
  }

  // A cross that leaves what it points to free.
  void DrawCross() {
    const auto at = square_.PlaceOf(square_.place);  // beside the middle by a pixel at most
    if (!at) return;
    const double x = (*at)[0] * map_.width, y = (*at)[1] * map_.height;
    for (const auto& [dx, dy] : {std::pair{1, 0}, {-1, 0}, {0, 1}, {0, -1}}) {
      canvas_.Line(x + dx * Px(14), y + dy * Px(14), x + dx * Px(26), y + dy * Px(26), {0, 0, 0, 0.6}, Px(3));
      canvas_.Line(x + dx * Px(14), y + dy * Px(14), x + dx * Px(26), y + dy * Px(26), image::kAccent, Px(1.3));
    }
  }

  void DrawBeam(const image::GaussianBeam& beam) {
    const double scale = PixelsAradian(), largest = Px(40);
    if (beam.major_rad * scale > largest || !(beam.minor_rad > 0)) return DrawLargeBeam(beam);
    // At the true scale where it can be seen.
    const double grow = std::max(1.0, Px(10) / (beam.major_rad * scale));
    const Box plate{map_.width - Px(66), Px(8), Px(58), Px(60)};
    canvas_.Fill(plate, {0, 0, 0, 0.55});
    image::TraceBeam(canvas_, beam, plate.x + plate.width / 2, plate.y + Px(24), grow * scale);
    canvas_.Set({1, 1, 1, 0.9});
    cairo_fill(canvas_.cairo());
    canvas_.Text(plate.x + plate.width / 2, plate.y + plate.height - Px(6),
                 grow > 1.005 ? fmt::format("beam ×{:.0f}", grow) : "beam", Px(kLetters - 1), image::kInk,
                 image::Align::kCentre);
  }

  // In its true size, as an outline.
  void DrawLargeBeam(const image::GaussianBeam& beam) {
    const double reach = beam.major_rad * PixelsAradian() / 2;
    image::TraceBeam(canvas_, beam, map_.width - reach - Px(12), reach + Px(12), PixelsAradian());
    canvas_.Set({1, 1, 1, 0.9});
    cairo_set_line_width(canvas_.cairo(), Px(1.5));
    cairo_stroke(canvas_.cairo());
    DrawOnMap(canvas_, map_.width - reach - Px(12), reach + Px(16), "beam", Px(kLetters - 1), image::Align::kCentre);
  }

  // The colours and what they stand for.
  void DrawStrip() {
    const double y = map_.height + Px(20), size = Px(kLetters);
    std::string words = ValueWords(wishes_.layer, scale_.high);
    const std::string low = ValueWords(wishes_.layer, scale_.low);
    if (HasSources(wishes_.layer) || wishes_.layer == MapLayer::kRms) words += "/beam";
    if (scale_.soft > 0) words += ", arsinh";
    double x = Px(10);
    canvas_.Text(x, y, low, size, image::kInk);
    x += canvas_.TextWidth(low, size) + Px(8);
    const double right = map_.width - Px(10) - canvas_.TextWidth(words, size) - Px(8);
    const Box bar{std::floor(x), std::floor(map_.height + Px(9)), std::floor(right - x), std::floor(Px(13))};
    canvas_.Raster(bar, [&](int column, int) { return image::HeatColour((column + 0.5) / bar.width); });
    const double zero = scale_.Of(0);
    if (zero > 0.03 && zero < 0.97) {
      canvas_.Line(bar.x + zero * bar.width, bar.y, bar.x + zero * bar.width, bar.y + bar.height, image::kInk, Px(1));
    }
    canvas_.Text(right + Px(8), y, words, size, image::kInk);
  }

  const MapSquare& square_;
  const MapPicture& wishes_;
  const image::FitsHeader& header_;
  const image::ReducedPart& pixels_;
  ColourScale scale_;
  Box map_;
  Canvas canvas_;
};

}  // namespace

std::string MapPng(const std::filesystem::path& image, const MapSquare& square, const MapPicture& picture) {
  const double known = picture.noise_jy.value_or(0);
  const double keep = HasSources(picture.layer) && known > 0 ? kKeepBeyond * known : HUGE_VAL;
  const image::ReducedPart pixels =
      image::ReadReducedPart(image, square.part, static_cast<std::size_t>(picture.side_px), keep);
  double noise = known;
  if (!(noise > 0)) noise = image::ComputeRobustStatistics(pixels.view()).rms;
  if (!(noise > 0)) noise = 1e-3;  // nothing but blanks, or but one value
  return MapPictureDrawing(square, picture, image::ReadFitsHeader(image), pixels, noise).Draw();
}

}  // namespace contimg::mosaic
