#include "mosaic/map_panel.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>

#include "config/units.h"
#include "image/quality/picture_style.h"

namespace contimg::mosaic {
namespace {

constexpr double kLabelSize = 16, kBelow = 20, kBeside = 8;
constexpr double kLeastColumn = 105, kLeastRow = 28;  // screen pixels between labels

// The smallest of `steps` that is so many screen pixels, or the last.
int StepOf(std::initializer_list<int> steps, double pixels_each, double least) {
  int step = 0;
  for (const int s : steps) {
    step = s;
    if (s * pixels_each >= least) break;
  }
  return step;
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

MapPanel::MapPanel(image::Canvas& canvas, const SkyGrid& grid, const image::Box& box)
    : canvas_(canvas), grid_(grid), axes_(grid), box_(box) {}

void MapPanel::Draw(const std::function<image::Colour(int, int)>& colour) const {
  canvas_.Raster(box_, colour);
  canvas_.Clipped(box_, [&] {
    for (const double dec : Declinations()) {
      DrawCurve([&](double t) { return PhaseCentre{2 * kPi * t, dec}; });
    }
    for (const double ra : RightAscensions()) {
      DrawCurve([&](double t) { return PhaseCentre{ra, (t - 0.5) * kPi}; });
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
    const auto here = Screen(of(static_cast<double>(i) / kSteps));
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
  std::vector<double> taken;
  const auto is_free = [&](double at, double room) {
    if (std::ranges::any_of(taken, [&](double other) { return std::abs(other - at) < room; })) return false;
    taken.push_back(at);
    return true;
  };
  for (const double dec : Declinations()) {
    FindZeros(
        static_cast<double>(grid_.geometry.ny), [&](double y) { return direction_at(0, y).dec_rad - dec; },
        [&](double y) {
          const double at = Screen(image::PixelPosition{0, y})[1] + 5;
          if (!is_free(at, kLeastRow / 2)) return;
          canvas_.Text(box_.x - kBeside, at, image::FormatDec(Angle::Radians(dec).deg(), false), kLabelSize,
                       image::kDim, image::Align::kRight);
        });
  }
  taken.clear();
  for (const double ra : RightAscensions()) {
    FindZeros(
        static_cast<double>(grid_.geometry.nx),
        [&](double x) { return WrapSigned(Angle::Radians(direction_at(x, 0).ra_rad - ra)).rad(); },
        [&](double x) {
          const double at = Screen(image::PixelPosition{x, 0})[0];
          if (!is_free(at, kLeastColumn * 0.7)) return;
          canvas_.Text(at, box_.y + box_.height + kBelow, image::FormatRa(Angle::Radians(ra).hours(), false),
                       kLabelSize, image::kDim, image::Align::kCentre);
        });
  }
}

std::vector<double> MapPanel::Declinations() const {
  const double degrees = Angle::Radians(static_cast<double>(grid_.geometry.ny) * grid_.geometry.cell_rad).deg();
  const int step = StepOf({1, 2, 5, 10, 20}, box_.height / degrees, kLeastRow);
  std::vector<double> all;
  for (int dec = -90 / step * step; dec <= 90; dec += step) all.push_back(Angle::Degrees(dec).rad());
  return all;
}

std::vector<double> MapPanel::RightAscensions() const {
  constexpr int kDay = 24 * 60;
  const double width = static_cast<double>(grid_.geometry.nx) * grid_.geometry.cell_rad,
               height = static_cast<double>(grid_.geometry.ny) * grid_.geometry.cell_rad;
  // Of right ascension, in minutes, across the map at its middle and where it comes nearest to a pole.
  const auto across = [&](double dec_rad) {
    const double cosine = std::cos(std::min(std::abs(dec_rad), kPi / 2));
    return cosine * 2 * kPi > width ? Angle::Radians(width / cosine).hours() * 60 : kDay;
  };
  const double nearest = std::abs(grid_.centre.dec_rad) + height / 2;
  const int step = StepOf({1, 2, 4, 10, 20, 30, 60, 120}, box_.width / across(grid_.centre.dec_rad), kLeastColumn);
  std::vector<double> all;
  for (int minute = 0; minute < kDay; minute += step) {
    const Angle ra = Angle::Hours(minute / 60.0);
    const double away = std::abs(WrapSigned(ra - Angle::Radians(grid_.centre.ra_rad)).hours()) * 60;
    if (away <= across(nearest)) all.push_back(ra.rad());
  }
  return all;
}

}  // namespace contimg::mosaic
