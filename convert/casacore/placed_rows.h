// How rows of a Measurement Set come to lie in a block. C++17.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "convert/casacore/row_map.h"
#include "ingest/visibility_block.h"

namespace contimg::convert::internal {

// How values of the set become those of the block.
struct Changes {
  const RowMap& rows;

  auto vis() const {
    return [this](const Visibility& v, std::size_t row) { return rows.swapped[row] != 0 ? std::conj(v) : v; };
  }
  auto flag() const {
    return [this](std::uint8_t f, std::size_t row) -> std::uint8_t {
      return f != 0 || (!rows.flagged.empty() && rows.flagged[row] != 0) ? 1 : 0;
    };
  }
  // Weights that are no number or not above 0 mean that there is nothing to weigh.
  auto weight() const {
    return [](float w, std::size_t) { return w > 0 && w <= std::numeric_limits<float>::max() ? w : 0.0F; };
  }
};

// Copies a run of rows of one column, given as the set's [row][channel][pol], into the block's order.
// `to`: of the integration `first_time`. `change`: of a value and its row.
template <typename From, typename To, typename Change>
void Place(const From* from, const RowMap& rows, const RowRun& run, const VisibilityBlock& block,
           std::size_t first_time, To* to, Change&& change) {
  const std::size_t w = rows.window[run.first_row];
  const SpectralWindow& window = block.windows[w];
  const std::size_t n_pols = block.n_pols(), stored_pols = rows.n_polarisations, n = window.n_channels;
  for (std::size_t r = 0; r < run.n_rows; ++r) {
    const std::size_t row = run.first_row + r;
    const std::vector<std::size_t>& position = rows.PolarisationsOf(row);
    const From* source = from + r * n * stored_pols;
    To* target = to + (((rows.time[row] - first_time) * block.n_baselines() + rows.baseline[row]) * block.n_channels() +
                       window.first_channel) *
                          n_pols;
    for (std::size_t k = 0; k < n; ++k) {
      const From* sample = source + (rows.reversed[w] != 0 ? n - 1 - k : k) * stored_pols;
      for (std::size_t p = 0; p < n_pols; ++p) {
        target[k * n_pols + p] = change(sample[position[p]], row);
      }
    }
  }
}

}  // namespace contimg::convert::internal
