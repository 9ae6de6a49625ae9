#include "image/clean/clean_masks.h"

#include <algorithm>
#include <cmath>

#include "config/parallel.h"
#include "image/plane/sky_coordinates.h"

namespace contimg::image {

void MaskFromImage(const FitsImage& fits, const ImageGeometry& slant, const PhaseCentre& centre,
                   ArrayView<std::uint8_t, 2> mask, int threads) {
  const auto view = fits.view();
  const bool same_centre = fits.header.centre.ra_rad == centre.ra_rad && fits.header.centre.dec_rad == centre.dec_rad;
  ParallelFor(threads, mask.shape(0), [&](std::size_t y) {
    for (std::size_t x = 0; x < mask.shape(1); ++x) {
      mask(y, x) = 0;
      DirectionCosines at = PixelToDirection(slant, static_cast<double>(x), static_cast<double>(y));
      if (!same_centre) {
        const auto moved = CosinesOfDirection(fits.header.centre, DirectionOfCosines(centre, at.l, at.m));
        if (!moved) continue;
        at = *moved;
      }
      const PixelPosition p = DirectionToPixel(fits.header.geometry, at.l, at.m);
      const double px = std::round(p.x), py = std::round(p.y);
      if (!(px >= 0 && py >= 0 && px < static_cast<double>(view.shape(1)) && py < static_cast<double>(view.shape(0)))) {
        continue;
      }
      const float value = view(static_cast<std::size_t>(py), static_cast<std::size_t>(px));
      mask(y, x) = value != 0 && !std::isnan(value) ? 1 : 0;
    }
  });
}

void MaskFromCatalogue(const std::vector<CatalogueSource>& sources, double radius_rad, const ImageGeometry& slant,
                       const PhaseCentre& centre, ArrayView<std::uint8_t, 2> mask) {
  const double radius_px = radius_rad / slant.cell_rad;
  for (const CatalogueSource& source : sources) {
    const auto at = CosinesOfDirection(centre, source.direction);
    if (!at) continue;
    const PixelPosition p = DirectionToPixel(slant, at->l, at->m);
    const auto first = [&](double c) { return std::max(0.0, std::ceil(c - radius_px)); };
    const auto last = [&](double c, std::size_t n) {
      return std::min(static_cast<double>(n) - 1, std::floor(c + radius_px));
    };
    for (double y = first(p.y); y <= last(p.y, mask.shape(0)); ++y) {
      for (double x = first(p.x); x <= last(p.x, mask.shape(1)); ++x) {
        if (std::hypot(x - p.x, y - p.y) <= radius_px)
          mask(static_cast<std::size_t>(y), static_cast<std::size_t>(x)) = 1;
      }
    }
  }
}

}  // namespace contimg::image
