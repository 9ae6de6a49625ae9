#include "convert/casacore/row_map.h"

#include <casacore/casa/Arrays/ArrayMath.h>
#include <casacore/casa/Arrays/Matrix.h>
#include <casacore/measures/Measures/Stokes.h>
#include <casacore/ms/MeasurementSets/MSColumns.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "config/error.h"
#include "config/time.h"
#include "convert/casacore/check_units.h"
#include "convert/casacore/field_direction.h"
#include "convert/casacore/read_pointing.h"

namespace contimg::convert::internal {
namespace {

using casacore::Vector;

Error Bad(const std::string& path, const std::string& message) {
  return Error(ErrorKind::kBadInput, "convert", path, message);
}

struct Window {
  int spw = 0;
  double first_hz = 0, width_hz = 0;  // ascending
  std::vector<double> frequency_hz;   // ascending
  bool reversed = false;
  std::string name;
};

std::vector<Window> ReadWindows(const casacore::MSColumns& columns, const std::set<int>& wanted,
                                const std::string& path) {
  std::vector<Window> windows;
  for (const int spw : wanted) {
    if (spw < 0 || spw >= static_cast<int>(columns.spectralWindow().nrow())) {
      throw Bad(path, fmt::format("has no spectral window {}", spw));
    }
    const Vector<double> frequency = columns.spectralWindow().chanFreq()(spw);
    const Vector<double> width = columns.spectralWindow().chanWidth()(spw);
    Window window;
    window.spw = spw;
    window.name = columns.spectralWindow().name()(spw);
    window.frequency_hz.assign(frequency.begin(), frequency.end());
    window.width_hz = std::abs(width[0]);
    CheckWidths(width, spw, path);
    window.reversed = window.frequency_hz.size() > 1 && window.frequency_hz.front() > window.frequency_hz.back();
    if (window.reversed) std::reverse(window.frequency_hz.begin(), window.frequency_hz.end());
    window.first_hz = window.frequency_hz.front();
    windows.push_back(std::move(window));
  }
  std::sort(windows.begin(), windows.end(), [](const Window& a, const Window& b) { return a.first_hz < b.first_hz; });
  for (std::size_t i = 1; i < windows.size(); ++i) {
    const Window &a = windows[i - 1], &b = windows[i];
    if (b.first_hz <= a.frequency_hz.back()) {
      throw Bad(path, fmt::format("spectral windows {} and {} overlap; select some of them", a.spw, b.spw));
    }
    if (std::abs(a.width_hz - b.width_hz) > 1e-6 * a.width_hz) {
      throw Bad(path, fmt::format("spectral windows {} and {} have channels of {:.0f} and {:.0f} Hz; select one width",
                                  a.spw, b.spw, a.width_hz, b.width_hz));
    }
  }
  return windows;
}

int ChooseField(const Vector<int>& field_of_row, int wanted, std::size_t n_fields, const std::string& path) {
  if (wanted >= 0) {
    if (wanted >= static_cast<int>(n_fields)) throw Bad(path, fmt::format("has no field {}", wanted));
    return wanted;
  }
  const int field = field_of_row[0];
  for (const int f : field_of_row) {
    if (f != field) throw Bad(path, fmt::format("holds data of fields {} and {}; select one", field, f));
  }
  return field;
}

int SubbandOfName(const std::string& name) {
  if (name.size() != 4 || name.compare(0, 2, "sb") != 0) return -1;
  if (name.find_first_not_of("0123456789", 2) != std::string::npos) return -1;
  return std::stoi(name.substr(2));
}

void ReadAntennas(const casacore::MSColumns& columns, VisibilityBlock& block) {
  for (std::size_t i = 0; i < columns.antenna().nrow(); ++i) {
    const Vector<double> position = columns.antenna().position()(i);
    block.antennas.names.push_back(columns.antenna().name()(i));
    block.antennas.numbers.push_back(static_cast<int>(i));
    block.antennas.positions_itrf_m.push_back({position[0], position[1], position[2]});
    block.antennas.diameters_m.push_back(columns.antenna().dishDiameter()(i));
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
      throw Bad(path, fmt::format("has correlation type {}, expected XX…YY, RR…LL or I", stokes));
  }
}

std::vector<RowRun> RowMap::Runs(std::size_t limit) const {
  std::vector<RowRun> runs;
  for (std::size_t row = 0; row < n_rows; ++row) {
    if (time[row] == kNotSelected) continue;
    if (!runs.empty()) {
      RowRun& last = runs.back();
      if (last.first_row + last.n_rows == row && last.n_rows < limit && window[last.first_row] == window[row]) {
        ++last.n_rows;
        continue;
      }
    }
    runs.push_back({row, 1});
  }
  return runs;
}

SelectedAxes ReadAxes(const casacore::MeasurementSet& ms, const std::string& path,
                      const MeasurementSetSelection& selection) {
  if (ms.nrow() == 0) throw Bad(path, "has no rows");
  CheckUnits(ms, ms.spectralWindow(), ms.antenna(), path);
  const casacore::MSColumns columns(ms);
  SelectedAxes axes;
  axes.block = std::make_unique<VisibilityBlock>();
  VisibilityBlock& block = *axes.block;
  RowMap& rows = axes.rows;
  rows.n_rows = ms.nrow();

  const Vector<int> field_of_row = columns.fieldId().getColumn();
  const Vector<int> description_of_row = columns.dataDescId().getColumn();
  const Vector<int> antenna1 = columns.antenna1().getColumn(), antenna2 = columns.antenna2().getColumn();
  const Vector<double> time = columns.time().getColumn();
  const int field = ChooseField(field_of_row, selection.field, ms.field().nrow(), path);

  // Windows: the selected ones that have rows.
  std::map<int, int> spw_of_description;
  int polarisation_row = -1;
  std::set<int> wanted;
  for (std::size_t row = 0; row < rows.n_rows; ++row) {
    if (field_of_row[row] != field) continue;
    const int description = description_of_row[row];
    if (spw_of_description.count(description) > 0) continue;
    const int spw = columns.dataDescription().spectralWindowId()(description);
    const bool use = selection.windows.empty() ||
                     std::find(selection.windows.begin(), selection.windows.end(), spw) != selection.windows.end();
    spw_of_description[description] = use ? spw : -1;
    if (!use) continue;
    wanted.insert(spw);
    const int setup = columns.dataDescription().polarizationId()(description);
    if (polarisation_row >= 0 && setup != polarisation_row) {
      throw Bad(path, "mixes polarisation setups; select spectral windows of one");
    }
    polarisation_row = setup;
  }
  if (wanted.empty()) throw Bad(path, "has no rows of the selected field and spectral windows");
  const std::vector<Window> windows = ReadWindows(columns, wanted, path);
  std::map<int, std::uint16_t> position_of_spw;
  for (const Window& window : windows) {
    position_of_spw[window.spw] = static_cast<std::uint16_t>(block.windows.size());
    SpectralWindow entry;
    entry.subband = SubbandOfName(window.name);
    entry.first_channel = block.frequency_hz.size();
    entry.n_channels = window.frequency_hz.size();
    entry.input_path = path;
    block.windows.push_back(entry);
    block.frequency_hz.insert(block.frequency_hz.end(), window.frequency_hz.begin(), window.frequency_hz.end());
    rows.reversed.push_back(window.reversed ? 1 : 0);
  }
  block.channel_width_hz = windows.front().width_hz;

  // Polarisations, in the block's order.
  const Vector<int> types = columns.polarization().corrType()(polarisation_row);
  std::vector<std::pair<int, std::size_t>> order;  // CASA number, position in the set
  for (std::size_t p = 0; p < types.nelements(); ++p) order.push_back({types[p], p});
  std::sort(order.begin(), order.end());
  rows.n_polarisations = order.size();
  for (const auto& [stokes, position] : order) {
    block.polarisations.push_back(PolarisationOfStokes(stokes, path));
    rows.polarisation.push_back(position);
  }

  // Times (to the millisecond) and baselines.
  std::map<std::int64_t, std::uint32_t> times;
  std::map<std::pair<int, int>, std::uint32_t> baselines;
  const auto time_key = [](double t) { return static_cast<std::int64_t>(std::llround(t * 1000)); };
  const auto selected = [&](std::size_t row) {
    return field_of_row[row] == field && spw_of_description[description_of_row[row]] >= 0;
  };
  std::int64_t last_key = -1;
  for (std::size_t row = 0; row < rows.n_rows; ++row) {
    if (!selected(row)) continue;
    const std::int64_t key = time_key(time[row]);
    if (key != last_key) times[key] = 0;
    last_key = key;
    baselines[std::minmax(antenna1[row], antenna2[row])] = 0;
  }
  std::uint32_t next = 0;
  for (auto& [key, index] : times) index = next++;
  next = 0;
  for (auto& [pair, index] : baselines) {
    index = next++;
    Baseline baseline;
    baseline.antenna1 = pair.first;
    baseline.antenna2 = pair.second;
    block.baselines.push_back(baseline);
  }
  block.time_mjd_s.resize(times.size());
  block.integration_s.resize(times.size());
  block.uvw_m.assign(times.size() * baselines.size() * 3, 0.0);

  rows.time.assign(rows.n_rows, kNotSelected);
  rows.baseline.assign(rows.n_rows, 0);
  rows.window.assign(rows.n_rows, 0);
  rows.swapped.assign(rows.n_rows, 0);
  const Vector<double> interval = columns.interval().getColumn();
  const casacore::Matrix<double> uvw = columns.uvw().getColumn();
  std::vector<std::uint8_t> have_uvw(times.size() * baselines.size(), 0);
  for (std::size_t row = 0; row < rows.n_rows; ++row) {
    if (!selected(row)) continue;
    const std::uint32_t t = times[time_key(time[row])];
    const std::uint32_t b = baselines[std::minmax(antenna1[row], antenna2[row])];
    rows.time[row] = t;
    rows.baseline[row] = b;
    rows.window[row] = position_of_spw[spw_of_description[description_of_row[row]]];
    rows.swapped[row] = antenna1[row] > antenna2[row] ? 1 : 0;
    block.time_mjd_s[t] = time[row];
    block.integration_s[t] = interval[row];
    const std::size_t at = t * baselines.size() + b;
    if (have_uvw[at] == 0) {
      have_uvw[at] = 1;
      const double sign = rows.swapped[row] != 0 ? -1 : 1;
      for (std::size_t i = 0; i < 3; ++i) block.uvw_m[at * 3 + i] = sign * uvw(i, row);
    }
  }

  ReadAntennas(columns, block);
  for (const Baseline& baseline : block.baselines) {
    if (baseline.antenna1 < 0 || baseline.antenna2 >= static_cast<int>(block.antennas.size())) {
      throw Bad(path, fmt::format("has a baseline of antennas {} and {}, but {} antennas", baseline.antenna1,
                                  baseline.antenna2, block.antennas.size()));
    }
  }
  block.phase_state = PhaseState::kPhased;
  const MeasurementSetField centre = ReadFields(ms.field())[static_cast<std::size_t>(field)];
  if (!centre.refusal.empty()) throw Bad(path, centre.refusal);
  block.phase_centre = centre.centre;
  TurnToIcrsNorth(centre.north_rad, block.uvw_m);
  if (ms.observation().nrow() > 0) block.telescope_name = columns.observation().telescopeName()(0);
  block.object_name = columns.field().name()(field);
  // Our own sets keep the file's words for these (convert/casacore/subtables.cc).
  if (ms.processor().nrow() > 0) block.instrument = columns.processor().subType()(0);
  if (!block.instrument.empty() && ms.observation().nrow() > 0) {
    block.object_name = columns.observation().project()(0);
  }
  block.group_id = UtcTime::FromMjdSeconds(block.time_mjd_s.front()).Iso8601();
  if (!ReadDriftKeywords(ms, block)) block.pointing = ReadPointing(ms.pointing(), ms.field(), field, block);
  return axes;
}

}  // namespace contimg::convert::internal
