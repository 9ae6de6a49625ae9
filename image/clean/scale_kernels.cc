#include "image/clean/scale_kernels.h"

#include <algorithm>
#include <cmath>

#include "config/units.h"

namespace contimg::image {

ScaleKernel::ScaleKernel(double scale_px) {
  if (scale_px < 1) {
    values_ = {1.0F};
    return;
  }
  // The half-width at half maximum of the shape is 0.416 a: a = 1.2 scale gives a FWHM equal to the scale.
  const double a = 1.2 * scale_px;
  const auto half = static_cast<std::size_t>(std::ceil(a));
  size_ = 2 * half + 1;
  values_.assign(size_ * size_, 0.0F);
  double sum = 0;
  for (int pass = 0; pass < 2; ++pass) {
    for (std::size_t y = 0; y < size_; ++y) {
      for (std::size_t x = 0; x < size_; ++x) {
        const double dx = static_cast<double>(x) - static_cast<double>(half);
        const double dy = static_cast<double>(y) - static_cast<double>(half);
        const double t = std::hypot(dx, dy) / a;
        if (t >= 1) continue;
        const double c = std::cos(kPi / 2 * t), value = (1 - t * t) * c * c;
        if (pass == 0) {
          sum += value;
        } else {
          values_[y * size_ + x] = static_cast<float>(value / sum);
        }
      }
    }
  }
}

void AddComponents(const std::vector<CleanComponent>& components, const std::vector<ScaleKernel>& kernels,
                   ArrayView<float, 2> image) {
  const auto ny = static_cast<std::ptrdiff_t>(image.shape(0)), nx = static_cast<std::ptrdiff_t>(image.shape(1));
  for (const CleanComponent& component : components) {
    const ScaleKernel& kernel = kernels[static_cast<std::size_t>(component.scale)];
    if (kernel.is_point()) {
      image(component.y, component.x) += component.flux_jy;
      continue;
    }
    const auto half = static_cast<std::ptrdiff_t>(kernel.half());
    for (std::ptrdiff_t dy = -half; dy <= half; ++dy) {
      const std::ptrdiff_t y = component.y + dy;
      if (y < 0 || y >= ny) continue;
      for (std::ptrdiff_t dx = std::max(-half, -static_cast<std::ptrdiff_t>(component.x));
           dx <= half && component.x + dx < nx; ++dx) {
        image(y, component.x + dx) +=
            component.flux_jy * kernel.at(static_cast<std::size_t>(dx + half), static_cast<std::size_t>(dy + half));
      }
    }
  }
}

}  // namespace contimg::image
