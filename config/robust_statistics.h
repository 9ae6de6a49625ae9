// Statistics that a few wild values do not move. C++17-clean.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace contimg {

// Standard deviations of a normal distribution per median absolute deviation: 1 / Φ⁻¹(3/4).
constexpr double kSigmaPerMad = 1.482602218505602;

// The middle one of `values` (of an even number the upper of the two), which are reordered; `none` when there are none.
// No value may be NaN.
template <typename T>
T TakeMedian(std::vector<T>& values, T none = T{}) {
  if (values.empty()) return none;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// The same of a copy.
template <typename T>
T Median(std::vector<T> values, T none = T{}) {
  return TakeMedian(values, none);
}

// Median absolute deviation from `centre`: the values become their deviations, reordered.
template <typename T>
T TakeMad(std::vector<T>& values, T centre) {
  for (T& value : values) value = std::abs(value - centre);
  return TakeMedian(values);
}

}  // namespace contimg
