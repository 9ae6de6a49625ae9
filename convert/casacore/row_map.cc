#include "convert/casacore/row_map.h"

#include <casacore/casa/Arrays/Matrix.h>
#include <casacore/tables/Tables/TableDesc.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "config/time.h"
#include "convert/casacore/check_geometry.h"
#include "convert/casacore/check_units.h"
#include "convert/casacore/field_direction.h"
#include "convert/casacore/polarisation_order.h"
#include "convert/casacore/read_pointing.h"
#include "convert/casacore/spectral_setup.h"

namespace contimg::convert::internal {
namespace {

using casacore::Vector;

constexpr double kSameTimeS = 1e-3;
// A tile that is emptier than this and larger than that is not laid out in memory.
constexpr double kLeastFilled = 0.05;
constexpr double kSparseBytes = 1073741824.0;

// The columns of MAIN that say which sample a row is.
struct RowKeys {
  Vector<int> field, description, antenna1, antenna2;
  Vector<double> time;

  explicit RowKeys(const SetTables& tables)
      : field(tables.Scalars<int>("FIELD_ID")),
        description(tables.Scalars<int>("DATA_DESC_ID")),
        antenna1(tables.Scalars<int>("ANTENNA1")),
        antenna2(tables.Scalars<int>("ANTENNA2")),
        time(tables.Scalars<double>("TIME")) {}
};

int ChooseField(const Vector<int>& field_of_row, int wanted, std::size_t n_fields, const std::string& path) {
  if (wanted >= 0) {
    if (wanted >= static_cast<int>(n_fields)) throw BadSet(path, fmt::format("has no field {}", wanted));
    return wanted;
  }
  const int field = field_of_row[0];
  for (const int f : field_of_row) {
    if (f != field) throw BadSet(path, fmt::format("holds data of fields {} and {}; select one", field, f));
  }
  if (field < 0 || field >= static_cast<int>(n_fields)) {
    throw BadSet(path, fmt::format("has rows of field {}, but FIELD has {} rows", field, n_fields));
  }
  return field;
}

void ReadAntennas(const SetTables& tables, VisibilityBlock& block) {
  const casacore::Table table = tables.Needed("ANTENNA");
  const casacore::ArrayColumn<double> positions(table, "POSITION");
  const casacore::ScalarColumn<double> diameters(table, "DISH_DIAMETER");
  for (std::size_t i = 0; i < table.nrow(); ++i) {
    const Vector<double> position(positions(i));
    block.antennas.names.push_back(TextOr(table, "NAME", i));
    block.antennas.numbers.push_back(static_cast<int>(i));
    block.antennas.positions_itrf_m.push_back({position[0], position[1], position[2]});
    block.antennas.diameters_m.push_back(diameters(i));
  }
}

// The rows of one reading: which are selected, and where they belong.
class AxesReader {
 public:
  AxesReader(const SetTables& tables, const MeasurementSetSelection& selection)
      : tables_(tables), path_(tables.path()), selection_(selection), keys_(tables), block_(*axes_.block) {
    rows_.n_rows = tables.main().nrow();
    field_ = ChooseField(keys_.field, selection.field, tables.Needed("FIELD").nrow(), path_);
  }

  SelectedAxes Read() {
    CheckUnits(tables_.main(), tables_.Needed("SPECTRAL_WINDOW"), tables_.Needed("ANTENNA"), path_);
    ReadAntennas(tables_, block_);
    ChooseWindows();
    OrderPolarisations();
    CheckFeeds();
    ReadUvw();
    DismissRows();
    FindTimesAndBaselines();
    CheckFilling();
    PlaceRows();
    ReadRowFlags();
    Describe();
    CheckLengths(block_, path_);
    CheckUvw();
    return std::move(axes_);
  }

 private:
  bool IsSelected(std::size_t row) const {
    return keys_.field[row] == field_ && WindowOf(row) >= 0 && (dismissed_.empty() || dismissed_[row] == 0);
  }

  int WindowOf(std::size_t row) const {
    return window_of_description_[static_cast<std::size_t>(keys_.description[row])];
  }

  // The windows that are wanted and have rows, and the one polarisation setup that they share.
  void ChooseWindows() {
    const casacore::Table descriptions = tables_.Needed("DATA_DESCRIPTION");
    const Vector<int> spw_of = casacore::ScalarColumn<int>(descriptions, "SPECTRAL_WINDOW_ID").getColumn();
    const Vector<int> setup_of = casacore::ScalarColumn<int>(descriptions, "POLARIZATION_ID").getColumn();
    std::set<int> wanted;
    std::map<int, int> spw_of_description;
    for (std::size_t row = 0; row < rows_.n_rows; ++row) {
      if (keys_.field[row] != field_) continue;
      const int description = keys_.description[row];
      if (spw_of_description.count(description) > 0) continue;
      if (description < 0 || static_cast<std::size_t>(description) >= spw_of.nelements()) {
        throw BadSet(path_, fmt::format("row {} has DATA_DESC_ID {}, but DATA_DESCRIPTION has {} rows", row,
                                        description, spw_of.nelements()));
      }
      const int spw = spw_of[description];
      const std::vector<int>& chosen = selection_.windows;
      const bool use = chosen.empty() || std::find(chosen.begin(), chosen.end(), spw) != chosen.end();
      spw_of_description[description] = use ? spw : -1;
      if (!use) continue;
      wanted.insert(spw);
      if (setup_ >= 0 && setup_of[description] != setup_) {
        throw BadSet(path_, "mixes polarisation setups; select spectral windows of one");
      }
      setup_ = setup_of[description];
    }
    if (wanted.empty()) throw BadSet(path_, "has no rows of the selected field and spectral windows");

    std::map<int, int> position_of_spw;
    const std::vector<Window> windows = ReadWindows(tables_, wanted);
    for (const Window& window : windows) {
      position_of_spw[window.spw] = static_cast<int>(block_.windows.size());
      SpectralWindow entry;
      entry.subband = SubbandOfName(window.name);
      entry.first_channel = block_.frequency_hz.size();
      entry.n_channels = window.frequency_hz.size();
      entry.input_path = path_;
      block_.windows.push_back(entry);
      block_.frequency_hz.insert(block_.frequency_hz.end(), window.frequency_hz.begin(), window.frequency_hz.end());
      rows_.reversed.push_back(window.reversed ? 1 : 0);
    }
    block_.channel_width_hz = windows.front().width_hz;
    window_of_description_.assign(spw_of.nelements(), -1);
    for (const auto& [description, spw] : spw_of_description) {
      if (spw >= 0) window_of_description_[static_cast<std::size_t>(description)] = position_of_spw.at(spw);
    }
  }

  void OrderPolarisations() {
    PolarisationOrder order = internal::OrderPolarisations(ReadCorrelations(tables_, setup_), path_);
    block_.polarisations = std::move(order.polarisations);
    rows_.polarisation = std::move(order.position);
    rows_.swapped_polarisation = std::move(order.swapped_position);
    rows_.n_polarisations = rows_.polarisation.size();
    mirror_is_whole_ = order.mirror_is_whole;
  }

  // The feeds of a receiver with several look at different places of the sky.
  void CheckFeeds() const {
    for (const char* column : {"FEED1", "FEED2"}) {
      if (!tables_.HasScalars(column, casacore::TpInt)) continue;
      const Vector<int> feeds = tables_.Scalars<int>(column);
      int first = -1;
      for (std::size_t row = 0; row < rows_.n_rows; ++row) {
        if (!IsSelected(row)) continue;
        if (first < 0) first = feeds[row];
        if (feeds[row] == first) continue;
        throw BadSet(path_, fmt::format("expected data of one feed, found {} {} and {}; split the set by feed", column,
                                        first, feeds[row]));
      }
    }
  }

  void ReadUvw() { uvw_.reference(tables_.Cells("UVW", 3)); }

  // Rows that are flagged whole and have no TIME or no UVW are no data, and say nothing of times and baselines. Others
  // without them are refused.
  void DismissRows() {
    std::vector<std::uint8_t> dismissed;
    for (std::size_t row = 0; row < rows_.n_rows; ++row) {
      if (!IsSelected(row)) continue;
      if (!LacksGeometry(tables_, block_, {row, keys_.antenna1[row], keys_.antenna2[row]}, keys_.time[row],
                         &uvw_(0, row))) {
        continue;
      }
      if (dismissed.empty()) dismissed.assign(rows_.n_rows, 0);
      dismissed[row] = 1;
    }
    dismissed_ = std::move(dismissed);
  }

  void CheckUvw() const {
    const UvwDisagreement off = CompareUvw(block_);
    if (off.n_wrong == 0) return;
    for (std::size_t row = 0; row < rows_.n_rows; ++row) {
      if (rows_.time[row] == kNotSelected) continue;
      if (off.wrong[std::size_t{rows_.time[row]} * block_.n_baselines() + rows_.baseline[row]] == 0) continue;
      if (IsWhollyFlagged(tables_, row)) continue;
      throw BadSet(path_,
                   fmt::format("expected UVW that agree with ANTENNA.POSITION, TIME and PHASE_DIR of FIELD, found "
                               "{} of {} baselines looked at that do not, the first in row {}: they {}; compute "
                               "UVW anew (fixvis of CASA) or correct what is wrong",
                               off.n_wrong, off.looked_at, row, off.how));
    }
  }

  void FindTimesAndBaselines() {
    const int n_antennas = static_cast<int>(block_.antennas.size());
    const auto at = [&](int a, int b) {
      return static_cast<std::size_t>(std::min(a, b)) * static_cast<std::size_t>(n_antennas) +
             static_cast<std::size_t>(std::max(a, b));
    };
    baseline_of_pair_.assign(static_cast<std::size_t>(n_antennas) * static_cast<std::size_t>(n_antennas), kNotSelected);
    std::vector<double> times;
    for (std::size_t row = 0; row < rows_.n_rows; ++row) {
      if (!IsSelected(row)) continue;
      ++n_selected_;
      const double time = keys_.time[row];
      if (times.empty() || times.back() != time) times.push_back(time);
      const int a = keys_.antenna1[row], b = keys_.antenna2[row];
      if (std::min(a, b) < 0 || std::max(a, b) >= n_antennas) {
        throw BadSet(path_,
                     fmt::format("row {} is of antennas {} and {}, but ANTENNA has {} rows", row, a, b, n_antennas));
      }
      baseline_of_pair_[at(a, b)] = 0;
      if (a > b && !mirror_is_whole_) {
        throw BadSet(path_,
                     fmt::format("row {} has ANTENNA1 {} above ANTENNA2 {}, and the polarisation setup holds only "
                                 "one of the two cross hands; reorder the antennas",
                                 row, a, b));
      }
    }
    if (n_selected_ == 0) throw BadSet(path_, "all rows of the selection are flagged and have no TIME or no UVW");
    std::sort(times.begin(), times.end());
    for (const double time : times) {
      if (block_.time_mjd_s.empty() || time - block_.time_mjd_s.back() > kSameTimeS) block_.time_mjd_s.push_back(time);
    }
    for (int a = 0; a < n_antennas; ++a) {
      for (int b = a; b < n_antennas; ++b) {
        std::uint32_t& index = baseline_of_pair_[at(a, b)];
        if (index == kNotSelected) continue;
        index = static_cast<std::uint32_t>(block_.baselines.size());
        Baseline baseline;
        baseline.antenna1 = a;
        baseline.antenna2 = b;
        block_.baselines.push_back(baseline);
      }
    }
  }

  // A set with few of its baselines at each time would fill memory with nothing.
  void CheckFilling() const {
    const double grid = static_cast<double>(block_.n_times()) * static_cast<double>(block_.n_baselines());
    const double filled = static_cast<double>(n_selected_) / (grid * static_cast<double>(block_.windows.size()));
    const double bytes = grid * (24 + 13.0 * static_cast<double>(block_.n_channels() * block_.n_pols()));
    if (filled >= kLeastFilled || bytes < kSparseBytes) return;
    throw BadSet(path_,
                 fmt::format("expected most of the {} baselines at each of the {} times, found {} rows, {:.2g} % of "
                             "a tile that would take {:.1f} GiB; split the set by time or by subarray",
                             block_.n_baselines(), block_.n_times(), n_selected_, 100 * filled, bytes / 1073741824.0));
  }

  std::uint32_t TimeOf(double time) const {
    const auto after = std::upper_bound(block_.time_mjd_s.begin(), block_.time_mjd_s.end(), time);
    return static_cast<std::uint32_t>(after - block_.time_mjd_s.begin() - 1);
  }

  void PlaceRows() {
    const std::size_t n_baselines = block_.n_baselines(), n_windows = block_.windows.size();
    const std::size_t n_antennas = block_.antennas.size();
    block_.integration_s.assign(block_.n_times(), 0);
    block_.uvw_m.assign(block_.n_times() * n_baselines * 3, 0.0);
    block_.absent.assign(block_.n_times() * n_baselines * n_windows, 1);
    rows_.time.assign(rows_.n_rows, kNotSelected);
    rows_.baseline.assign(rows_.n_rows, 0);
    rows_.window.assign(rows_.n_rows, 0);
    rows_.swapped.assign(rows_.n_rows, 0);
    const Vector<double> interval = Lengths();
    std::vector<std::uint8_t> have_uvw(block_.n_times() * n_baselines, 0);
    std::vector<std::size_t> first_row(block_.n_times(), 0);
    double last_time = 0;
    std::uint32_t t = kNotSelected;
    for (std::size_t row = 0; row < rows_.n_rows; ++row) {
      if (!IsSelected(row)) continue;
      if (t == kNotSelected || keys_.time[row] != last_time) t = TimeOf(last_time = keys_.time[row]);
      const auto [low, high] = std::minmax(keys_.antenna1[row], keys_.antenna2[row]);
      const std::uint32_t b =
          baseline_of_pair_[static_cast<std::size_t>(low) * n_antennas + static_cast<std::size_t>(high)];
      const int w = WindowOf(row);
      rows_.time[row] = t;
      rows_.baseline[row] = b;
      rows_.window[row] = static_cast<std::uint16_t>(w);
      rows_.swapped[row] = keys_.antenna1[row] > keys_.antenna2[row] ? 1 : 0;
      const std::size_t at = std::size_t{t} * n_baselines + b;
      std::uint8_t& absent = block_.absent[at * n_windows + static_cast<std::size_t>(w)];
      if (absent == 0) throw Repeated(row);
      absent = 0;
      if (block_.integration_s[t] == 0) {
        block_.integration_s[t] = interval[row];
        first_row[t] = row;
      } else if (std::abs(interval[row] - block_.integration_s[t]) > 0.01 * block_.integration_s[t]) {
        throw BadSet(path_, fmt::format("rows {} and {} are of one time but {:g} and {:g} s long; data averaged over "
                                        "different times by baseline or window cannot be read together: average them "
                                        "alike, or select windows",
                                        first_row[t], row, block_.integration_s[t], interval[row]));
      }
      if (have_uvw[at] == 0) {
        have_uvw[at] = 1;
        const double sign = rows_.swapped[row] != 0 ? -1 : 1;
        for (std::size_t i = 0; i < 3; ++i) block_.uvw_m[at * 3 + i] = sign * uvw_(i, row);
      }
    }
    const auto& absent = block_.absent;
    if (std::find(absent.begin(), absent.end(), 1) == absent.end()) block_.absent = {};
  }

  // INTERVAL, or EXPOSURE where that is no length.
  Vector<double> Lengths() const {
    Vector<double> length = tables_.HasScalars("INTERVAL", casacore::TpDouble) ? tables_.Scalars<double>("INTERVAL")
                                                                               : Vector<double>(rows_.n_rows, 0.0);
    Vector<double> exposure;
    for (std::size_t row = 0; row < rows_.n_rows; ++row) {
      if (length[row] > 0 || !IsSelected(row)) continue;
      if (exposure.nelements() == 0 && tables_.HasScalars("EXPOSURE", casacore::TpDouble)) {
        exposure.reference(tables_.Scalars<double>("EXPOSURE"));
      }
      if (exposure.nelements() == 0 || !(exposure[row] > 0)) {
        throw BadSet(path_,
                     fmt::format("row {} has neither an INTERVAL nor an EXPOSURE above 0 s: how long it is decides "
                                 "how it is smeared; set INTERVAL",
                                 row));
      }
      length[row] = exposure[row];
    }
    return length;
  }

  // Two rows for one sample: which of them is right, or whether both are, only the user knows.
  Error Repeated(std::size_t row) const {
    std::size_t earlier = 0, pairs = 0;
    std::set<std::array<std::uint32_t, 3>> seen;
    for (std::size_t r = 0; r < rows_.n_rows; ++r) {
      if (!IsSelected(r)) continue;
      const auto [low, high] = std::minmax(keys_.antenna1[r], keys_.antenna2[r]);
      const std::uint32_t b =
          baseline_of_pair_[static_cast<std::size_t>(low) * block_.antennas.size() + static_cast<std::size_t>(high)];
      const std::array<std::uint32_t, 3> key{TimeOf(keys_.time[r]), b, static_cast<std::uint32_t>(WindowOf(r))};
      if (!seen.insert(key).second) ++pairs;
      if (r < row && key[0] == rows_.time[row] && key[1] == rows_.baseline[row] && key[2] == rows_.window[row])
        earlier = r;
    }
    std::string apart;
    for (const char* column : {"SCAN_NUMBER", "ARRAY_ID", "OBSERVATION_ID", "STATE_ID", "PROCESSOR_ID"}) {
      if (!tables_.HasScalars(column, casacore::TpInt)) continue;
      const casacore::ScalarColumn<int> values(tables_.main(), column);
      if (values(earlier) != values(row)) {
        apart = fmt::format("they differ in {}, {} and {}: split the set by it", column, values(earlier), values(row));
        break;
      }
    }
    if (apart.empty()) apart = "delete one of each two";
    return BadSet(path_,
                  fmt::format("rows {} and {} are of one time, baseline ({} and {}) and spectral window, one of {} "
                              "such cases; {}",
                              earlier, row, keys_.antenna1[row], keys_.antenna2[row], pairs, apart));
  }

  void ReadRowFlags() {
    if (!tables_.HasScalars("FLAG_ROW", casacore::TpBool)) return;
    const Vector<bool> flagged = tables_.Scalars<bool>("FLAG_ROW");
    if (std::find(flagged.begin(), flagged.end(), true) != flagged.end()) {
      rows_.flagged.assign(flagged.begin(), flagged.end());
    }
  }

  void Describe() {
    block_.phase_state = PhaseState::kPhased;
    const casacore::Table fields = tables_.Needed("FIELD");
    const MeasurementSetField centre = ReadFields(fields)[static_cast<std::size_t>(field_)];
    if (!centre.refusal.empty()) throw BadSet(path_, centre.refusal);
    block_.phase_centre = centre.centre;
    TurnToIcrsNorth(centre.north_rad, block_.uvw_m);
    block_.telescope_name = TextOr(tables_.IfAny("OBSERVATION"), "TELESCOPE_NAME", 0);
    block_.object_name = TextOr(fields, "NAME", static_cast<std::size_t>(field_));
    // Our own sets keep the file's words for these (convert/casacore/subtables.cc).
    block_.instrument = TextOr(tables_.IfAny("PROCESSOR"), "SUB_TYPE", 0);
    const casacore::Table observation = tables_.IfAny("OBSERVATION");
    if (!block_.instrument.empty() && !observation.isNull()) block_.object_name = TextOr(observation, "PROJECT", 0);
    block_.group_id = UtcTime::FromMjdSeconds(block_.time_mjd_s.front()).Iso8601();
    if (!ReadDriftKeywords(tables_.main(), block_, path_)) {
      block_.pointing = ReadPointing(tables_.IfAny("POINTING"), fields, field_, block_);
    }
  }

  const SetTables& tables_;
  const std::string& path_;
  const MeasurementSetSelection& selection_;
  const RowKeys keys_;
  SelectedAxes axes_{std::make_unique<VisibilityBlock>(), {}};
  VisibilityBlock& block_;
  RowMap& rows_ = axes_.rows;
  int field_ = 0, setup_ = -1;
  std::vector<int> window_of_description_;  // −1: not selected
  std::vector<std::uint32_t> baseline_of_pair_;
  casacore::Matrix<double> uvw_;         // [row][3]
  std::vector<std::uint8_t> dismissed_;  // per row; empty: none
  std::size_t n_selected_ = 0;
  bool mirror_is_whole_ = true;  // convert/casacore/polarisation_order.h
};

}  // namespace

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

SelectedAxes ReadAxes(const SetTables& tables, const MeasurementSetSelection& selection) {
  if (tables.main().nrow() == 0) throw BadSet(tables.path(), "has no rows");
  return AxesReader(tables, selection).Read();
}

}  // namespace contimg::convert::internal
