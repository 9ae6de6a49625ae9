// A map of a mosaic in a box of a picture, with lines of right ascension and declination.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "image/quality/canvas.h"
#include "mosaic/grid/sky_grid.h"

namespace contimg::mosaic {

struct MapPanelStyle {
  double label_size = 16;
  bool labels_inside = false;  // on the map itself, along its left and lower edge; else to the left of it and below
  int finest_dec_arcsec = 3600, finest_ra_s = 60;  // between lines; whole seconds of arc and of time
};

// `text` in light letters with a dark rim, readable on any map.
void DrawOnMap(image::Canvas& canvas, double x, double y, const std::string& text, double size, image::Align align);

class MapPanel {
 public:
  // On `canvas`, which must outlive it; `box` is the map's.
  MapPanel(image::Canvas& canvas, const SkyGrid& grid, const image::Box& box, const MapPanelStyle& style = {});

  // One colour per screen pixel, (0, 0) in the upper left; then the lines and their labels.
  void Draw(const std::function<image::Colour(int, int)>& colour) const;

  // Where a pixel of the map is on the canvas.
  std::array<double, 2> Screen(const image::PixelPosition& at) const;
  // The same of a direction; nothing outside the projection.
  std::optional<std::array<double, 2>> Screen(const PhaseCentre& direction) const;

 private:
  void DrawCurve(const std::function<PhaseCentre(double)>& of) const;  // from −1 to 1
  void DrawLabels() const;
  void LabelDeclination(double y, const std::string& text) const;  // at a screen place
  void LabelRightAscension(double x, const std::string& text) const;
  int DeclinationStep() const;               // of lines, arcseconds
  int RightAscensionStep() const;            // seconds of time
  std::vector<double> Declinations() const;  // radians
  std::vector<double> RightAscensions() const;
  double SecondsAcross(double dec_rad) const;  // of time, across the map at this declination
  double ReachOfDeclinations() const;          // from the middle to places that may be on the map, radians
  double ReachOfRightAscensions() const;       // at most π

  image::Canvas& canvas_;
  SkyGrid grid_;
  GridAxes axes_;
  image::Box box_;
  MapPanelStyle style_;
  PhaseCentre middle_;  // of the map, which need not be the grid's centre
};

}  // namespace contimg::mosaic
