// The inner loop of the minor cycle, SIMD with run-time dispatch. Private to image/clean/.
#pragma once

#include <cstddef>
#include <cstdint>

namespace contimg::image {

constexpr std::size_t kMinorCycleCell = 16;  // pixels of one row handled together

// Active cells: `x`, `y` of the first pixel, ascending in y; `value` and `weight` are [n][16].
struct CellSet {
  const std::int32_t* x;
  const std::int32_t* y;
  float* value;
  const float* weight;
  std::size_t n;
};

struct CellPeak {
  float search_value = 0;  // |value| · weight, or value · weight without negatives
  std::size_t pixel = 0;   // index into value; the lowest among equals
};

// PSF pixel (0, 0) lies at image pixel (x0, y0). Runs of 16 may start up to 15 pixels left of column 0 and end up to 15
// beyond the last column of any row: the padding there is zero.
struct PsfView {
  const float* pixels;
  std::int32_t nx, ny;
  std::size_t stride;
  std::int32_t x0, y0;
  // From the pixels of this subtraction to those of a coming one, which are fetched meanwhile: what is read of the PSF
  // lies anywhere in it, and is waited for longer than worked on.
  std::ptrdiff_t to_coming = 0;
};

// Largest |value| (or value, never below 0) of 16 consecutive floats.
float CellMaximum(const float* values, bool allow_negative);
CellPeak FindCellPeak(const CellSet& cells, bool allow_negative);
// value ← value − flux · PSF in every cell.
void SubtractPsf(const CellSet& cells, const PsfView& psf, float flux);

}  // namespace contimg::image
