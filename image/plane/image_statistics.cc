#include "image/plane/image_statistics.h"

#include <algorithm>
#include <cmath>

#include "config/parallel.h"
#include "config/robust_statistics.h"

namespace contimg::image {
namespace {

// Convolves rows of length n (stride 1) or columns with the kernel, edges renormalised.
void SmoothAxis(std::vector<double>& map, std::size_t count, std::size_t n, std::size_t step, std::size_t line_step,
                const std::vector<double>& kernel) {
  const std::ptrdiff_t half = static_cast<std::ptrdiff_t>(kernel.size() / 2), length = static_cast<std::ptrdiff_t>(n);
  std::vector<double> line(n);
  for (std::size_t c = 0; c < count; ++c) {
    double* at = map.data() + c * line_step;
    for (std::size_t i = 0; i < n; ++i) line[i] = at[i * step];
    for (std::ptrdiff_t i = 0; i < length; ++i) {
      double sum = 0, weight = 0;
      for (std::ptrdiff_t k = std::max(-half, -i); k <= std::min(half, length - 1 - i); ++k) {
        const double w = kernel[static_cast<std::size_t>(k + half)];
        sum += w * line[static_cast<std::size_t>(i + k)];
        weight += w;
      }
      at[static_cast<std::size_t>(i) * step] = sum / weight;
    }
  }
}

struct RowMoments {
  double s1 = 0, s2 = 0, s3 = 0, s4 = 0;
  float low = HUGE_VALF, high = -HUGE_VALF;
  std::size_t count = 0;
};

// Sums in eight lanes, so that the compiler can use vectors without reordering anything.
RowMoments MomentsOfRow(const float* row, std::size_t n) {
  constexpr std::size_t kLanes = 8;
  double s1[kLanes] = {}, s2[kLanes] = {}, s3[kLanes] = {}, s4[kLanes] = {}, used[kLanes] = {};
  float low[kLanes], high[kLanes];
  std::fill_n(low, kLanes, HUGE_VALF);
  std::fill_n(high, kLanes, -HUGE_VALF);
  const auto add = [&](std::size_t lane, float value) {
    const bool number = value == value;
    const double v = number ? value : 0.0F, v2 = v * v;
    s1[lane] += v;
    s2[lane] += v2;
    s3[lane] += v2 * v;
    s4[lane] += v2 * v2;
    used[lane] += number ? 1.0 : 0.0;
    low[lane] = value < low[lane] ? value : low[lane];
    high[lane] = value > high[lane] ? value : high[lane];
  };
  std::size_t x = 0;
  for (; x + kLanes <= n; x += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) add(lane, row[x + lane]);
  }
  for (std::size_t lane = 0; x < n; ++x, ++lane) add(lane, row[x]);
  RowMoments sum;
  double count = 0;
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    sum.s1 += s1[lane], sum.s2 += s2[lane], sum.s3 += s3[lane], sum.s4 += s4[lane], count += used[lane];
    sum.low = std::min(sum.low, low[lane]), sum.high = std::max(sum.high, high[lane]);
  }
  sum.count = static_cast<std::size_t>(count);
  return sum;
}

std::size_t PlaceOf(float value, const float* row, std::size_t n) {
  return static_cast<std::size_t>(std::find(row, row + n, value) - row);
}

}  // namespace

RobustStatistics ComputeRobustStatistics(ArrayView<const float, 2> image, std::size_t max_samples) {
  const std::size_t ny = image.shape(0), nx = image.shape(1);
  std::size_t stride = 1;
  while (image.size() / (stride * stride) > max_samples) ++stride;
  std::vector<float> values;
  values.reserve(image.size() / (stride * stride) + nx + ny);
  for (std::size_t y = 0, row = 0; y < ny; y += stride, ++row) {
    for (std::size_t x = (row * 7) % stride; x < nx; x += stride) {
      if (!std::isnan(image(y, x))) values.push_back(image(y, x));
    }
  }
  RobustStatistics result;
  result.samples = values.size();
  result.median = TakeMedian(values);
  result.rms = kSigmaPerMad * TakeMad(values, static_cast<float>(result.median));
  return result;
}

ImageMoments ComputeMoments(ArrayView<const float, 2> image, int threads) {
  const std::size_t ny = image.shape(0), nx = image.shape(1);
  constexpr std::size_t kBand = 64;
  const std::size_t bands = (ny + kBand - 1) / kBand;
  struct Part {
    double s1 = 0, s2 = 0, s3 = 0, s4 = 0;
    float low = HUGE_VALF, high = -HUGE_VALF;
    std::size_t low_at = 0, high_at = 0, count = 0;
  };
  std::vector<Part> parts(bands);
  ParallelFor(threads, bands, [&](std::size_t band) {
    Part& part = parts[band];
    for (std::size_t y = band * kBand; y < std::min(ny, (band + 1) * kBand); ++y) {
      const float* row = &image(y, 0);
      const RowMoments m = MomentsOfRow(row, nx);
      part.s1 += m.s1, part.s2 += m.s2, part.s3 += m.s3, part.s4 += m.s4, part.count += m.count;
      // Where they are only matters for rows with a new extreme.
      if (m.low < part.low) part.low = m.low, part.low_at = y * nx + PlaceOf(m.low, row, nx);
      if (m.high > part.high) part.high = m.high, part.high_at = y * nx + PlaceOf(m.high, row, nx);
    }
  });
  Part all;
  for (const Part& part : parts) {
    if (part.low < all.low) all.low = part.low, all.low_at = part.low_at;
    if (part.high > all.high) all.high = part.high, all.high_at = part.high_at;
    all.s1 += part.s1, all.s2 += part.s2, all.s3 += part.s3, all.s4 += part.s4, all.count += part.count;
  }
  ImageMoments result;
  result.count = all.count;
  if (all.count == 0) return result;
  const double n = static_cast<double>(all.count), mean = all.s1 / n;
  const double m2 = all.s2 / n - mean * mean;
  const double m3 = all.s3 / n - 3 * mean * all.s2 / n + 2 * mean * mean * mean;
  const double m4 = all.s4 / n - 4 * mean * all.s3 / n + 6 * mean * mean * all.s2 / n - 3 * mean * mean * mean * mean;
  result.minimum = all.low;
  result.maximum = all.high;
  result.x_of_minimum = all.low_at % nx, result.y_of_minimum = all.low_at / nx;
  result.x_of_maximum = all.high_at % nx, result.y_of_maximum = all.high_at / nx;
  result.sum = all.s1;
  result.mean = mean;
  result.rms = std::sqrt(std::max(0.0, m2));
  if (m2 > 0) {
    result.skewness = m3 / std::pow(m2, 1.5);
    result.kurtosis = m4 / (m2 * m2) - 3;
  }
  return result;
}

float CoarseMap::At(double x, double y) const {
  const auto place = [](double at, double spacing, std::size_t n, std::size_t& first) {
    const double t = std::clamp((at - std::floor(spacing / 2)) / spacing, 0.0, static_cast<double>(n - 1));
    first = std::min(static_cast<std::size_t>(t), n >= 2 ? n - 2 : 0);
    return n >= 2 ? t - static_cast<double>(first) : 0.0;
  };
  std::size_t ix = 0, iy = 0;
  const double fx = place(x, step, nx, ix), fy = place(y, step, ny, iy);
  const std::size_t right = nx >= 2 ? 1 : 0, up = ny >= 2 ? nx : 0;
  const float* v = values.data() + iy * nx + ix;
  const double low = v[0] * (1 - fx) + v[right] * fx, high = v[up] * (1 - fx) + v[up + right] * fx;
  return static_cast<float>(low * (1 - fy) + high * fy);
}

float CoarseMap::Minimum() const { return *std::min_element(values.begin(), values.end()); }

CoarseMap LocalRms(ArrayView<const float, 2> image, double window_px, LocalRmsMethod method, int threads) {
  const std::size_t ny = image.shape(0), nx = image.shape(1);
  // Eight nodes across the window's FWHM: bilinear interpolation of a Gaussian-smoothed map is then good to 0.5 %.
  const auto step = static_cast<std::size_t>(std::clamp(window_px / 8, 1.0, 256.0));
  CoarseMap map;
  map.nx = (nx + step - 1) / step;
  map.ny = (ny + step - 1) / step;
  map.step = static_cast<double>(step);
  std::vector<double> square(map.nx * map.ny), weight(map.nx * map.ny);
  std::vector<float> lowest(map.nx * map.ny, 0.0F);
  ParallelFor(threads, map.ny, [&](std::size_t j) {
    for (std::size_t y = j * step; y < std::min(ny, (j + 1) * step); ++y) {
      for (std::size_t x = 0; x < nx; ++x) {
        const float value = image(y, x);
        if (std::isnan(value)) continue;
        const std::size_t node = j * map.nx + x / step;
        square[node] += static_cast<double>(value) * value;
        weight[node] += 1;
        lowest[node] = std::min(lowest[node], value);
      }
    }
  });
  const double sigma = window_px / 2.354820045 / static_cast<double>(step);
  const auto half = static_cast<std::ptrdiff_t>(std::ceil(3 * sigma));
  std::vector<double> kernel;
  for (std::ptrdiff_t k = -half; k <= half; ++k) {
    kernel.push_back(std::exp(-0.5 * static_cast<double>(k * k) / (sigma * sigma)));
  }
  for (auto* field : {&square, &weight}) {
    SmoothAxis(*field, map.ny, map.nx, 1, map.nx, kernel);
    SmoothAxis(*field, map.nx, map.ny, map.nx, 1, kernel);
  }
  map.values.resize(map.nx * map.ny);
  const auto reach = static_cast<std::ptrdiff_t>(window_px / 2 / static_cast<double>(step));
  for (std::size_t j = 0; j < map.ny; ++j) {
    for (std::size_t i = 0; i < map.nx; ++i) {
      const std::size_t node = j * map.nx + i;
      double rms = weight[node] > 0 ? std::sqrt(square[node] / weight[node]) : 0;
      if (method == LocalRmsMethod::kRmsWithMin) {
        float low = 0;
        for (std::ptrdiff_t dj = -reach; dj <= reach; ++dj) {
          for (std::ptrdiff_t di = -reach; di <= reach; ++di) {
            const std::ptrdiff_t y = static_cast<std::ptrdiff_t>(j) + dj, x = static_cast<std::ptrdiff_t>(i) + di;
            if (y < 0 || x < 0 || y >= static_cast<std::ptrdiff_t>(map.ny) || x >= static_cast<std::ptrdiff_t>(map.nx))
              continue;
            low = std::min(low, lowest[static_cast<std::size_t>(y) * map.nx + static_cast<std::size_t>(x)]);
          }
        }
        rms = std::max(rms, 0.3 * std::abs(static_cast<double>(low)));
      }
      map.values[node] = static_cast<float>(rms);
    }
  }
  return map;
}

}  // namespace contimg::image
