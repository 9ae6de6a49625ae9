// A map of a mosaic in a box of a picture, with lines of right ascension and declination.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <vector>

#include "image/quality/canvas.h"
#include "mosaic/grid/sky_grid.h"

namespace contimg::mosaic {

class MapPanel {
 public:
  // On `canvas`, which must outlive it; `box` is the map's, labels stand to the left of it and below.
  MapPanel(image::Canvas& canvas, const SkyGrid& grid, const image::Box& box);

  // One colour per screen pixel, (0, 0) in the upper left; then the lines and their labels.
  void Draw(const std::function<image::Colour(int, int)>& colour) const;

  // Where a pixel of the map is on the canvas.
  std::array<double, 2> Screen(const image::PixelPosition& at) const;
  // The same of a direction; nothing outside the projection.
  std::optional<std::array<double, 2>> Screen(const PhaseCentre& direction) const;

 private:
  void DrawCurve(const std::function<PhaseCentre(double)>& of) const;
  void DrawLabels() const;
  std::vector<double> Declinations() const;  // of lines, radians
  std::vector<double> RightAscensions() const;

  image::Canvas& canvas_;
  SkyGrid grid_;
  GridAxes axes_;
  image::Box box_;
};

}  // namespace contimg::mosaic
