#include "image/clean/active_tiles.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <tuple>

#include "config/parallel.h"

namespace contimg::image {
namespace {

// What a sum of floats can be short of by rounding, with room to spare.
constexpr float kRounding = 1 + 4e-7F;

// Index of the largest; values are not negative, whose bits are ordered as they are: a reduction over integers needs no
// leave to reorder.
std::size_t LargestOf(const std::vector<float>& values) {
  std::int32_t largest = 0;
  for (const float v : values) largest = std::max(largest, std::bit_cast<std::int32_t>(v));
  return static_cast<std::size_t>(std::find(values.begin(), values.end(), std::bit_cast<float>(largest)) -
                                  values.begin());
}

}  // namespace

PaddedPsf::PaddedPsf(ArrayView<const float, 2> psf, int threads)
    : nx_(psf.shape(1)), ny_(psf.shape(0)), stride_(psf.shape(1) + kPad), data_(psf.shape(0) * stride_ + 2 * kPad) {
  ParallelFor(threads, ny_,
              [&](std::size_t y) { std::memcpy(data_.data() + kPad + y * stride_, &psf(y, 0), nx_ * sizeof(float)); });
  MakeBounds(threads);
}

void PaddedPsf::MakeBounds(int threads) {
  constexpr std::size_t kSide = kStep;
  const std::size_t squares_x = (nx_ + kSide - 1) / kSide, squares_y = (ny_ + kSide - 1) / kSide;
  std::vector<float> largest(squares_x * squares_y, 0.0F);
  ParallelFor(threads, squares_y, [&](std::size_t row) {
    for (std::size_t y = row * kSide; y < std::min(ny_, (row + 1) * kSide); ++y) {
      for (std::size_t x = 0; x < nx_; ++x) {
        float& at = largest[row * squares_x + x / kSide];
        at = std::max(at, std::abs(this->at(x, y)));
      }
    }
  });
  // A tile that starts anywhere in a square reaches into the two after it; the first two bounds start before the PSF.
  constexpr std::ptrdiff_t kBefore = kTile / kStep, kReach = kTile / kStep;
  bounds_nx_ = squares_x + kBefore;
  bounds_ny_ = squares_y + kBefore;
  bounds_.assign(bounds_nx_ * bounds_ny_, 0.0F);
  const auto last = [](std::ptrdiff_t i, std::size_t n) {
    return std::min(i + kReach, static_cast<std::ptrdiff_t>(n) - 1);
  };
  for (std::size_t row = 0; row < bounds_ny_; ++row) {
    for (std::size_t column = 0; column < bounds_nx_; ++column) {
      const std::ptrdiff_t y = static_cast<std::ptrdiff_t>(row) - kBefore,
                           x = static_cast<std::ptrdiff_t>(column) - kBefore;
      float& bound = bounds_[row * bounds_nx_ + column];
      for (std::ptrdiff_t j = std::max<std::ptrdiff_t>(y, 0); j <= last(y, squares_y); ++j) {
        for (std::ptrdiff_t i = std::max<std::ptrdiff_t>(x, 0); i <= last(x, squares_x); ++i) {
          bound = std::max(bound, largest[static_cast<std::size_t>(j) * squares_x + static_cast<std::size_t>(i)]);
        }
      }
    }
  }
}

ActiveTiles::ActiveTiles(std::vector<ActiveCell> cells, const PaddedPsf& psf, bool allow_negative)
    : psf_(psf),
      allow_negative_(allow_negative),
      value_(cells.size() * kMinorCycleCell),
      weight_(cells.size() * kMinorCycleCell) {
  static_assert(PaddedPsf::kTile % kMinorCycleCell == 0);
  const auto key = [](const ActiveCell& c) {
    return std::tuple(c.y / PaddedPsf::kTile, c.x / PaddedPsf::kTile, c.y, c.x);
  };
  std::sort(cells.begin(), cells.end(), [&](const ActiveCell& a, const ActiveCell& b) { return key(a) < key(b); });
  for (const ActiveCell& cell : cells) {
    const std::int32_t column = cell.x / PaddedPsf::kTile, row = cell.y / PaddedPsf::kTile;
    if (tiles_.empty() || tiles_.back().column != column || tiles_.back().row != row) {
      tiles_.push_back({x_.size(), x_.size(), column, row, 0, 0});
    }
    x_.push_back(cell.x);
    y_.push_back(cell.y);
    tiles_.back().end = x_.size();
  }
}

CellSet ActiveTiles::Cells(const Tile& tile) const {
  return {x_.data() + tile.begin, y_.data() + tile.begin, value_.data() + tile.begin * kMinorCycleCell,
          weight_.data() + tile.begin * kMinorCycleCell, tile.end - tile.begin};
}

void ActiveTiles::Start() {
  bound_.assign(tiles_.size(), 0.0F);
  for (std::size_t t = 0; t < tiles_.size(); ++t) Measure(t);
}

void ActiveTiles::Measure(std::size_t t) {
  const CellPeak peak = FindCellPeak(Cells(tiles_[t]), allow_negative_);
  bound_[t] = peak.search_value;
  tiles_[t].peak_pixel = tiles_[t].begin * kMinorCycleCell + peak.pixel;
}

void ActiveTiles::BringUpToDate(std::size_t t) {
  Tile& tile = tiles_[t];
  const CellSet cells = Cells(tile);
  PsfView view{psf_.pixels(),
               static_cast<std::int32_t>(psf_.nx()),
               static_cast<std::int32_t>(psf_.ny()),
               psf_.stride(),
               0,
               0,
               0};
  constexpr std::size_t kAhead = 2;  // as long as memory takes
  for (; tile.seen < components_.size(); ++tile.seen) {
    const Component& c = components_[tile.seen];
    const Component& coming = components_[std::min(tile.seen + kAhead, components_.size() - 1)];
    view.x0 = c.x - view.nx / 2;
    view.y0 = c.y - view.ny / 2;
    view.to_coming = (c.y - coming.y) * static_cast<std::ptrdiff_t>(view.stride) + (c.x - coming.x);
    SubtractPsf(cells, view, c.flux);
  }
  Measure(t);
}

ActiveTiles::Peak ActiveTiles::FindPeak() {
  if (tiles_.empty()) return {};
  while (true) {
    const std::size_t t = LargestOf(bound_);
    if (tiles_[t].seen < components_.size()) {
      BringUpToDate(t);
      continue;
    }
    const std::size_t pixel = tiles_[t].peak_pixel, cell = pixel / kMinorCycleCell;
    return {bound_[t], value_[pixel], x_[cell] + static_cast<std::int32_t>(pixel % kMinorCycleCell), y_[cell]};
  }
}

void ActiveTiles::Subtract(std::int32_t x, std::int32_t y, float flux) {
  components_.push_back({x, y, flux});
  const ArrayView<const float, 2> bounds = psf_.bounds();
  const float size = std::abs(flux) * kRounding;
  // First pixel of the PSF in a tile: tile · kTile − offset.
  const std::int32_t x0 = x - static_cast<std::int32_t>(psf_.nx() / 2),
                     y0 = y - static_cast<std::int32_t>(psf_.ny() / 2);
  const auto index = [](std::int32_t first, std::size_t n) {
    const std::int32_t at = first + PaddedPsf::kTile < 0 ? -1 : PaddedPsf::BoundIndex(first);
    return at < static_cast<std::int32_t>(n) ? at : -1;
  };
  for (std::size_t t = 0; t < tiles_.size(); ++t) {
    const std::int32_t row = index(tiles_[t].row * PaddedPsf::kTile - y0, bounds.shape(0));
    const std::int32_t column = index(tiles_[t].column * PaddedPsf::kTile - x0, bounds.shape(1));
    const float psf =
        row < 0 || column < 0 ? 0.0F : bounds(static_cast<std::size_t>(row), static_cast<std::size_t>(column));
    bound_[t] = bound_[t] * kRounding + size * psf;
  }
}

}  // namespace contimg::image
