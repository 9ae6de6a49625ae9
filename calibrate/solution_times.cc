#include "calibrate/solution_times.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace contimg::calibrate {
namespace {

constexpr double kSameTimeS = 1e-3;

// The shortest step from one solution of a window to its next; infinite when each has one. `order`: rows by time.
double ShortestStep(const std::vector<std::size_t>& order, const std::vector<double>& times,
                    const std::vector<std::size_t>& window, std::size_t n_windows) {
  const double never = -std::numeric_limits<double>::infinity();
  double step = std::numeric_limits<double>::infinity();
  std::vector<double> latest(n_windows, never);
  for (const std::size_t i : order) {
    double& last = latest[window[i]];
    if (times[i] - last > kSameTimeS) {
      if (last != never) step = std::min(step, times[i] - last);
      last = times[i];
    }
  }
  return step;
}

// Whether each window that has a solution in an interval has it at the interval's own time.
bool AllAtIntervals(const SolutionTimes& times, std::size_t n_windows) {
  for (std::size_t k = 0; k < times.window_time_mjd_s.size(); ++k) {
    // Not a number where there is none: not alike.
    if (times.window_time_mjd_s[k] - times.intervals[k / n_windows].time_mjd_s != 0) return false;
  }
  return true;
}

}  // namespace

SolutionTimes GroupTimes(const std::vector<double>& times, const std::vector<double>& lengths,
                         const std::vector<std::size_t>& window, std::size_t n_windows) {
  std::vector<std::size_t> order(times.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return times[a] < times[b]; });
  const double step = ShortestStep(order, times, window, n_windows);

  SolutionTimes out;
  out.interval_of_row.resize(times.size());
  const std::vector<double> none(n_windows, std::numeric_limits<double>::quiet_NaN());
  std::vector<double> own_times = none;
  double sum = 0, length = 0, first = 0;
  std::size_t n = 0;
  const auto close = [&] {
    out.intervals.push_back({first + sum / static_cast<double>(n), length});
    out.window_time_mjd_s.insert(out.window_time_mjd_s.end(), own_times.begin(), own_times.end());
    own_times = none;
    sum = length = 0;
    n = 0;
  };
  for (const std::size_t i : order) {
    const double own = own_times[window[i]];
    const bool next = std::isfinite(own) ? times[i] - own > kSameTimeS : times[i] - first > 0.5 * step;
    if (n > 0 && next) close();
    if (n == 0) first = times[i];
    if (!std::isfinite(own_times[window[i]])) own_times[window[i]] = times[i];
    sum += times[i] - first;  // sums of whole times would lose microseconds
    length = std::max(length, lengths[i]);
    ++n;
    out.interval_of_row[i] = out.intervals.size();
  }
  close();
  if (AllAtIntervals(out, n_windows)) out.window_time_mjd_s.clear();
  return out;
}

}  // namespace contimg::calibrate
