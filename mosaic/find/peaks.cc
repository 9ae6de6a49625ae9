#include "mosaic/find/peaks.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "config/parallel.h"
#include "mosaic/tile/beam_pixels.h"

namespace contimg::mosaic {
namespace {

constexpr std::size_t kRowsAtOnce = 64;

struct PixelPeak {
  std::size_t x = 0, y = 0;
};

// Not lower than any neighbour; of a plateau the last pixel. A blank neighbour forbids nothing.
bool IsMaximum(ArrayView<const float, 2> image, std::size_t x, std::size_t y, float sign) {
  const float v = sign * image(y, x);
  for (int dy = -1; dy <= 1; ++dy) {
    for (int dx = -1; dx <= 1; ++dx) {
      if (dx == 0 && dy == 0) continue;
      const float near = sign * image(y + static_cast<std::size_t>(dy), x + static_cast<std::size_t>(dx));
      const bool later = dy > 0 || (dy == 0 && dx > 0);
      if (later ? near >= v : near > v) return false;
    }
  }
  return true;
}

// Newton's steps towards the maximum about a pixel; the pixel itself where they lead away from it.
Peak Refined(const ImageReader& reader, const PixelPeak& pixel, double sign) {
  const double x0 = static_cast<double>(pixel.x), y0 = static_cast<double>(pixel.y);
  double x = x0, y = y0;
  for (int step = 0; step < 6; ++step) {
    const ImageReader::Shape s = reader.ShapeAt(x, y);
    const double determinant = s.hxx * s.hyy - s.hxy * s.hxy;
    if (!(determinant > 0) || !(sign * s.hxx < 0)) break;  // also for blank taps
    const double dx = -(s.hyy * s.gx - s.hxy * s.gy) / determinant;
    const double dy = -(s.hxx * s.gy - s.hxy * s.gx) / determinant;
    if (std::abs(x + dx - x0) > 1 || std::abs(y + dy - y0) > 1) break;
    x += dx;
    y += dy;
    if (std::hypot(dx, dy) < 1e-4) break;
  }
  const double value = sign * reader.At(x, y), at_pixel = sign * reader.At(x0, y0);
  if (value >= at_pixel) return {x, y, value, 0};
  return {x0, y0, at_pixel, 0};
}

}  // namespace

std::vector<Peak> FindPeaks(ArrayView<const float, 2> image, const ImageReader& reader, const TileImages& images,
                            const image::CoarseMap& rms, const PeakOptions& options, int threads) {
  const std::size_t ny = image.shape(0), nx = image.shape(1);
  if (nx < 3 || ny < 3) return {};
  const BeamPixels beam(*images.header->beam, images.header->geometry.cell_rad);
  // Half a pixel off in x and y of a dirty beam, whose core is up to √3 sharper than the restoring one.
  const double worst = 3 * std::max(beam.Distance2(0.5, 0.5), beam.Distance2(0.5, -0.5));
  const double kept = std::max(0.5, std::exp(-BeamPixels::kFourLn2 * worst));
  const auto lowest = static_cast<float>(kept * options.threshold * rms.Minimum());
  const auto sign = static_cast<float>(options.sign);
  const std::size_t bands = (ny - 2 + kRowsAtOnce - 1) / kRowsAtOnce;
  std::vector<std::vector<Peak>> found(bands);
  ParallelFor(threads, bands, [&](std::size_t band) {
    for (std::size_t y = 1 + band * kRowsAtOnce; y < std::min(ny - 1, 1 + (band + 1) * kRowsAtOnce); ++y) {
      const float* row = &image(y, 0);
      for (std::size_t x = 1; x + 1 < nx; ++x) {
        if (!(sign * row[x] > lowest)) continue;
        const double sigma = rms.At(static_cast<double>(x), static_cast<double>(y));
        if (!(sign * row[x] > kept * options.threshold * sigma) || !IsMaximum(image, x, y, sign)) continue;
        if (!images.pb.empty() && !(images.pb(y, x) >= options.min_pb)) continue;
        Peak peak = Refined(reader, {x, y}, sign);
        if (!std::isfinite(peak.value)) peak = {static_cast<double>(x), static_cast<double>(y), sign * row[x], 0};
        peak.sigma = rms.At(peak.x, peak.y);
        if (peak.value > options.threshold * peak.sigma) found[band].push_back(peak);
      }
    }
  });
  std::vector<Peak> peaks;
  for (const auto& some : found) peaks.insert(peaks.end(), some.begin(), some.end());
  return peaks;
}

std::size_t SearchedPixels(const TileImages& images, double min_pb, int threads) {
  const std::size_t ny = images.image.shape(0), nx = images.image.shape(1);
  std::vector<std::size_t> counts(ny);
  ParallelFor(threads, ny, [&](std::size_t y) {
    std::size_t count = 0;
    for (std::size_t x = 0; x < nx; ++x) {
      const bool inside = images.pb.empty() || images.pb(y, x) >= min_pb;
      count += inside && std::isfinite(images.image(y, x)) ? 1 : 0;
    }
    counts[y] = count;
  });
  std::size_t sum = 0;
  for (const std::size_t count : counts) sum += count;
  return sum;
}

}  // namespace contimg::mosaic
