#include "convert/casacore/polarisation_order.h"

#include <casacore/measures/Measures/Stokes.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "convert/casacore/set_tables.h"

namespace contimg::convert::internal {
namespace {

// What a product of the receptors of antennas p and q is for q and p.
Polarisation Mirrored(Polarisation p) {
  switch (p) {
    case Polarisation::kXY:
      return Polarisation::kYX;
    case Polarisation::kYX:
      return Polarisation::kXY;
    case Polarisation::kRL:
      return Polarisation::kLR;
    case Polarisation::kLR:
      return Polarisation::kRL;
    default:
      return p;
  }
}

}  // namespace

Polarisation PolarisationOfStokes(int stokes, const std::string& path) {
  switch (stokes) {
    case casacore::Stokes::XX:
      return Polarisation::kXX;
    case casacore::Stokes::XY:
      return Polarisation::kXY;
    case casacore::Stokes::YX:
      return Polarisation::kYX;
    case casacore::Stokes::YY:
      return Polarisation::kYY;
    case casacore::Stokes::RR:
      return Polarisation::kRR;
    case casacore::Stokes::RL:
      return Polarisation::kRL;
    case casacore::Stokes::LR:
      return Polarisation::kLR;
    case casacore::Stokes::LL:
      return Polarisation::kLL;
    case casacore::Stokes::I:
      return Polarisation::kI;
    default:
      throw BadSet(path, fmt::format("has correlation type {}, expected XX…YY, RR…LL or I", stokes));
  }
}

PolarisationOrder OrderPolarisations(const std::vector<int>& stokes, const std::string& path) {
  if (stokes.empty()) throw BadSet(path, "has a polarisation setup without correlations");
  std::vector<std::pair<int, std::size_t>> order;  // CASA number, position in the set
  for (const int number : stokes) order.emplace_back(number, order.size());
  std::sort(order.begin(), order.end());
  PolarisationOrder out;
  for (std::size_t i = 0; i < order.size(); ++i) {
    out.polarisations.push_back(PolarisationOfStokes(order[i].first, path));
    out.position.push_back(order[i].second);
    if (i > 0 && order[i].first == order[i - 1].first) {
      throw BadSet(path, fmt::format("has correlation type {} twice in one polarisation setup", order[i].first));
    }
  }
  for (const Polarisation p : out.polarisations) {
    const auto at = std::find(out.polarisations.begin(), out.polarisations.end(), Mirrored(p));
    if (at == out.polarisations.end()) {
      out.mirror_is_whole = false;
    } else {
      out.swapped_position.push_back(out.position[static_cast<std::size_t>(at - out.polarisations.begin())]);
    }
  }
  return out;
}

}  // namespace contimg::convert::internal
