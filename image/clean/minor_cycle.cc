#include "image/clean/minor_cycle.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "config/parallel.h"
#include "image/clean/minor_cycle_kernel.h"

namespace contimg::image {
namespace {

constexpr std::size_t kCell = kMinorCycleCell;

std::size_t CellsPerRow(std::size_t nx) { return (nx + kCell - 1) / kCell; }

// Search value of one pixel, as in the header.
class Search {
 public:
  Search(ArrayView<const float, 2> residual, const SearchWeights& weights, const MinorCycleParams& params)
      : residual_(residual), weights_(weights), params_(params) {}

  std::size_t nx() const { return residual_.shape(1); }
  std::size_t ny() const { return residual_.shape(0); }

  // Weight of a pixel with the mask and the border folded in.
  float Weight(std::size_t x, std::size_t y) const {
    const std::size_t border = params_.border_px;
    if (x < border || y < border || x + border >= nx() || y + border >= ny()) return 0;
    if (!weights_.mask.empty() && weights_.mask(y, x) == 0) return 0;
    return weights_.weight.empty() ? 1.0F : weights_.weight(y, x);
  }

  float Value(std::size_t x, std::size_t y) const {
    const float r = residual_(y, x) * Weight(x, y);
    return params_.allow_negative ? std::abs(r) : r;
  }

  // Largest search value of cell `c` of row `y`; never below 0.
  float CellPeak(std::size_t c, std::size_t y) const {
    const std::size_t x0 = c * kCell, x1 = std::min(nx(), x0 + kCell);
    const bool plain = weights_.mask.empty() && weights_.weight.empty() && y >= params_.border_px &&
                       y + params_.border_px < ny() && x0 >= params_.border_px && x1 + params_.border_px <= nx();
    if (plain && x1 - x0 == kCell) return CellMaximum(&residual_(y, x0), params_.allow_negative);
    float peak = 0;
    for (std::size_t x = x0; x < x1; ++x) peak = std::max(peak, Value(x, y));
    return peak;
  }

 private:
  ArrayView<const float, 2> residual_;
  const SearchWeights& weights_;
  const MinorCycleParams& params_;
};

// Rows are dealt with in bands so that threads have even work and results come in row order.
constexpr std::size_t kBandRows = 64;

// Every cell whose peak is at least `level`, in row order.
std::vector<std::uint32_t> CellsAbove(const Search& search, float level, int threads) {
  const std::size_t bands = (search.ny() + kBandRows - 1) / kBandRows, per_row = CellsPerRow(search.nx());
  std::vector<std::vector<std::uint32_t>> found(bands);
  ParallelFor(threads, bands, [&](std::size_t band) {
    const std::size_t end = std::min(search.ny(), (band + 1) * kBandRows);
    for (std::size_t y = band * kBandRows; y < end; ++y) {
      for (std::size_t c = 0; c < per_row; ++c) {
        if (search.CellPeak(c, y) >= level) found[band].push_back(static_cast<std::uint32_t>(y * per_row + c));
      }
    }
  });
  std::vector<std::uint32_t> cells;
  for (const auto& part : found) cells.insert(cells.end(), part.begin(), part.end());
  return cells;
}

ActiveTiles Gather(const Search& search, ArrayView<const float, 2> residual, const PaddedPsf& psf,
                   const MinorCycleParams& params, const std::vector<std::uint32_t>& cells) {
  const std::size_t per_row = CellsPerRow(search.nx());
  std::vector<ActiveCell> active;
  for (const std::uint32_t cell : cells) {
    active.push_back({static_cast<std::int32_t>(cell % per_row * kCell), static_cast<std::int32_t>(cell / per_row)});
  }
  return {std::move(active), psf, params.allow_negative, [&](const ActiveCell& cell, float* value, float* weight) {
            const auto x0 = static_cast<std::size_t>(cell.x), y = static_cast<std::size_t>(cell.y);
            for (std::size_t k = 0; k < kCell && x0 + k < search.nx(); ++k) {
              value[k] = residual(y, x0 + k);
              weight[k] = search.Weight(x0 + k, y);
            }
          }};
}

}  // namespace

float SearchPeak(ArrayView<const float, 2> residual, const SearchWeights& weights, const MinorCycleParams& params,
                 int threads) {
  const Search search(residual, weights, params);
  const std::size_t bands = (search.ny() + kBandRows - 1) / kBandRows, per_row = CellsPerRow(search.nx());
  std::vector<float> peaks(bands, 0.0F);
  ParallelFor(threads, bands, [&](std::size_t band) {
    const std::size_t end = std::min(search.ny(), (band + 1) * kBandRows);
    for (std::size_t y = band * kBandRows; y < end; ++y) {
      for (std::size_t c = 0; c < per_row; ++c) peaks[band] = std::max(peaks[band], search.CellPeak(c, y));
    }
  });
  return *std::max_element(peaks.begin(), peaks.end());
}

MinorCycleResult RunMinorCycle(ArrayView<const float, 2> residual, const PaddedPsf& psf, const SearchWeights& weights,
                               const MinorCycleParams& params, int threads) {
  MinorCycleResult result;
  result.level = params.stop_level;
  const Search search(residual, weights, params);
  std::vector<std::uint32_t> cells = CellsAbove(search, params.stop_level, threads);
  if (cells.size() > params.max_cells) {
    // Raise the level to the peak of the max_cells-th highest cell.
    const std::size_t per_row = CellsPerRow(search.nx());
    std::vector<float> peaks(cells.size());
    ParallelFor(threads, cells.size(),
                [&](std::size_t i) { peaks[i] = search.CellPeak(cells[i] % per_row, cells[i] / per_row); });
    const auto at = peaks.begin() + static_cast<std::ptrdiff_t>(params.max_cells);
    std::nth_element(peaks.begin(), at, peaks.end(), std::greater<>());
    result.level = *at;
    cells = CellsAbove(search, std::nextafter(result.level, HUGE_VALF), threads);
  }
  result.cells = cells.size();
  if (cells.empty()) return result;

  ActiveTiles active = Gather(search, residual, psf, params, cells);
  while (true) {
    const ActiveTiles::Peak peak = active.FindPeak();
    result.final_peak = peak.search_value;
    if (peak.search_value < result.level || peak.search_value <= 0) {
      result.stop = result.components.empty() ? MinorCycleStop::kNothingToDo : MinorCycleStop::kLevelReached;
      return result;
    }
    if (result.components.size() >= params.max_iterations) {
      result.stop = MinorCycleStop::kIterations;
      return result;
    }
    const float flux = params.gain * peak.value;
    result.components.push_back({peak.x, peak.y, params.scale, flux});
    active.Subtract(peak.x, peak.y, flux);
  }
}

}  // namespace contimg::image
