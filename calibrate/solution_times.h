// Which rows of a calibration table belong to one solution interval. The times of rows decide, whatever INTERVAL says
// (CASA writes 0 or the length of a scan). C++17-clean.
#pragma once

#include <cstddef>
#include <vector>

#include "calibrate/solutions.h"

namespace contimg::calibrate {

struct SolutionTimes {
  std::vector<std::size_t> interval_of_row;
  std::vector<SolutionInterval> intervals;  // ascending in time, each at the mean of its rows' times
  std::vector<double> window_time_mjd_s;    // as SolutionSet has it: empty when all windows have the intervals' times
};

// `time_mjd_s`, `length_s`, `window`: of each row, one row or more, times finite, windows below `n_windows`. Equal
// times of a window, to a millisecond, are one solution. The k-th solutions of all windows lie in one interval: one
// that is more than half the shortest step between a window's solutions after the interval's first begins the next.
SolutionTimes GroupTimes(const std::vector<double>& times, const std::vector<double>& lengths,
                         const std::vector<std::size_t>& window, std::size_t n_windows);

}  // namespace contimg::calibrate
