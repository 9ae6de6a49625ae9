// The array that the simulator observes with.
#pragma once

#include <string>
#include <vector>

#include "config/telescope.h"
#include "tests/simulator/apparent_place.h"

namespace contimg::simulator {

struct ArrayConfig {
  Geodetic site = kDsa110Centre;  // the header's array centre; its meridian is hour angle 0
  // The antenna table: every station the telescope has, in the order of the file.
  std::vector<std::string> names;
  std::vector<Vec3> positions_itrf_m;  // absolute
  double dish_diameter_m = kDsa110DishDiameterM;
  // The antennas in the correlator, as indices into the table, in the correlator's order: it is not sorted, so some
  // rows of the file have antenna 1 > antenna 2.
  std::vector<int> correlator_order;

  std::size_t n_antennas() const { return correlator_order.size(); }
  // Baselines with autocorrelations.
  std::size_t n_baselines() const { return n_antennas() * (n_antennas() + 1) / 2; }
};

struct Row {
  int position1, position2;  // positions in correlator_order: antenna 1 and antenna 2
};
// Baselines in the order of the file: for i, for j ≤ i: (order[j], order[i]).
std::vector<Row> BaselineRows(const ArrayConfig& array);

// DSA-110 with the 96 antennas in use, in an unsorted order.
ArrayConfig Dsa110Array();
// The same with `n` of them, spread over the array.
ArrayConfig Dsa110Array(int n);
// The same with these stations (numbers 1…117) in this order. Throws Error{kUsage} for unknown or repeated ones.
ArrayConfig Dsa110Array(const std::vector<int>& stations);

}  // namespace contimg::simulator
