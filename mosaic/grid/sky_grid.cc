#include "mosaic/grid/sky_grid.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "config/error.h"
#include "config/units.h"
#include "mosaic/table/stage_name.h"

namespace contimg::mosaic {
namespace {

using convert::Dot;

double LargestSpanDeg(image::Projection projection) {
  return projection == image::Projection::kSin ? kLargestSinDeg : kLargestZeaDeg;
}

// Calls visit(x, y) along the outer edges of the border pixels.
template <typename Visit>
void WalkBorder(const image::ImageGeometry& g, const Visit& visit) {
  constexpr int kSteps = 128;
  const double nx = static_cast<double>(g.nx), ny = static_cast<double>(g.ny);
  for (int i = 0; i <= kSteps; ++i) {
    const double x = -0.5 + nx * i / kSteps, y = -0.5 + ny * i / kSteps;
    visit(x, -0.5);
    visit(x, ny - 0.5);
    visit(-0.5, y);
    visit(nx - 0.5, y);
  }
}

// Of tiles that fit into no mosaic: which are to be left out.
class SpanRefusal {
 public:
  SpanRefusal(const std::vector<SkyGrid>& tiles, const GridWishes& wishes, const std::vector<std::string>& names)
      : tiles_(tiles), wishes_(wishes), names_(names) {}

  [[noreturn]] void AllAround() const {
    throw Error(ErrorKind::kUsage, kStage, "",
                fmt::format("expected tiles of one part of the sky, found them all around it{}; give those of one "
                            "mosaic",
                            Farthest()));
  }
  [[noreturn]] void TooFar() const {
    const bool sin = wishes_.projection == image::Projection::kSin;
    throw Error(ErrorKind::kUsage, kStage, "",
                fmt::format("these tiles span more than the {:g} degrees of a mosaic in {}{}; give fewer{}",
                            LargestSpanDeg(wishes_.projection), image::Code(wishes_.projection), Farthest(),
                            sin ? ", or use --projection ZEA" : ""));
  }

 private:
  static double ApartDeg(const PhaseCentre& one, const PhaseCentre& other) {
    const Vector3 a = UnitVector(one), b = UnitVector(other), across = convert::Cross(a, b);
    return Angle::Radians(std::atan2(std::sqrt(Dot(across, across)), Dot(a, b))).deg();
  }
  std::string NameOf(std::size_t tile) const {
    return tile < names_.size() ? names_[tile] : fmt::format("tile {}", tile + 1);
  }
  // " (a and b are 118 degrees apart)"; of one tile nothing.
  std::string Farthest() const {
    double apart_deg = 0;
    std::string words;
    const auto consider = [&](double deg, const std::string& one, const std::string& other) {
      if (deg < apart_deg) return;
      apart_deg = deg;
      words = fmt::format(" ({} and {} are {:.1f} degrees apart)", one, other, deg);
    };
    for (std::size_t i = 0; i < tiles_.size(); ++i) {
      if (wishes_.centre) consider(ApartDeg(tiles_[i].centre, *wishes_.centre), NameOf(i), "--centre");
      for (std::size_t j = i + 1; j < tiles_.size(); ++j)
        consider(ApartDeg(tiles_[i].centre, tiles_[j].centre), NameOf(i), NameOf(j));
    }
    return words;
  }

  const std::vector<SkyGrid>& tiles_;
  const GridWishes& wishes_;
  const std::vector<std::string>& names_;
};

PhaseCentre MeanDirection(const std::vector<SkyGrid>& tiles, const SpanRefusal& refusal) {
  Vector3 sum{};
  for (const SkyGrid& tile : tiles) {
    const Vector3 v = UnitVector(tile.centre);
    for (std::size_t k = 0; k < 3; ++k) sum[k] += v[k];
  }
  if (std::sqrt(Dot(sum, sum)) < 0.5 * static_cast<double>(tiles.size())) refusal.AllAround();
  return DirectionOfVector(sum);
}

}  // namespace

Vector3 UnitVector(const PhaseCentre& d) {
  const double c = std::cos(d.dec_rad);
  return {c * std::cos(d.ra_rad), c * std::sin(d.ra_rad), std::sin(d.dec_rad)};
}

PhaseCentre DirectionOfVector(const Vector3& v) {
  return {WrapPositive(Angle::Radians(std::atan2(v[1], v[0]))).rad(), std::atan2(v[2], std::hypot(v[0], v[1]))};
}

GridAxes::GridAxes(const SkyGrid& grid) : geometry_(grid.geometry), out_(UnitVector(grid.centre)) {
  const double sa = std::sin(grid.centre.ra_rad), ca = std::cos(grid.centre.ra_rad);
  const double sd = std::sin(grid.centre.dec_rad), cd = std::cos(grid.centre.dec_rad);
  east_ = {-sa, ca, 0};
  north_ = {-sd * ca, -sd * sa, cd};
}

std::optional<image::PixelPosition> GridAxes::PixelAt(const Vector3& direction) const {
  if (!(Dot(direction, out_) > 0)) return std::nullopt;
  return image::DirectionToPixel(geometry_, Dot(direction, east_), Dot(direction, north_));
}

std::optional<Vector3> GridAxes::DirectionAt(double x, double y) const {
  const image::DirectionCosines at = image::PixelToDirection(geometry_, x, y);
  if (std::isnan(at.n_minus_1)) return std::nullopt;
  Vector3 direction;
  for (std::size_t k = 0; k < 3; ++k) direction[k] = at.l * east_[k] + at.m * north_[k] + (1 + at.n_minus_1) * out_[k];
  return direction;
}

SkyGrid GridAround(const std::vector<SkyGrid>& tiles, const GridWishes& wishes, const std::vector<std::string>& names) {
  const SpanRefusal refusal(tiles, wishes, names);
  SkyGrid grid;
  grid.centre = wishes.centre ? *wishes.centre : MeanDirection(tiles, refusal);
  image::ImageGeometry& g = grid.geometry;
  g.projection = wishes.projection;
  g.cell_rad = wishes.cell_rad;
  if (!(g.cell_rad > 0)) {
    g.cell_rad = tiles.front().geometry.cell_rad;
    for (const SkyGrid& tile : tiles) g.cell_rad = std::min(g.cell_rad, tile.geometry.cell_rad);
  }
  // In cells from the centre, x to the west. With no pixels yet, the reference pixel is (0, 0).
  const GridAxes axes(grid);
  double x0 = std::numeric_limits<double>::infinity(), y0 = x0, x1 = -x0, y1 = -x0;
  for (const SkyGrid& tile : tiles) {
    const GridAxes from(tile);
    WalkBorder(tile.geometry, [&](double x, double y) {
      const auto direction = from.DirectionAt(x, y);
      const auto at = direction ? axes.PixelAt(*direction) : std::nullopt;
      if (!at) refusal.TooFar();
      x0 = std::min(x0, at->x), x1 = std::max(x1, at->x);
      y0 = std::min(y0, at->y), y1 = std::max(y1, at->y);
    });
  }
  const double span_deg = Angle::Radians(std::max(x1 - x0, y1 - y0) * g.cell_rad).deg();
  if (span_deg > LargestSpanDeg(g.projection)) refusal.TooFar();
  x0 = std::floor(x0), y0 = std::floor(y0);
  const auto even = [](double count) { return (static_cast<std::size_t>(count) + 2) / 2 * 2; };
  g.nx = even(std::ceil(x1) - x0);
  g.ny = even(std::ceil(y1) - y0);
  g.shift_l = -(x0 + static_cast<double>(g.nx / 2)) * g.cell_rad;
  g.shift_m = (y0 + static_cast<double>(g.ny / 2)) * g.cell_rad;
  return grid;
}

std::optional<PixelBox> BoxIn(const SkyGrid& outer, const SkyGrid& inner) {
  const GridAxes to(outer), from(inner);
  double x0 = std::numeric_limits<double>::infinity(), y0 = x0, x1 = -x0, y1 = -x0;
  bool visible = true;
  WalkBorder(inner.geometry, [&](double x, double y) {
    const auto direction = from.DirectionAt(x, y);
    const auto at = direction ? to.PixelAt(*direction) : std::nullopt;
    visible = visible && at.has_value();
    if (!visible) return;
    x0 = std::min(x0, at->x), x1 = std::max(x1, at->x);
    y0 = std::min(y0, at->y), y1 = std::max(y1, at->y);
  });
  if (!visible) return std::nullopt;
  // Between the steps the border bulges by less than a pixel.
  const auto low = [](double v) { return static_cast<std::ptrdiff_t>(std::floor(v)) - 1; };
  const auto high = [](double v) { return static_cast<std::ptrdiff_t>(std::ceil(v)) + 2; };
  return PixelBox{low(x0), low(y0), high(x1), high(y1)};
}

}  // namespace contimg::mosaic
