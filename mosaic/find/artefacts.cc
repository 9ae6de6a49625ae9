#include "mosaic/find/artefacts.h"

#include <cmath>

#include "config/parallel.h"
#include "mosaic/photometry/clusters.h"

namespace contimg::mosaic {
namespace {

// The largest |PSF| within half a beam of an offset from its middle, in pixels; 0 beyond its edge. What errors leave of
// a side lobe stands beside it.
double SidelobeAt(ArrayView<const float, 2> psf, double reach, double dx, double dy) {
  const double x0 = static_cast<double>(psf.shape(1) / 2) + dx, y0 = static_cast<double>(psf.shape(0) / 2) + dy;
  double largest = 0;
  for (double y = std::ceil(std::max(y0 - reach, 0.0));
       y <= std::min(y0 + reach, static_cast<double>(psf.shape(0)) - 1); ++y) {
    for (double x = std::ceil(std::max(x0 - reach, 0.0));
         x <= std::min(x0 + reach, static_cast<double>(psf.shape(1)) - 1); ++x) {
      const double value = std::abs(psf(static_cast<std::size_t>(y), static_cast<std::size_t>(x)));
      if (value > largest) largest = value;
    }
  }
  return largest;
}

double LowestWithin(ArrayView<const float, 2> image, const BeamPixels& beam, double x, double y, double widths) {
  const double reach_x = beam.ReachX(widths), reach_y = beam.ReachY(widths);
  const auto x0 = static_cast<std::size_t>(std::max(x - reach_x, 0.0)),
             y0 = static_cast<std::size_t>(std::max(y - reach_y, 0.0));
  double lowest = 0;
  for (std::size_t j = y0; j < std::min(static_cast<std::size_t>(y + reach_y) + 1, image.shape(0)); ++j) {
    for (std::size_t i = x0; i < std::min(static_cast<std::size_t>(x + reach_x) + 1, image.shape(1)); ++i) {
      const double value = image(j, i);
      if (value < lowest && beam.Distance2(static_cast<double>(i) - x, static_cast<double>(j) - y) < widths * widths)
        lowest = value;
    }
  }
  return lowest;
}

}  // namespace

std::vector<bool> SuspectComponents(const TileImages& images, const std::vector<Component>& components,
                                    const std::vector<std::size_t>& group_size, double median_rms,
                                    const ArtefactOptions& options, int threads) {
  constexpr double kTwinWidths = 2;
  constexpr double kTwinRms = 4;
  const BeamPixels beam(*images.header->beam, images.header->geometry.cell_rad);
  std::vector<std::size_t> bright;
  for (std::size_t k = 0; k < components.size(); ++k) {
    if (components[k].flux > options.bright_snr * components[k].sigma) bright.push_back(k);
  }
  std::vector<char> suspect(components.size(), 0);  // not bits: written by several threads
  ParallelFor(threads, components.size(), [&](std::size_t i) {
    const Component& c = components[i];
    bool bad = c.sigma > options.noisy * median_rms || group_size[i] > options.crowd;
    if (!images.psf.empty()) {
      for (const std::size_t k : bright) {
        const Component& b = components[k];
        const double dx = c.x - b.x, dy = c.y - b.y;
        if (beam.Distance2(dx, dy) < kLinkWidths * kLinkWidths) continue;
        const double left = options.sidelobe_share * SidelobeAt(images.psf, beam.minor_px() / 2, dx, dy) * b.flux;
        bad = bad || (left > c.sigma && c.flux < options.sidelobe_snr * left);
      }
    }
    const double deep = std::max(kTwinRms * c.sigma, options.negative_share * c.flux);
    suspect[i] = bad || LowestWithin(images.image, beam, c.x, c.y, kTwinWidths) < -deep ? 1 : 0;
  });
  return {suspect.begin(), suspect.end()};
}

}  // namespace contimg::mosaic
