// How rows of a Measurement Set come to lie in a block. C++17.
#pragma once

#include <algorithm>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

#include "convert/casacore/row_map.h"
#include "ingest/visibility_block.h"

namespace contimg::convert::internal {

// Weights that are no number or not above 0 mean that there is nothing to weigh.
inline float UsableWeight(float w) { return w > 0 && w <= std::numeric_limits<float>::max() ? w : 0.0F; }

// How values of the set become those of the block; of all values of a row alike.
struct Changes {
  const RowMap& rows;

  Visibility operator()(const Visibility& v, std::size_t row) const {
    return rows.swapped[row] != 0 ? std::conj(v) : v;
  }
  std::uint8_t operator()(std::uint8_t f, std::size_t row) const {
    return f != 0 || (!rows.flagged.empty() && rows.flagged[row] != 0) ? 1 : 0;
  }
  float operator()(float w, std::size_t) const { return UsableWeight(w); }
  // Whether the row's values stay as they are, weights apart.
  bool Nothing(std::size_t row) const {
    return rows.swapped[row] == 0 && (rows.flagged.empty() || rows.flagged[row] == 0);
  }
};

inline void CopyUnchanged(const Visibility* from, std::size_t n, Visibility* to) { std::copy_n(from, n, to); }
inline void CopyUnchanged(const std::uint8_t* from, std::size_t n, std::uint8_t* to) { std::copy_n(from, n, to); }
inline void CopyUnchanged(const float* from, std::size_t n, float* to) {
  for (std::size_t i = 0; i < n; ++i) to[i] = UsableWeight(from[i]);
}

// Copies a run of rows of one column, given as the set's [row][channel][pol], into the block's order.
// `to`: of the integration `first_time`.
template <typename From, typename To>
void Place(const From* from, const RowMap& rows, const RowRun& run, const VisibilityBlock& block,
           std::size_t first_time, To* to) {
  const Changes change{rows};
  const std::size_t w = rows.window[run.first_row];
  const SpectralWindow& window = block.windows[w];
  const std::size_t n_pols = block.n_pols(), stored_pols = rows.n_polarisations, n = window.n_channels;
  const bool reversed = rows.reversed[w] != 0, in_order = !reversed && rows.KeepsPolarisations();
  for (std::size_t r = 0; r < run.n_rows; ++r) {
    const std::size_t row = run.first_row + r;
    const From* source = from + r * n * stored_pols;
    To* target = to + (((rows.time[row] - first_time) * block.n_baselines() + rows.baseline[row]) * block.n_channels() +
                       window.first_channel) *
                          n_pols;
    if constexpr (std::is_same_v<From, To>) {
      if (in_order && change.Nothing(row)) {
        CopyUnchanged(source, n * n_pols, target);
        continue;
      }
    }
    const std::vector<std::size_t>& position = rows.PolarisationsOf(row);
    for (std::size_t k = 0; k < n; ++k) {
      const From* sample = source + (reversed ? n - 1 - k : k) * stored_pols;
      for (std::size_t p = 0; p < n_pols; ++p)
        target[k * n_pols + p] = change(static_cast<To>(sample[position[p]]), row);
    }
  }
}

}  // namespace contimg::convert::internal
