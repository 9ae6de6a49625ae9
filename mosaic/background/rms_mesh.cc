#include "mosaic/background/rms_mesh.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "config/error.h"
#include "config/parallel.h"
#include "config/robust_statistics.h"
#include "mosaic/table/stage_name.h"

namespace contimg::mosaic {
namespace {

constexpr float kNoNode = std::numeric_limits<float>::quiet_NaN();

// TakeMedian of values with hardly two alike, four times as fast: the middle one is looked for only among those that
// share its sign, exponent and first two digits.
class Middle {
 public:
  float Take(const std::vector<float>& values) {
    counts_.fill(0);
    for (const float v : values) ++counts_[KeyOf(v)];
    std::size_t key = 0, before = 0;
    const std::size_t rank = values.size() / 2;
    while (before + counts_[key] <= rank) before += counts_[key++];
    alike_.clear();
    for (const float v : values) {
      if (KeyOf(v) == key) alike_.push_back(v);
    }
    const auto at = alike_.begin() + static_cast<std::ptrdiff_t>(rank - before);
    std::nth_element(alike_.begin(), at, alike_.end());
    return *at;
  }

 private:
  // Ascending with the value; not NaN.
  static std::size_t KeyOf(float v) {
    const auto bits = std::bit_cast<std::uint32_t>(v);
    return ((bits >> 31) != 0 ? ~bits : bits | 0x80000000U) >> 21;
  }
  std::array<std::uint32_t, 2048> counts_{};
  std::vector<float> alike_;
};

// Standard deviation of what clipping leaves; `values` and `scratch` are changed.
float ClippedRms(std::vector<float>& values, std::vector<float>& scratch, Middle& middle,
                 const RmsMeshOptions& options) {
  for (int round = 0; round < 3; ++round) {
    const float median = middle.Take(values);
    scratch.clear();
    for (const float v : values) scratch.push_back(std::abs(v - median));
    const double limit = options.clip * kSigmaPerMad * middle.Take(scratch);
    const auto far = [&](float v) { return std::abs(static_cast<double>(v) - median) > limit; };
    const auto end = std::remove_if(values.begin(), values.end(), far);
    if (end == values.end()) break;
    values.erase(end, values.end());
  }
  double sum = 0, squares = 0;
  for (const float v : values) sum += v;
  const double mean = sum / static_cast<double>(values.size());
  for (const float v : values) squares += (v - mean) * (v - mean);
  const double rms = options.scale * std::sqrt(squares / static_cast<double>(values.size()));
  return rms > 0 ? static_cast<float>(rms) : kNoNode;
}

// Nodes without a value take the mean of the neighbours that have one, ring by ring.
void FillNodes(image::CoarseMap& map) {
  const auto nx = static_cast<std::ptrdiff_t>(map.nx), ny = static_cast<std::ptrdiff_t>(map.ny);
  for (bool open = true; open;) {
    open = false;
    const std::vector<float> known = map.values;
    for (std::ptrdiff_t j = 0; j < ny; ++j) {
      for (std::ptrdiff_t i = 0; i < nx; ++i) {
        float& value = map.values[static_cast<std::size_t>(j * nx + i)];
        if (!std::isnan(value)) continue;
        double sum = 0;
        int count = 0;
        for (std::ptrdiff_t y = std::max<std::ptrdiff_t>(j - 1, 0); y <= std::min(j + 1, ny - 1); ++y) {
          for (std::ptrdiff_t x = std::max<std::ptrdiff_t>(i - 1, 0); x <= std::min(i + 1, nx - 1); ++x) {
            const float near = known[static_cast<std::size_t>(y * nx + x)];
            if (std::isnan(near)) continue;
            sum += near;
            ++count;
          }
        }
        if (count > 0) {
          value = static_cast<float>(sum / count);
        } else {
          open = true;
        }
      }
    }
  }
}

}  // namespace

image::CoarseMap MeasureRms(ArrayView<const float, 2> residual, const RmsMeshOptions& options, int threads) {
  const std::size_t ny = residual.shape(0), nx = residual.shape(1), step = options.step_px;
  image::CoarseMap map;
  map.nx = std::max<std::size_t>((nx + step - 1) / step, 1);
  map.ny = std::max<std::size_t>((ny + step - 1) / step, 1);
  map.step = static_cast<double>(step);
  map.values.assign(map.nx * map.ny, kNoNode);
  const std::size_t every = std::clamp<std::size_t>(std::min(nx, ny) / 64, 1, options.every);
  ParallelFor(threads, map.ny, [&](std::size_t j) {
    std::vector<float> values, scratch;
    Middle middle;
    const auto span = [&](std::size_t node, std::size_t n) {  // pixels of a node's box along one axis
      const std::size_t centre = std::min(node * step + step / 2, n - 1), half = options.box_px / 2;
      return std::pair{centre > half ? centre - half : 0, std::min(centre + half, n)};
    };
    const auto [y0, y1] = span(j, ny);
    for (std::size_t i = 0; i < map.nx; ++i) {
      const auto [x0, x1] = span(i, nx);
      values.clear();
      for (std::size_t y = y0; y < y1; y += every) {
        for (std::size_t x = x0; x < x1; x += every) {
          const float v = residual(y, x);
          if (std::isfinite(v) && v != 0) values.push_back(v);
        }
      }
      if (values.size() >= options.min_pixels)
        map.values[j * map.nx + i] = ClippedRms(values, scratch, middle, options);
    }
  });
  if (std::all_of(map.values.begin(), map.values.end(), [](float v) { return std::isnan(v); })) {
    throw Error(
        ErrorKind::kBadInput, kStage, "",
        "expected noise to measure, found no part of the residual with enough pixels that are neither blank nor "
        "zero");
  }
  FillNodes(map);
  return map;
}

image::CoarseMap NoiseOf(const TileFiles& files, int threads) {
  const TileImages& images = files.images();
  if (!files.even_noise_jy()) return MeasureRms(images.residual, {}, threads);
  const bool has_residual = images.residual.data() != images.image.data();
  const auto told = static_cast<float>(*files.even_noise_jy());
  image::CoarseMap map;
  if (has_residual) {
    map = MeasureRms(images.residual, {}, threads);
    for (float& value : map.values) value = std::max(value, told);
  } else {
    map.nx = map.ny = 1;
    map.values.assign(1, told);
  }
  return map;
}

}  // namespace contimg::mosaic
