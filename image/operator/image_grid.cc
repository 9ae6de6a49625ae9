#include "image/operator/image_grid.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "config/buffer.h"
#include "config/error.h"
#include "config/units.h"

namespace contimg::image {
namespace {

// Computes on wide pixels what is asked for on fine ones.
class DoubledEngine final : public GridEngine {
 public:
  DoubledEngine(std::unique_ptr<GridEngine> wide, PixelDoubling doubling, const ImageGeometry& geometry)
      : engine_(std::move(wide)), doubling_(std::move(doubling)), nx_(geometry.nx), ny_(geometry.ny) {}

  void ToImage(Kind kind, const float* re, const float* im, double scale, ArrayView<float, 2> image,
               int threads) override {
    engine_->ToImage(kind, re, im, scale, Wide(), threads);
    doubling_.Double(Wide(), image, threads);
  }
  void FromImage(ArrayView<const float, 2> image, float* re, float* im, int threads) override {
    doubling_.Transpose(image, Wide(), threads);
    engine_->FromImage(Wide(), re, im, threads);
  }
  Memory MemoryBytes(int threads) const override {
    Memory memory = engine_->MemoryBytes(threads);
    memory.held_bytes += nx_ * ny_ * sizeof(float);
    return memory;
  }
  std::size_t padded_nx() const override { return engine_->padded_nx(); }
  std::size_t padded_ny() const override { return engine_->padded_ny(); }

 private:
  ArrayView<float, 2> Wide() {
    if (pixels_.empty()) pixels_ = Buffer<float>(nx_ * ny_);
    return {pixels_.data(), {ny_, nx_}};
  }

  std::unique_ptr<GridEngine> engine_;
  PixelDoubling doubling_;
  std::size_t nx_, ny_;  // wide
  Buffer<float> pixels_;
};

struct Reach {
  double uv_lambda = 0;  // longest baseline
  double w_lambda = 0;   // largest |w| that the slant frame leaves
};

Reach ReachOf(const VisibilityBlock& block, const ImageGeometry& image, double max_uv_lambda) {
  const ArrayView<const double, 3> uvw = block.uvw_view();
  const double low = block.frequency_hz.front() / kSpeedOfLight, high = block.frequency_hz.back() / kSpeedOfLight;
  Reach reach;
  for (std::size_t time = 0; time < block.n_times(); ++time) {
    for (std::size_t baseline = 0; baseline < block.n_baselines(); ++baseline) {
      const double u = uvw(time, baseline, 0), v = uvw(time, baseline, 1);
      const double length = std::hypot(u, v), w = uvw(time, baseline, 2) - image.slant_a * u - image.slant_b * v;
      if (length * low > max_uv_lambda) continue;
      reach.uv_lambda = std::max(reach.uv_lambda, std::min(length * high, max_uv_lambda));
      reach.w_lambda = std::max(reach.w_lambda, std::fabs(w) * high);
    }
  }
  return reach;
}

// Largest slope of n − 1 over the image, per unit of slant coordinate; 1 and more: do not count on it.
double SteepestN(const ImageGeometry& image) {
  const double l = std::fabs(image.shift_l) + 0.5 * static_cast<double>(image.nx) * image.cell_rad;
  const double m = std::fabs(image.shift_m) + 0.5 * static_cast<double>(image.ny) * image.cell_rad;
  const double r2 = l * l + m * m;
  if (r2 >= 0.5) return 1;
  const double slope = std::sqrt(r2 / (1 - r2));
  const double slant = std::hypot(image.slant_a, image.slant_b);
  return slant * slope < 0.5 ? slope / (1 - slant * slope) : 1;
}

bool SeesTheSky(const ImageGeometry& geometry) {
  try {
    CheckGeometry(geometry);
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

std::unique_ptr<GridEngine> ImageGrid::MakeEngine(const GridEngineSetup& setup) const {
  std::unique_ptr<GridEngine> engine = MakeGridEngine(setup);
  if (!doubling) return engine;
  return std::make_unique<DoubledEngine>(std::move(engine), *doubling, geometry);
}

ImageGrid ChooseGrid(const VisibilityBlock& block, const ImageGeometry& image, double max_uv_lambda, double error) {
  const ImageGrid own{image, std::nullopt};
  constexpr std::size_t kSmallest = 256;  // below it the margin costs what the pixels save
  if (!(error > 0) || std::min(image.nx, image.ny) < kSmallest) return own;
  const double slope = SteepestN(image);
  if (slope >= 1) return own;
  const Reach reach = ReachOf(block, image, max_uv_lambda);
  const double band = (reach.uv_lambda + slope * reach.w_lambda) * 2 * image.cell_rad;
  const std::optional<PixelDoubling> doubling = PixelDoubling::Make(band, error);
  if (!doubling) return own;
  const ImageGeometry wide = doubling->Wide(image);
  return SeesTheSky(wide) ? ImageGrid{wide, doubling} : own;
}

}  // namespace contimg::image
