// Whether UVW and INTERVAL of a Measurement Set agree with its antennas, times and phase centre. C++17.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "convert/casacore/set_tables.h"
#include "ingest/visibility_block.h"

namespace contimg::convert::internal {

// FLAG_ROW, or all of FLAG.
bool IsWhollyFlagged(const SetTables& tables, std::size_t row);

struct RowOf {
  std::size_t row = 0;
  int antenna1 = 0, antenna2 = 0;
};

// Whether a row has no TIME (0 or no number) or no UVW (no numbers, or 0 though its antennas stand apart). Throws
// Error{kBadInput} when such a row is not flagged whole. `block`: its antennas.
bool LacksGeometry(const SetTables& tables, const VisibilityBlock& block, const RowOf& row, double time_mjd_s,
                   const double* uvw_m);

// What the uvw that are wrong have in common.
struct UvwDisagreement {
  std::vector<std::uint8_t> wrong;  // [time][baseline]; empty: none
  std::size_t looked_at = 0, n_wrong = 0;
  std::string how;  // "have the other sign"
};

// Compares uvw with −(position 2 − position 1) on the axes of the phase centre (docs/conventions.md), at up to 64
// times. Wrong is what lies further off than a fifth of the baseline and half a metre: the frames that writers choose
// (apparent or mean axes, the start of an integration, no UT1) differ by far less. Baselines of antennas that do not
// stand on the Earth's surface, by POSITION, and of rows that do not exist are not looked at.
UvwDisagreement CompareUvw(const VisibilityBlock& block);

// Throws Error{kBadInput} when the integrations are half as long again as a baseline's rows are apart.
void CheckLengths(const VisibilityBlock& block, const std::string& path);

}  // namespace contimg::convert::internal
