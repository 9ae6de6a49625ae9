#include "mosaic/map/map_panel.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <utility>

#include "config/units.h"
#include "image/quality/picture_style.h"

namespace contimg::mosaic {
namespace {

constexpr double kBelow = 20, kBeside = 8;
// Screen pixels between labels, for letters of 16 pixels.
constexpr double kLeastColumn = 105, kLeastRow = 28, kPlainLabel = 16;

// The smallest of `steps`, none finer than `finest`, that is so many screen pixels, or the last.
int StepOf(std::initializer_list<int> steps, int finest, double pixels_each, double least) {
  int step = 0;
  for (const int s : steps) {
    if (s < finest) continue;
    step = s;
    if (s * pixels_each >= least) break;
  }
  return step;
}

std::string DeclinationWords(double dec_rad, int step_arcsec) {
  const double degrees = Angle::Radians(dec_rad).deg();
  return step_arcsec % 60 != 0 ? image::FormatDecSeconds(degrees) : image::FormatDec(degrees, step_arcsec % 3600 != 0);
}

PhaseCentre MiddleOf(const SkyGrid& grid, const GridAxes& axes) {
  const auto direction = axes.DirectionAt(0.5 * (static_cast<double>(grid.geometry.nx) - 1),
                                          0.5 * (static_cast<double>(grid.geometry.ny) - 1));
  return direction ? DirectionOfVector(*direction) : grid.centre;
}

// Calls `found` where `value` passes through 0 on the way to `end`.
void FindZeros(double end, const std::function<double(double)>& value, const std::function<void(double)>& found) {
  constexpr int kSteps = 400;
  double before = value(0);
  for (int i = 1; i <= kSteps; ++i) {
    const double after = value(end * i / kSteps);
    if (before * after <= 0 && std::abs(before - after) < 0.2) found(end * (i - 0.5) / kSteps);
    before = after;
  }
}

}  // namespace

void DrawOnMap(image::Canvas& canvas, double x, double y, const std::string& text, double size, image::Align align) {
  constexpr double kRim = 0.09;  // of the letters' size
  for (const auto& [dx, dy] : {std::pair{-1, 0}, {1, 0}, {0, -1}, {0, 1}, {-1, -1}, {1, 1}, {-1, 1}, {1, -1}}) {
    canvas.Text(x + dx * kRim * size, y + dy * kRim * size, text, size, {0, 0, 0, 0.7}, align);
  }
  canvas.Text(x, y, text, size, image::kInk, align);
}

MapPanel::MapPanel(image::Canvas& canvas, const SkyGrid& grid, const image::Box& box, const MapPanelStyle& style)
    : canvas_(canvas), grid_(grid), axes_(grid), box_(box), style_(style), middle_(MiddleOf(grid, axes_)) {}

void MapPanel::Draw(const std::function<image::Colour(int, int)>& colour) const {
  canvas_.Raster(box_, colour);
  canvas_.Clipped(box_, [&] {
    // As far as they may be on the map, and a little beyond: not all around the sky, of which it may be an arcminute.
    const double along_ra = ReachOfRightAscensions(), along_dec = ReachOfDeclinations();
    for (const double dec : Declinations()) {
      DrawCurve([&](double t) { return PhaseCentre{middle_.ra_rad + t * along_ra, dec}; });
    }
    for (const double ra : RightAscensions()) {
      DrawCurve([&](double t) {
        return PhaseCentre{ra, std::clamp(middle_.dec_rad + t * along_dec, -kPi / 2, kPi / 2)};
      });
    }
  });
  canvas_.Frame(box_, image::kDim);
  DrawLabels();
}

std::array<double, 2> MapPanel::Screen(const image::PixelPosition& at) const {
  return {box_.x + (at.x + 0.5) / static_cast<double>(grid_.geometry.nx) * box_.width,
          box_.y + box_.height - (at.y + 0.5) / static_cast<double>(grid_.geometry.ny) * box_.height};
}

std::optional<std::array<double, 2>> MapPanel::Screen(const PhaseCentre& direction) const {
  const auto at = axes_.PixelAt(UnitVector(direction));
  // Beyond a million pixels nothing is drawn with any precision.
  if (!at || !(std::abs(at->x) < 1e6 && std::abs(at->y) < 1e6)) return std::nullopt;
  return Screen(*at);
}

void MapPanel::DrawCurve(const std::function<PhaseCentre(double)>& of) const {
  constexpr int kSteps = 1440;
  std::optional<std::array<double, 2>> last;
  for (int i = 0; i <= kSteps; ++i) {
    const auto here = Screen(of(2.0 * i / kSteps - 1));
    if (here && last) canvas_.Line((*last)[0], (*last)[1], (*here)[0], (*here)[1], image::kGrid);
    last = here;
  }
}

// Where lines of declination meet the left edge and those of right ascension the lower one; near a pole they crowd, and
// those are left out that would touch another.
void MapPanel::DrawLabels() const {
  const auto direction_at = [&](double x, double y) {
    const auto direction = axes_.DirectionAt(x, y);
    return direction ? DirectionOfVector(*direction) : grid_.centre;
  };
  const double size = style_.label_size / kPlainLabel;
  std::vector<double> taken;
  const auto is_free = [&](double at, double room) {
    if (std::ranges::any_of(taken, [&](double other) { return std::abs(other - at) < room; })) return false;
    taken.push_back(at);
    return true;
  };
  const int dec_step = DeclinationStep(), ra_step = RightAscensionStep();
  for (const double dec : Declinations()) {
    FindZeros(
        static_cast<double>(grid_.geometry.ny), [&](double y) { return direction_at(0, y).dec_rad - dec; },
        [&](double y) {
          const double at = Screen(image::PixelPosition{0, y})[1];
          if (is_free(at, size * kLeastRow / 2)) LabelDeclination(at, DeclinationWords(dec, dec_step));
        });
  }
  taken.clear();
  for (const double ra : RightAscensions()) {
    FindZeros(
        static_cast<double>(grid_.geometry.nx),
        [&](double x) { return WrapSigned(Angle::Radians(direction_at(x, 0).ra_rad - ra)).rad(); },
        [&](double x) {
          const double at = Screen(image::PixelPosition{x, 0})[0];
          if (is_free(at, size * kLeastColumn * 0.7)) {
            LabelRightAscension(at, image::FormatRa(Angle::Radians(ra).hours(), ra_step % 60 != 0));
          }
        });
  }
}

void MapPanel::LabelDeclination(double y, const std::string& text) const {
  if (!style_.labels_inside) {
    canvas_.Text(box_.x - kBeside, y + 5, text, style_.label_size, image::kDim, image::Align::kRight);
    return;
  }
  // Not where right ascensions stand.
  const double above = y - 0.3 * style_.label_size;
  if (above < box_.y + 1.2 * style_.label_size || above > box_.y + box_.height - 2.2 * style_.label_size) return;
  DrawOnMap(canvas_, box_.x + 0.5 * style_.label_size, above, text, style_.label_size, image::Align::kLeft);
}

void MapPanel::LabelRightAscension(double x, const std::string& text) const {
  if (!style_.labels_inside) {
    canvas_.Text(x, box_.y + box_.height + kBelow, text, style_.label_size, image::kDim, image::Align::kCentre);
    return;
  }
  const double half = 0.5 * canvas_.TextWidth(text, style_.label_size) + 0.3 * style_.label_size;
  if (x - half < box_.x || x + half > box_.x + box_.width) return;
  DrawOnMap(canvas_, x, box_.y + box_.height - 0.5 * style_.label_size, text, style_.label_size, image::Align::kCentre);
}

int MapPanel::DeclinationStep() const {
  const double arcsec = Angle::Radians(static_cast<double>(grid_.geometry.ny) * grid_.geometry.cell_rad).arcsec();
  return StepOf({1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 18000, 36000, 72000},
                style_.finest_dec_arcsec, box_.height / arcsec,
                kLeastRow * style_.label_size / kPlainLabel * (style_.labels_inside ? 2 : 1));
}

std::vector<double> MapPanel::Declinations() const {
  const double reach = Angle::Radians(ReachOfDeclinations()).arcsec(),
               middle = Angle::Radians(middle_.dec_rad).arcsec();
  const double pole = Angle::Degrees(90).arcsec();
  const int step = DeclinationStep();
  std::vector<double> all;
  for (int k = static_cast<int>(std::ceil(std::max(middle - reach, -pole) / step));
       k * static_cast<double>(step) <= std::min(middle + reach, pole) + 1e-6; ++k) {
    all.push_back(Angle::Arcsec(k * static_cast<double>(step)).rad());
  }
  return all;
}

double MapPanel::SecondsAcross(double dec_rad) const {
  constexpr double kDayS = 86400;
  const double width = static_cast<double>(grid_.geometry.nx) * grid_.geometry.cell_rad,
               cosine = std::cos(std::min(std::abs(dec_rad), kPi / 2));
  return cosine * 2 * kPi > width ? Angle::Radians(width / cosine).hours() * 3600 : kDayS;
}

double MapPanel::ReachOfDeclinations() const {
  // No place of the map is farther from its middle than half of its diagonal.
  return 0.6 * static_cast<double>(grid_.geometry.nx + grid_.geometry.ny) * grid_.geometry.cell_rad;
}

double MapPanel::ReachOfRightAscensions() const {
  // Where it comes nearest to a pole.
  const double height = static_cast<double>(grid_.geometry.ny) * grid_.geometry.cell_rad;
  return std::min(Angle::Hours(SecondsAcross(std::abs(middle_.dec_rad) + height / 2) / 3600).rad(), kPi);
}

int MapPanel::RightAscensionStep() const {
  return StepOf({1, 2, 5, 10, 20, 30, 60, 120, 240, 600, 1200, 1800, 3600, 7200}, style_.finest_ra_s,
                box_.width / SecondsAcross(middle_.dec_rad), kLeastColumn * style_.label_size / kPlainLabel);
}

std::vector<double> MapPanel::RightAscensions() const {
  constexpr int kDay = 24 * 3600;
  const double reach = Angle::Radians(ReachOfRightAscensions()).hours() * 3600;
  const int step = RightAscensionStep();
  std::vector<double> all;
  for (int second = 0; second < kDay; second += step) {
    const Angle ra = Angle::Hours(second / 3600.0);
    const double away = std::abs(WrapSigned(ra - Angle::Radians(middle_.ra_rad)).hours()) * 3600;
    if (away <= reach) all.push_back(ra.rad());
  }
  return all;
}

}  // namespace contimg::mosaic
