#include "mosaic/coadd/open_mosaic.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include "config/error.h"
#include "config/parallel.h"
#include "image/plane/slant_resample.h"
#include "mosaic/grid/node_map.h"
#include "mosaic/table/stage_name.h"
#include "mosaic/tile/image_reader.h"

namespace contimg::mosaic {
namespace {

constexpr double kWeightUnit = 65536;     // steps in the weight of a tile of noise_jy where its response is 1
constexpr double kLargestWeight = 65535;  // in such weights: as many as 32 bits hold
// Of noise with power everywhere in the band.
constexpr double kTolerance = 5e-4;
constexpr float kBlank = std::numeric_limits<float>::quiet_NaN();

// The nearest whole number (times `quantum`, in which `shift` is 1.5 · 2^52), for |value| < 2^51 of them.
double Rounded(double value, double shift) { return value + shift - shift; }

// What a row of a mosaic needs of a tile at each of its nodes.
struct Node {
  double x = 0, y = 0;       // pixel of the tile
  double pb = 0, smear = 0;  // response
  double depth = 0;          // noise_jy / σ
};

Node Between(const Node& a, const Node& b, double t) {
  return {a.x + (b.x - a.x) * t, a.y + (b.y - a.y) * t, a.pb + (b.pb - a.pb) * t, a.smear + (b.smear - a.smear) * t,
          a.depth + (b.depth - a.depth) * t};
}

image::BandlimitedInterpolator InterpolatorFor(const image::GaussianBeam& beam, double cell_rad) {
  return {BandOf(beam, cell_rad), kTolerance};
}

// Pixels of which one in kSampleStep is a sample.
std::size_t Sampled(std::size_t pixels) { return (pixels + kSampleStep - 1) / kSampleStep; }

struct Row {
  explicit Row(std::size_t n) : x(n), y(n), pb(n), response(n), depth(n), image(n), residual(n) {}
  std::vector<double> x, y;
  std::vector<double> pb, response, depth;
  std::vector<float> image, residual;
};

}  // namespace

double ResamplingError(const image::GaussianBeam& beam, double cell_rad) {
  return SourceError(InterpolatorFor(beam, cell_rad), beam, cell_rad);
}

OpenMosaic::OpenMosaic(const SkyGrid& grid, const CoaddOptions& options)
    : grid_(grid),
      options_(options),
      // 2^33 times the noise of a tile is the largest sum that is still exact.
      quantum_(std::exp2(std::floor(std::log2(options.noise_jy)) + std::log2(kWeightUnit) - 20)),
      flux_(grid.geometry.nx * grid.geometry.ny),
      left_(options.residual ? grid.geometry.nx * grid.geometry.ny : 0),
      weight_(grid.geometry.nx * grid.geometry.ny),
      tiles_(Sampled(grid.geometry.nx) * Sampled(grid.geometry.ny)) {
  if (!(options.noise_jy > 0) || !std::isfinite(quantum_)) {
    throw Error(ErrorKind::kBug, kStage, "", "a mosaic needs the noise of its tiles");
  }
}

TileShare OpenMosaic::Add(const TileSky& tile, ArrayView<const float, 2> image, ArrayView<const float, 2> residual,
                          double factor, int threads) {
  const bool two = options_.residual;
  const double deepest = options_.noise_jy / (factor * tile.rms.Minimum());
  largest_weight_ += deepest * deepest;
  if (!(deepest < 100 && largest_weight_ < kLargestWeight)) {
    throw Error(ErrorKind::kBadInput, kStage, "",
                fmt::format("expected noise like that of the other tiles, {:.3g} Jy/beam, found {:.3g} Jy/beam",
                            options_.noise_jy, factor * tile.rms.Minimum()));
  }
  const auto box = BoxIn(grid_, tile.grid);
  if (!box) return {};
  const NodeMap map =
      MapGrid(tile.grid, grid_, *box, image::ThinStep(tile.grid.geometry.nx, tile.grid.geometry.ny), threads);
  const image::BandlimitedInterpolator interpolator = InterpolatorFor(tile.beam, tile.grid.geometry.cell_rad);
  const auto step = static_cast<std::ptrdiff_t>(map.step);
  const auto nx = static_cast<std::ptrdiff_t>(grid_.geometry.nx), ny = static_cast<std::ptrdiff_t>(grid_.geometry.ny);
  const std::ptrdiff_t x0 = std::max<std::ptrdiff_t>(box->x0, 0), x1 = std::min(box->x1, nx);
  if (x0 >= x1) return {};
  const auto count = static_cast<std::size_t>(x1 - x0);
  const double shift = 1.5 * 0x1p52, flux_shift = shift * quantum_;

  const auto node_at = [&](std::size_t i, std::size_t j) {
    const image::PixelPosition& at = map.At(i, j);
    if (std::isnan(at.x)) return Node{at.x, at.y, at.x, at.x, at.x};
    return Node{at.x, at.y, tile.pb.At(at.x, at.y), tile.smear.At(at.x, at.y),
                options_.noise_jy / (factor * static_cast<double>(tile.rms.At(at.x, at.y)))};
  };
  std::vector<TileShare> shares(map.ny - 1);  // of the rows of a node
  ParallelFor(threads, map.ny - 1, [&](std::size_t j) {
    std::vector<Node> low(map.nx), high(map.nx), line(map.nx);
    for (std::size_t i = 0; i < map.nx; ++i) low[i] = node_at(i, j), high[i] = node_at(i, j + 1);
    Row row(count);
    const std::ptrdiff_t first = box->y0 + static_cast<std::ptrdiff_t>(j) * step;
    for (std::ptrdiff_t y = std::max<std::ptrdiff_t>(first, 0); y < std::min({first + step, box->y1, ny}); ++y) {
      const double t = static_cast<double>(y - first) / static_cast<double>(step);
      for (std::size_t i = 0; i < map.nx; ++i) line[i] = Between(low[i], high[i], t);
      for (std::size_t i = 0; i + 1 < map.nx; ++i) {
        const std::ptrdiff_t span = box->x0 + static_cast<std::ptrdiff_t>(i) * step;
        for (std::ptrdiff_t x = std::max(span, x0); x < std::min(span + step, x1); ++x) {
          const Node at = Between(line[i], line[i + 1], static_cast<double>(x - span) / static_cast<double>(step));
          const auto k = static_cast<std::size_t>(x - x0);
          row.x[k] = at.x, row.y[k] = at.y;
          row.pb[k] = at.pb, row.response[k] = at.pb * at.smear, row.depth[k] = at.depth;
        }
      }
      if (two) {
        image::InterpolateTwoAt(image, residual, interpolator, row.x.data(), row.y.data(), count, row.image.data(),
                                row.residual.data());
      } else {
        image::InterpolateAt(image, interpolator, row.x.data(), row.y.data(), count, row.image.data());
      }
      const std::size_t begin = static_cast<std::size_t>(y * nx + x0);
      const bool sampled = static_cast<std::size_t>(y) % kSampleStep == 0;
      for (std::size_t k = 0; k < count; ++k) {
        const double b = row.response[k], value = row.image[k], left = two ? row.residual[k] : 0.0F;
        if (!(row.pb[k] >= options_.min_pb && b > 0) || !std::isfinite(value) || !std::isfinite(left)) continue;
        const double weight = Rounded(b * row.depth[k] * b * row.depth[k] * kWeightUnit, shift);
        if (!(weight > 0)) continue;
        const double gain = factor * weight / b;
        const double flux = Rounded(gain * value, flux_shift);
        flux_[begin + k] += flux;
        if (two) left_[begin + k] += Rounded(gain * left, flux_shift);
        weight_[begin + k] += static_cast<std::uint32_t>(weight);
        ++shares[j].pixels;
        if (sampled && (static_cast<std::size_t>(x0) + k) % kSampleStep == 0) {
          shares[j].samples.push_back({begin + k, flux, weight, row.pb[k]});
        }
      }
    }
  });
  TileShare all;
  for (const TileShare& share : shares) {
    all.pixels += share.pixels;
    all.samples.insert(all.samples.end(), share.samples.begin(), share.samples.end());
  }
  for (const TileSample& sample : all.samples) {
    const std::size_t x = sample.pixel % grid_.geometry.nx, y = sample.pixel / grid_.geometry.nx;
    ++tiles_[y / kSampleStep * Sampled(grid_.geometry.nx) + x / kSampleStep];
  }
  return all;
}

std::vector<TilePull> OpenMosaic::PullsOf(const std::vector<TileSample>& samples) const {
  const double unit = options_.noise_jy * options_.noise_jy * kWeightUnit;
  std::vector<TilePull> pulls;
  for (const TileSample& sample : samples) {
    const double others = weight_[sample.pixel] - sample.weight;
    if (!(others > 0)) continue;
    const double difference = sample.flux / sample.weight - (flux_[sample.pixel] - sample.flux) / others;
    pulls.push_back({difference / std::sqrt(unit / sample.weight + unit / others), sample.pb});
  }
  return pulls;
}

// Maps take the memory of the sums, because fresh memory must be cleared by the kernel, which takes longer than all
// that is done here: a row of the image goes where the sums of rows before it were, the rms map where the weights were.
MosaicMaps OpenMosaic::Close(int threads) && {
  const std::size_t nx = grid_.geometry.nx, ny = grid_.geometry.ny;
  MosaicMaps maps;
  std::vector<std::size_t> covered(ny, 0);
  constexpr std::size_t kRows = 64;  // at a time
  std::vector<float> image(kRows * nx), residual(options_.residual ? kRows * nx : 0);
  for (std::size_t band = 0; band < ny; band += kRows) {
    const std::size_t rows = std::min(kRows, ny - band), first = band * nx;
    ParallelFor(threads, rows, [&](std::size_t r) {
      for (std::size_t k = r * nx; k < (r + 1) * nx; ++k) {
        const double weight = weight_[first + k];
        const bool blank = weight == 0;
        image[k] = blank ? kBlank : static_cast<float>(flux_[first + k] / weight);
        if (options_.residual) residual[k] = blank ? kBlank : static_cast<float>(left_[first + k] / weight);
        covered[band + r] += blank ? 0 : 1;
      }
    });
    const auto keep = [&](const std::vector<float>& from, Buffer<double>& sums) {
      std::memcpy(reinterpret_cast<char*>(sums.data()) + first * sizeof(float), from.data(), rows * nx * sizeof(float));
    };
    keep(image, flux_);
    if (options_.residual) keep(residual, left_);
  }
  for (const std::size_t n : covered) maps.covered += n;
  maps.tiles = std::move(tiles_);
  const auto plane = [&](Buffer<float> memory) {
    image::Plane made;
    made.shape = {ny, nx};
    made.pixels = std::move(memory);
    return made;
  };
  maps.image = plane(std::move(flux_).Become<float>(ny * nx));
  if (options_.residual) maps.residual = plane(std::move(left_).Become<float>(ny * nx));
  maps.weight = image::Plane(ny, nx);
  const double unit = options_.noise_jy * options_.noise_jy * kWeightUnit;
  ParallelFor(threads, ny, [&](std::size_t y) {
    std::vector<float> rms(nx);
    for (std::size_t x = 0; x < nx; ++x) {
      const double weight = weight_[y * nx + x];
      maps.weight.pixels[y * nx + x] = weight == 0 ? kBlank : static_cast<float>(weight / unit);
      rms[x] = weight == 0 ? kBlank : static_cast<float>(std::sqrt(unit / weight));
    }
    std::memcpy(weight_.data() + y * nx, rms.data(), nx * sizeof(float));
  });
  maps.rms = plane(std::move(weight_).Become<float>(ny * nx));
  return maps;
}

}  // namespace contimg::mosaic
