#include "image/component_drawing.h"

#include <utility>

#include "image/image_plan.h"

namespace contimg::image {

ComponentDrawing::ComponentDrawing(std::vector<CleanComponent> components, const ImageSettings& settings,
                                   const ImageGeometry& slant, const ImageGeometry& plain, const GaussianBeam& beam,
                                   int threads)
    : components_(std::move(components)), slant_(slant), plain_(plain), beam_(beam), threads_(threads) {
  for (const double scale : ParseScales(settings.scales_px)) kernels_.emplace_back(scale);
  if (kernels_.empty()) kernels_.emplace_back(0.0);
}

std::vector<SkyPoint> ComponentDrawing::Points(const Factor& factor, double lattice_px) const {
  std::vector<CleanComponent> components = components_;
  for (CleanComponent& c : components) c.flux_jy *= static_cast<decltype(c.flux_jy)>(factor(c));
  return PointsOfComponents(components, kernels_, slant_, plain_, lattice_px);
}

void ComponentDrawing::AddBeams(const Factor& factor, ArrayView<float, 2> image) const {
  const std::vector<SkyPoint> points = Points(factor, beam_.minor_rad / plain_.cell_rad / 2.5);
  image::AddBeams(points, beam_, plain_.cell_rad, image, threads_);
}

}  // namespace contimg::image
