// Which row of a Measurement Set is which (time, baseline, window) of a block. C++17.
#pragma once

#include <casacore/ms/MeasurementSets/MeasurementSet.h>

#include <cstdint>
#include <memory>
#include <vector>

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
  std::vector<std::uint32_t> time;        // per row: index on the block's time axis, or kNotSelected
  std::vector<std::uint32_t> baseline;    // per row
  std::vector<std::uint16_t> window;      // per row: index into the block's windows
  std::vector<std::uint8_t> swapped;      // per row: stored as antenna1 > antenna2
  std::vector<std::uint8_t> reversed;     // per window of the block: the set's frequencies descend
  std::vector<std::size_t> polarisation;  // position in the set of each of the block's polarisations
  std::size_t n_polarisations = 0;        // in the set

  // Selected rows in runs that share window, orientation and order, at most `limit` rows each.
  std::vector<RowRun> Runs(std::size_t limit) const;
};

struct SelectedAxes {
  std::unique_ptr<VisibilityBlock> block;  // axes and metadata; data not allocated
  RowMap rows;
};

// Reads the axes of the selection. The casacore lock is held by the caller.
SelectedAxes ReadAxes(const casacore::MeasurementSet& ms, const std::string& path,
                      const MeasurementSetSelection& selection);

// The block's polarisation of a CASA Stokes number; throws Error{kBadInput} for another one.
Polarisation PolarisationOfStokes(int stokes, const std::string& path);

}  // namespace contimg::convert::internal
