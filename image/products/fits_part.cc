#include "image/products/fits_part.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "image/products/fits_file.h"
#include "image/products/fits_rows.h"

namespace contimg::image {
namespace {

constexpr float kBlank = std::numeric_limits<float>::quiet_NaN();

// One block of a row of blocks while its rows come in.
struct Block {
  double sum = 0;
  std::size_t count = 0;
  float farthest = 0;

  void Add(float value) {
    if (std::isnan(value)) return;
    sum += value;
    ++count;
    if (std::abs(value) > std::abs(farthest)) farthest = value;
  }
  float Value(double keep_beyond) const {
    if (count == 0) return kBlank;
    return std::abs(farthest) > keep_beyond ? farthest : static_cast<float>(sum / static_cast<double>(count));
  }
};

// Which of `blocks` blocks of `pixels` pixels one pixel is in: block i begins at pixel ⌈i · pixels / blocks⌉.
std::size_t BlockOf(std::size_t pixel, std::size_t pixels, std::size_t blocks) { return pixel * blocks / pixels; }

}  // namespace

PixelPart WithinImage(const PixelPart& part, const ImageGeometry& geometry) {
  const auto cut = [](std::ptrdiff_t begin, std::size_t count, std::size_t image) {
    const auto end = static_cast<std::ptrdiff_t>(image);
    return std::pair{std::clamp<std::ptrdiff_t>(begin, 0, end),
                     std::clamp<std::ptrdiff_t>(begin + static_cast<std::ptrdiff_t>(count), 0, end)};
  };
  const auto [x0, x1] = cut(part.x, part.nx, geometry.nx);
  const auto [y0, y1] = cut(part.y, part.ny, geometry.ny);
  if (x1 <= x0 || y1 <= y0) return {};
  return {x0, y0, static_cast<std::size_t>(x1 - x0), static_cast<std::size_t>(y1 - y0)};
}

ImageGeometry GeometryOfPart(const ImageGeometry& geometry, const PixelPart& part) {
  ImageGeometry of_part = geometry;
  of_part.nx = part.nx;
  of_part.ny = part.ny;
  const auto middle = [](std::size_t count) { return static_cast<double>(count / 2); };
  of_part.shift_l -= (static_cast<double>(part.x) + middle(part.nx) - middle(geometry.nx)) * geometry.cell_rad;
  of_part.shift_m += (static_cast<double>(part.y) + middle(part.ny) - middle(geometry.ny)) * geometry.cell_rad;
  return of_part;
}

std::vector<float> ReadFitsPart(const std::filesystem::path& path, const PixelPart& part) {
  FitsFile fits;
  const PixelPart within = WithinImage(part, OpenFitsImage(path, fits).geometry);
  std::vector<float> pixels(part.nx * part.ny, kBlank);
  VisitFitsRows(fits, path, within, [&](std::size_t row, const std::vector<float>& values) {
    const std::size_t y = row + static_cast<std::size_t>(within.y - part.y),
                      x = static_cast<std::size_t>(within.x - part.x);
    std::copy(values.begin(), values.end(), pixels.begin() + static_cast<std::ptrdiff_t>(y * part.nx + x));
  });
  return pixels;
}

ReducedPart ReadReducedPart(const std::filesystem::path& path, const PixelPart& part, std::size_t most,
                            double keep_beyond) {
  FitsFile fits;
  const PixelPart within = WithinImage(part, OpenFitsImage(path, fits).geometry);
  ReducedPart reduced;
  reduced.nx = std::min(part.nx, most);
  reduced.ny = std::min(part.ny, most);
  reduced.pixels.assign(reduced.nx * reduced.ny, kBlank);
  std::vector<std::size_t> column(within.nx);
  for (std::size_t i = 0; i < within.nx; ++i) {
    column[i] = BlockOf(i + static_cast<std::size_t>(within.x - part.x), part.nx, reduced.nx);
  }
  std::vector<Block> blocks(reduced.nx);
  std::size_t line = 0;
  const auto finish = [&] {
    for (std::size_t i = 0; i < reduced.nx; ++i) {
      reduced.pixels[line * reduced.nx + i] = blocks[i].Value(keep_beyond);
    }
    blocks.assign(reduced.nx, Block{});
  };
  VisitFitsRows(fits, path, within, [&](std::size_t row, const std::vector<float>& values) {
    const std::size_t here = BlockOf(row + static_cast<std::size_t>(within.y - part.y), part.ny, reduced.ny);
    if (here != line) finish();
    line = here;
    for (std::size_t i = 0; i < values.size(); ++i) blocks[column[i]].Add(values[i]);
  });
  if (within.ny > 0) finish();
  return reduced;
}

}  // namespace contimg::image
