// A grid of pixels on the sky, and one big enough for many images.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "convert/frames.h"
#include "image/plane/image_geometry.h"
#include "image/products/fits_image.h"

namespace contimg::mosaic {

using convert::Vector3;

// Directions are unit vectors (ICRS) here: 0 h and the poles are places like others. The reference pixel of `geometry`
// is (nx/2, ny/2), its shift in the plane of its projection.
struct SkyGrid {
  PhaseCentre centre;
  image::ImageGeometry geometry;
};

Vector3 UnitVector(const PhaseCentre& direction);
PhaseCentre DirectionOfVector(const Vector3& vector);  // of any length but 0; right ascension in [0, 2π)

// A grid with its axes at hand: for many places.
class GridAxes {
 public:
  explicit GridAxes(const SkyGrid& grid);
  // Nothing beyond the horizon of the grid's centre.
  std::optional<image::PixelPosition> PixelAt(const Vector3& direction) const;
  std::optional<Vector3> DirectionAt(double x, double y) const;

 private:
  image::ImageGeometry geometry_;
  Vector3 east_, north_, out_;  // at the centre
};

struct GridWishes {
  image::Projection projection = image::Projection::kZea;
  std::optional<PhaseCentre> centre;  // none: the spherical mean of the tiles' centres
  double cell_rad = 0;                // 0: the smallest of the tiles
};

inline constexpr double kLargestZeaDeg = 60, kLargestSinDeg = 20;  // that a grid may span

// The smallest grid of whole pixels, the reference pixel among them, that holds all tiles. Throws Error{kUsage} when it
// spans more than kLargest…Deg or the centre is more than that from a tile; `names` (of the tiles; none: their numbers)
// are for its sentence.
SkyGrid GridAround(const std::vector<SkyGrid>& tiles, const GridWishes& wishes,
                   const std::vector<std::string>& names = {});

// Where the border of `inner` lies in `outer`: the smallest box of whole pixels {x0, y0, x1, y1} (the last ones beyond)
// about it. Nothing when a part of it is beyond the horizon.
struct PixelBox {
  std::ptrdiff_t x0 = 0, y0 = 0, x1 = 0, y1 = 0;
};
std::optional<PixelBox> BoxIn(const SkyGrid& outer, const SkyGrid& inner);

}  // namespace contimg::mosaic
