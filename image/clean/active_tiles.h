// The pixels a minor cycle works on, in square tiles that are brought up to date only when they can hold the peak.
//
// Subtracting a component changes every active pixel, but the next component stands where the residual is highest, and
// far from a component the PSF is small. Each tile remembers the components it has not seen yet and an upper bound of
// what its pixels can have become: its peak when it was last up to date, plus |flux| times the largest |PSF| that each
// component can have there. Tiles whose bound is below the highest peak need not be touched. Components are found,
// and pixels change, as if all were subtracted everywhere at once: bit for bit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "config/array_view.h"
#include "config/buffer.h"
#include "image/clean/minor_cycle_kernel.h"

namespace contimg::image {

// A PSF image with zero columns around each row, so that runs of 16 pixels may overhang its edges.
class PaddedPsf {
 public:
  PaddedPsf() = default;
  // psf [y][x] with its peak at (nx/2, ny/2); copied.
  PaddedPsf(ArrayView<const float, 2> psf, int threads);
  std::size_t nx() const { return nx_; }
  std::size_t ny() const { return ny_; }
  std::size_t stride() const { return stride_; }
  const float* pixels() const { return data_.data() + kPad; }  // pixel (0, 0); row r starts stride() further on
  float at(std::size_t x, std::size_t y) const { return pixels()[y * stride_ + x]; }

  // Largest |PSF| over kTile × kTile pixels is at most bounds()[row][column] with row = BoundIndex(first y), column =
  // BoundIndex(first x), for squares that start from kTile pixels before the PSF on; 0 at and beyond its end.
  static constexpr std::int32_t kTile = 64;
  static constexpr std::int32_t kStep = 32;
  static std::int32_t BoundIndex(std::int32_t first) { return (first + kTile) / kStep; }
  ArrayView<const float, 2> bounds() const { return {bounds_.data(), {bounds_ny_, bounds_nx_}}; }

  static constexpr std::size_t kPad = 16;

 private:
  void MakeBounds(int threads);

  std::size_t nx_ = 0, ny_ = 0, stride_ = 0;
  Buffer<float> data_;
  std::size_t bounds_nx_ = 0, bounds_ny_ = 0;
  std::vector<float> bounds_;
};

// 16 neighbouring pixels of a row.
struct ActiveCell {
  std::int32_t x = 0;  // first pixel
  std::int32_t y = 0;
};

class ActiveTiles {
 public:
  struct Peak {
    float search_value = 0;  // |value| · weight, or value · weight without negatives; 0: nothing is left
    float value = 0;
    std::int32_t x = 0, y = 0;
  };

  // `psf` must outlive this. fill(cell, value, weight): 16 pixels of a cell and their search weights, at most 1; zero
  // where there is no pixel.
  template <typename Fill>
  ActiveTiles(std::vector<ActiveCell> cells, const PaddedPsf& psf, bool allow_negative, const Fill& fill)
      : ActiveTiles(std::move(cells), psf, allow_negative) {
    for (std::size_t i = 0; i < n_cells(); ++i) {
      fill({x_[i], y_[i]}, value_.data() + i * kMinorCycleCell, weight_.data() + i * kMinorCycleCell);
    }
    Start();
  }

  // The pixel with the highest search value; among equals one and the same whatever the instruction set and the number
  // of threads.
  Peak FindPeak();
  // residual −= flux · PSF about (x, y).
  void Subtract(std::int32_t x, std::int32_t y, float flux);

 private:
  struct Tile {
    std::size_t begin = 0, end = 0;    // cells
    std::int32_t column = 0, row = 0;  // first pixel over kTile
    std::size_t seen = 0;              // of the components
    std::size_t peak_pixel = 0;        // index into value_ when up to date
  };
  struct Component {
    std::int32_t x = 0, y = 0;
    float flux = 0;
  };

  ActiveTiles(std::vector<ActiveCell> cells, const PaddedPsf& psf, bool allow_negative);
  std::size_t n_cells() const { return x_.size(); }
  CellSet Cells(const Tile& tile) const;
  void Start();
  void BringUpToDate(std::size_t tile);
  void Measure(std::size_t tile);

  const PaddedPsf& psf_;
  bool allow_negative_;
  std::vector<std::int32_t> x_, y_;
  mutable Buffer<float> value_;  // [cell][16]
  Buffer<float> weight_;
  std::vector<Tile> tiles_;
  std::vector<float> bound_;  // of the search values of a tile; exact when it has seen all components
  std::vector<Component> components_;
};

}  // namespace contimg::image
