// The spectral windows and polarisations of a Measurement Set's selected data. C++17.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "convert/casacore/set_tables.h"
#include "ingest/visibility_block.h"

namespace contimg::convert::internal {

struct Window {
  int spw = 0;                        // row of SPECTRAL_WINDOW
  double first_hz = 0, width_hz = 0;  // ascending
  std::vector<double> frequency_hz;   // ascending
  bool reversed = false;              // stored the other way round
  std::string name;
};

// The windows in ascending frequency. Throws Error{kBadInput} when one does not exist, has no channels or channels that
// do not follow each other, or when they overlap or have different widths.
std::vector<Window> ReadWindows(const SetTables& tables, const std::set<int>& wanted);

// The correlator's number of a window "sb07"; −1 for other names.
int SubbandOfName(const std::string& name);

// CORR_TYPE of a row of POLARIZATION.
std::vector<int> ReadCorrelations(const SetTables& tables, int setup);

// A text column's value, or nothing: names are not worth refusing a set.
std::string TextOr(const casacore::Table& table, const std::string& column, std::size_t row);

}  // namespace contimg::convert::internal
