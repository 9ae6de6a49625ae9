// Which row of a Measurement Set is which (time, baseline, window) of a block. C++17.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "convert/casacore/set_tables.h"
#include "convert/measurement_set_reader.h"

namespace contimg::convert::internal {

constexpr std::uint32_t kNotSelected = 0xffffffffu;

// A run of consecutive rows of one data description.
struct RowRun {
  std::size_t first_row = 0;
  std::size_t n_rows = 0;
};

struct RowMap {
  std::size_t n_rows = 0;
  std::vector<std::uint32_t> time;      // per row: index on the block's time axis, or kNotSelected
  std::vector<std::uint32_t> baseline;  // per row
  std::vector<std::uint16_t> window;    // per row: index into the block's windows
  std::vector<std::uint8_t> swapped;    // per row: stored as antenna1 > antenna2
  std::vector<std::uint8_t> flagged;    // per row: FLAG_ROW; empty when the set has none that is true
  std::vector<std::uint8_t> reversed;   // per window of the block: the set's frequencies descend
  // Position in the set of each of the block's polarisations: of rows as they are, and of rows that are swapped
  // (convert/casacore/polarisation_order.h).
  std::vector<std::size_t> polarisation, swapped_polarisation;
  std::size_t n_polarisations = 0;  // in the set

  const std::vector<std::size_t>& PolarisationsOf(std::size_t row) const {
    return swapped[row] != 0 ? swapped_polarisation : polarisation;
  }
  // The block's polarisations are those of the set, in its order, for rows that are not swapped.
  bool KeepsPolarisations() const {
    if (polarisation.size() != n_polarisations) return false;
    for (std::size_t p = 0; p < n_polarisations; ++p) {
      if (polarisation[p] != p) return false;
    }
    return true;
  }
  // Selected rows in runs that share window, orientation and order, at most `limit` rows each.
  std::vector<RowRun> Runs(std::size_t limit) const;
};

struct SelectedAxes {
  std::unique_ptr<VisibilityBlock> block;  // axes, metadata and which rows are absent; data not allocated
  RowMap rows;
};

// Reads the axes of the selection. The casacore lock is held by the caller. Throws Error{kBadInput} where
// ReadMeasurementSet says so.
SelectedAxes ReadAxes(const SetTables& tables, const MeasurementSetSelection& selection);

}  // namespace contimg::convert::internal
