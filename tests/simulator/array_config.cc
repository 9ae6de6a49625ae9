#include "tests/simulator/array_config.h"

#include <fmt/format.h>

#include <algorithm>

#include "config/error.h"

namespace contimg::simulator {

namespace {

// Correlator inputs in an order like the telescope's: the east-west arm from its middle outwards, outriggers with 115
// and 101 out of line, then the north-south arm.
std::vector<int> UnsortedActiveStations() {
  std::vector<int> order;
  const auto take = [&](int first, int last) {
    const int step = first <= last ? 1 : -1;
    for (int number = first; number != last + step; number += step) {
      if (Dsa110Stations()[static_cast<std::size_t>(number - 1)].active &&
          std::find(order.begin(), order.end(), number) == order.end()) {
        order.push_back(number);
      }
    }
  };
  take(24, 35);
  take(20, 1);
  take(115, 115);
  take(101, 101);
  take(36, 51);
  take(116, 103);
  take(68, 102);
  return order;
}

}  // namespace

std::vector<Row> BaselineRows(const ArrayConfig& array) {
  std::vector<Row> rows;
  rows.reserve(array.n_baselines());
  for (int i = 0; i < static_cast<int>(array.n_antennas()); ++i) {
    for (int j = 0; j <= i; ++j) rows.push_back({j, i});
  }
  return rows;
}

ArrayConfig Dsa110Array(const std::vector<int>& stations) {
  ArrayConfig array;
  for (const Station& station : Dsa110Stations()) {
    array.names.push_back(std::to_string(station.number));
    array.positions_itrf_m.push_back(ToItrf(station.position()));
  }
  for (int number : stations) {
    if (number < 1 || number > kDsa110StationCount) {
      throw Error(ErrorKind::kUsage, "simulate", fmt::format("station {}", number), "stations are numbered 1 to 117");
    }
    if (std::find(array.correlator_order.begin(), array.correlator_order.end(), number - 1) !=
        array.correlator_order.end()) {
      throw Error(ErrorKind::kUsage, "simulate", fmt::format("station {}", number), "is listed twice");
    }
    array.correlator_order.push_back(number - 1);
  }
  return array;
}

ArrayConfig Dsa110Array() { return Dsa110Array(UnsortedActiveStations()); }

ArrayConfig Dsa110Array(int n) {
  const std::vector<int> all = UnsortedActiveStations();
  const int available = static_cast<int>(all.size());
  if (n < 1 || n > available) {
    throw Error(ErrorKind::kUsage, "simulate", "",
                fmt::format("expected 1 to {} antennas in the correlator, found {}", available, n));
  }
  std::vector<int> some;
  for (int i = 0; i < n; ++i) some.push_back(all[static_cast<std::size_t>(i * available / n)]);
  return Dsa110Array(some);
}

}  // namespace contimg::simulator
