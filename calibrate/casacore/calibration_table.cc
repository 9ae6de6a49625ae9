#include "calibrate/casacore/calibration_table.h"

#include <casacore/casa/Arrays/ArrayMath.h>
#include <casacore/casa/Arrays/Matrix.h>
#include <casacore/casa/Containers/Record.h>
#include <casacore/measures/Measures/MDirection.h>
#include <casacore/ms/MeasurementSets/MSAntenna.h>
#include <casacore/ms/MeasurementSets/MSField.h>
#include <casacore/ms/MeasurementSets/MSHistory.h>
#include <casacore/ms/MeasurementSets/MSObservation.h>
#include <casacore/ms/MeasurementSets/MSSpectralWindow.h>
#include <casacore/tables/Tables/ArrColDesc.h>
#include <casacore/tables/Tables/ArrayColumn.h>
#include <casacore/tables/Tables/ScaColDesc.h>
#include <casacore/tables/Tables/ScalarColumn.h>
#include <casacore/tables/Tables/SetupNewTab.h>
#include <casacore/tables/Tables/Table.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <mutex>
#include <numeric>

#include "config/error.h"
#include "config/os.h"
#include "config/time.h"
#include "convert/casacore/casacore_lock.h"

namespace contimg::calibrate {

namespace {

namespace cc = casacore;
using Complex = std::complex<double>;

const char* VisCal(SolutionKind kind) {
  switch (kind) {
    case SolutionKind::kDelay:
      return "K Jones";
    case SolutionKind::kBandpass:
      return "B Jones";
    case SolutionKind::kGain:
      return "G Jones";
  }
  return "";
}

cc::TableDesc MainDescription(bool complex_values) {
  cc::TableDesc d("", "1", cc::TableDesc::Scratch);
  d.addColumn(cc::ScalarColumnDesc<cc::Double>("TIME"));
  d.addColumn(cc::ScalarColumnDesc<cc::Int>("FIELD_ID"));
  d.addColumn(cc::ScalarColumnDesc<cc::Int>("SPECTRAL_WINDOW_ID"));
  d.addColumn(cc::ScalarColumnDesc<cc::Int>("ANTENNA1"));
  d.addColumn(cc::ScalarColumnDesc<cc::Int>("ANTENNA2"));
  d.addColumn(cc::ScalarColumnDesc<cc::Double>("INTERVAL"));
  d.addColumn(cc::ScalarColumnDesc<cc::Int>("SCAN_NUMBER"));
  d.addColumn(cc::ScalarColumnDesc<cc::Int>("OBSERVATION_ID"));
  if (complex_values) {
    d.addColumn(cc::ArrayColumnDesc<cc::Complex>("CPARAM"));
  } else {
    d.addColumn(cc::ArrayColumnDesc<cc::Float>("FPARAM"));
  }
  d.addColumn(cc::ArrayColumnDesc<cc::Float>("PARAMERR"));
  d.addColumn(cc::ArrayColumnDesc<cc::Bool>("FLAG"));
  d.addColumn(cc::ArrayColumnDesc<cc::Float>("SNR"));
  d.addColumn(cc::ArrayColumnDesc<cc::Float>("WEIGHT"));
  for (const char* column : {"TIME", "INTERVAL"}) {
    d.rwColumnDesc(column).rwKeywordSet().define("QuantumUnits", cc::Vector<cc::String>(1, "s"));
  }
  cc::Record epoch;
  epoch.define("type", "epoch");
  epoch.define("Ref", "UTC");
  d.rwColumnDesc("TIME").rwKeywordSet().defineRecord("MEASINFO", epoch);
  return d;
}

cc::Table NewSubtable(cc::Table& main, const std::string& name, const cc::TableDesc& description) {
  cc::SetupNewTable setup(std::string(main.tableName()) + "/" + name, description, cc::Table::New);
  cc::Table table(setup, cc::TableLock(cc::TableLock::PermanentLocking));
  main.rwKeywordSet().defineTable(name, table);
  return table;
}

template <typename T>
void Put(cc::Table& table, const char* column, cc::rownr_t row, const T& value) {
  cc::ScalarColumn<T>(table, column).put(row, value);
}
void PutText(cc::Table& table, const char* column, cc::rownr_t row, const std::string& value) {
  Put<cc::String>(table, column, row, value);
}

void WriteSubtables(cc::Table& main, const SolutionSet& s) {
  cc::Table antenna = NewSubtable(main, "ANTENNA", cc::MSAntenna::requiredTableDesc());
  antenna.addRow(s.antennas.size());
  for (cc::rownr_t a = 0; a < s.antennas.size(); ++a) {
    const SolutionAntenna& from = s.antennas[a];
    cc::Vector<cc::Double> position(3);
    for (int k = 0; k < 3; ++k) position[k] = from.position_itrf_m[static_cast<std::size_t>(k)];
    cc::ArrayColumn<cc::Double>(antenna, "POSITION").put(a, position);
    cc::ArrayColumn<cc::Double>(antenna, "OFFSET").put(a, cc::Vector<cc::Double>(3, 0.0));
    PutText(antenna, "NAME", a, from.name);
    PutText(antenna, "STATION", a, from.name);
    PutText(antenna, "TYPE", a, "GROUND-BASED");
    PutText(antenna, "MOUNT", a, "alt-az");
    Put<cc::Double>(antenna, "DISH_DIAMETER", a, from.diameter_m);
    Put<cc::Bool>(antenna, "FLAG_ROW", a, false);
  }

  cc::Table field = NewSubtable(main, "FIELD", cc::MSField::requiredTableDesc());
  field.addRow(1);
  cc::Matrix<cc::Double> direction(2, 1);
  direction(0, 0) = s.field_ra_rad;
  direction(1, 0) = s.field_dec_rad;
  for (const char* column : {"DELAY_DIR", "PHASE_DIR", "REFERENCE_DIR"}) {
    cc::TableColumn(field, column).rwKeywordSet().asrwRecord("MEASINFO").define("Ref", "ICRS");
    cc::ArrayColumn<cc::Double>(field, column).put(0, direction);
  }
  PutText(field, "NAME", 0, s.field_name);
  PutText(field, "CODE", 0, "");
  Put<cc::Int>(field, "NUM_POLY", 0, 0);
  Put<cc::Int>(field, "SOURCE_ID", 0, 0);
  Put<cc::Bool>(field, "FLAG_ROW", 0, false);
  Put<cc::Double>(field, "TIME", 0, s.intervals.empty() ? 0.0 : s.intervals.front().time_mjd_s);

  // As CASA does, tables with one value a window describe the window by one wide channel.
  cc::Table window = NewSubtable(main, "SPECTRAL_WINDOW", cc::MSSpectralWindow::requiredTableDesc());
  window.addRow(s.windows.size());
  for (cc::rownr_t w = 0; w < s.windows.size(); ++w) {
    const SolutionWindow& from = s.windows[w];
    const bool channels = s.kind == SolutionKind::kBandpass;
    const std::size_t n = channels ? from.frequency_hz.size() : 1;
    const double total = from.channel_width_hz * static_cast<double>(from.frequency_hz.size());
    cc::Vector<cc::Double> frequency(n), width(n, channels ? from.channel_width_hz : total);
    for (std::size_t c = 0; c < n; ++c) {
      frequency[c] = channels ? from.frequency_hz[c] : 0.5 * (from.frequency_hz.front() + from.frequency_hz.back());
    }
    cc::ArrayColumn<cc::Double>(window, "CHAN_FREQ").put(w, frequency);
    for (const char* column : {"CHAN_WIDTH", "EFFECTIVE_BW", "RESOLUTION"}) {
      cc::ArrayColumn<cc::Double>(window, column).put(w, width);
    }
    Put<cc::Double>(window, "REF_FREQUENCY", w, from.reference_hz);
    Put<cc::Double>(window, "TOTAL_BANDWIDTH", w, total);
    Put<cc::Int>(window, "NUM_CHAN", w, static_cast<cc::Int>(n));
    Put<cc::Int>(window, "MEAS_FREQ_REF", w, 5);  // TOPO
    Put<cc::Int>(window, "FREQ_GROUP", w, 0);
    Put<cc::Int>(window, "IF_CONV_CHAIN", w, 0);
    Put<cc::Int>(window, "NET_SIDEBAND", w, 1);
    Put<cc::Bool>(window, "FLAG_ROW", w, false);
    PutText(window, "NAME", w, "SPW" + std::to_string(w));
    PutText(window, "FREQ_GROUP_NAME", w, "");
  }

  cc::Table observation = NewSubtable(main, "OBSERVATION", cc::MSObservation::requiredTableDesc());
  observation.addRow(1);
  cc::Vector<cc::Double> range(2, 0.0);
  if (!s.intervals.empty()) {
    range[0] = s.intervals.front().time_mjd_s - 0.5 * s.intervals.front().length_s;
    range[1] = s.intervals.back().time_mjd_s + 0.5 * s.intervals.back().length_s;
  }
  cc::ArrayColumn<cc::Double>(observation, "TIME_RANGE").put(0, range);
  cc::ArrayColumn<cc::String>(observation, "LOG").put(0, cc::Vector<cc::String>());
  cc::ArrayColumn<cc::String>(observation, "SCHEDULE").put(0, cc::Vector<cc::String>());
  PutText(observation, "TELESCOPE_NAME", 0, s.telescope_name);
  for (const char* column : {"OBSERVER", "PROJECT", "SCHEDULE_TYPE"}) PutText(observation, column, 0, "");
  Put<cc::Double>(observation, "RELEASE_DATE", 0, 0.0);
  Put<cc::Bool>(observation, "FLAG_ROW", 0, false);

  cc::Table history = NewSubtable(main, "HISTORY", cc::MSHistory::requiredTableDesc());
  history.addRow(s.history.size());
  const double now = UtcTime::Now().mjd_s();
  for (cc::rownr_t i = 0; i < s.history.size(); ++i) {
    Put<cc::Double>(history, "TIME", i, now);
    PutText(history, "MESSAGE", i, s.history[i]);
    PutText(history, "APPLICATION", i, "contimg");
    PutText(history, "ORIGIN", i, "contimg solve");
    PutText(history, "PRIORITY", i, "INFO");
    Put<cc::Int>(history, "OBSERVATION_ID", i, 0);
    Put<cc::Int>(history, "OBJECT_ID", i, 0);
    cc::ArrayColumn<cc::String>(history, "CLI_COMMAND").put(i, cc::Vector<cc::String>());
    cc::ArrayColumn<cc::String>(history, "APP_PARAMS").put(i, cc::Vector<cc::String>());
  }
}

void WriteRows(cc::Table& main, const SolutionSet& s) {
  const bool complex_values = s.kind != SolutionKind::kDelay;
  const cc::rownr_t n_rows = s.intervals.size() * s.windows.size() * s.antennas.size();
  main.addRow(n_rows);
  cc::ScalarColumn<cc::Double> time(main, "TIME"), interval(main, "INTERVAL");
  cc::ScalarColumn<cc::Int> field(main, "FIELD_ID"), window(main, "SPECTRAL_WINDOW_ID"), antenna1(main, "ANTENNA1"),
      antenna2(main, "ANTENNA2"), scan(main, "SCAN_NUMBER"), observation(main, "OBSERVATION_ID");
  cc::ArrayColumn<cc::Float> error(main, "PARAMERR"), snr(main, "SNR"), weight(main, "WEIGHT"), delay;
  cc::ArrayColumn<cc::Complex> gain;
  cc::ArrayColumn<cc::Bool> flag(main, "FLAG");
  if (complex_values) {
    gain.attach(main, "CPARAM");
  } else {
    delay.attach(main, "FPARAM");
  }
  const auto n_pol = static_cast<cc::rownr_t>(s.n_receptors);
  cc::rownr_t row = 0;
  for (std::size_t t = 0; t < s.intervals.size(); ++t) {
    std::size_t first_cell = 0;
    for (std::size_t w = 0; w < s.windows.size(); ++w) {
      const std::size_t n = s.kind == SolutionKind::kBandpass ? s.windows[w].frequency_hz.size() : 1;
      for (std::size_t a = 0; a < s.antennas.size(); ++a, ++row) {
        cc::Matrix<cc::Complex> gains(n_pol, n);
        cc::Matrix<cc::Float> delays(n_pol, n), errors(n_pol, n), snrs(n_pol, n), weights(n_pol, n);
        cc::Matrix<cc::Bool> flags(n_pol, n);
        for (std::size_t c = 0; c < n; ++c) {
          for (std::size_t r = 0; r < s.n_receptors; ++r) {
            const std::size_t i = s.Index(t, a, first_cell + c, r);
            const bool usable = s.usable(i);
            // Flagged cells hold CASA's neutral values; FLAG says that they are none.
            gains(r, c) = usable ? cc::Complex(s.value[i]) : cc::Complex(1, 0);
            delays(r, c) = usable ? static_cast<float>(s.value[i].real()) : 0.0F;
            errors(r, c) = usable ? s.error[i] : 0.0F;
            snrs(r, c) = usable ? s.snr[i] : 0.0F;
            const bool own = s.flag[i] == kSolved && s.error[i] > 0;
            weights(r, c) = own ? 1 / (s.error[i] * s.error[i]) : 0.0F;
            flags(r, c) = !usable;
          }
        }
        time.put(row, s.intervals[t].time_mjd_s);
        interval.put(row, s.intervals[t].length_s);
        field.put(row, 0);
        window.put(row, static_cast<cc::Int>(w));
        antenna1.put(row, static_cast<cc::Int>(a));
        antenna2.put(row, s.reference_antenna);
        scan.put(row, 1);
        observation.put(row, 0);
        if (complex_values) {
          gain.put(row, gains);
        } else {
          delay.put(row, delays);
        }
        error.put(row, errors);
        snr.put(row, snrs);
        weight.put(row, weights);
        flag.put(row, flags);
      }
      first_cell += n;
    }
  }
}

void WriteTable(const SolutionSet& s, const std::string& path) {
  cc::SetupNewTable setup(path, MainDescription(s.kind != SolutionKind::kDelay), cc::Table::New);
  cc::Table main(setup, cc::TableLock(cc::TableLock::PermanentLocking));
  main.tableInfo().setType("Calibration");
  main.tableInfo().setSubType(VisCal(s.kind));
  main.rwKeywordSet().define("ParType", s.kind == SolutionKind::kDelay ? "Float" : "Complex");
  main.rwKeywordSet().define("MSName", s.source_ms);
  main.rwKeywordSet().define("VisCal", VisCal(s.kind));
  main.rwKeywordSet().define("PolBasis", "linear");
  main.rwKeywordSet().define("CONTIMG_VERSION", 1);
  if (!s.normalisation.empty()) {
    cc::Matrix<cc::Double> norm(s.n_receptors, s.antennas.size());
    std::copy(s.normalisation.begin(), s.normalisation.end(), norm.begin());
    main.rwKeywordSet().define("CONTIMG_NORMALISATION", norm);
  }
  WriteRows(main, s);
  WriteSubtables(main, s);
  main.flush(true, true);
}

// A table being read: the parts that rows need.
class TableReader {
 public:
  explicit TableReader(const std::string& path) : path_(path) {
    main_ = cc::Table(path, cc::TableLock(cc::TableLock::NoLocking), cc::Table::Old);
  }

  SolutionSet Read() {
    ReadKind();
    ReadAntennas();
    ReadWindows();
    ReadField();
    ReadRows();
    return std::move(s_);
  }

 private:
  [[noreturn]] void Fail(const std::string& message) const {
    throw Error(ErrorKind::kBadInput, "calibrate", path_, message);
  }

  cc::Table Subtable(const char* name) const {
    if (!main_.keywordSet().isDefined(name)) Fail(std::string("has no ") + name + " subtable");
    return main_.keywordSet().asTable(name, cc::TableLock(cc::TableLock::NoLocking));
  }

  void ReadKind() {
    const std::string type = main_.tableInfo().subType();
    if (type == "K Jones") {
      s_.kind = SolutionKind::kDelay;
    } else if (type == "B Jones") {
      s_.kind = SolutionKind::kBandpass;
    } else if (type == "G Jones") {
      s_.kind = SolutionKind::kGain;
    } else {
      Fail("is no K, B or G Jones calibration table but '" + std::string(main_.tableInfo().type()) + "/" + type + "'");
    }
    const char* values = s_.kind == SolutionKind::kDelay ? "FPARAM" : "CPARAM";
    for (const char* column : {"TIME", "SPECTRAL_WINDOW_ID", "ANTENNA1", "FLAG", values}) {
      if (!main_.tableDesc().isColumn(column)) Fail(std::string("has no column ") + column);
    }
    if (main_.nrow() == 0) Fail("holds no solutions");
    const auto& keywords = main_.keywordSet();
    if (keywords.isDefined("MSName")) s_.source_ms = keywords.asString("MSName");
    ours_ = keywords.isDefined("CONTIMG_VERSION");
    if (keywords.isDefined("CONTIMG_NORMALISATION")) {
      const cc::Array<cc::Double> norm = keywords.asArrayDouble("CONTIMG_NORMALISATION");
      normalisation_.assign(norm.begin(), norm.end());
    }
  }

  void ReadAntennas() {
    const cc::Table table = Subtable("ANTENNA");
    const cc::ScalarColumn<cc::String> name(table, "NAME");
    const cc::ArrayColumn<cc::Double> position(table, "POSITION");
    const cc::ScalarColumn<cc::Double> diameter(table, "DISH_DIAMETER");
    for (cc::rownr_t a = 0; a < table.nrow(); ++a) {
      SolutionAntenna antenna;
      antenna.name = name(a);
      const cc::Vector<cc::Double> xyz(position(a));
      for (std::size_t k = 0; k < 3; ++k) antenna.position_itrf_m[k] = xyz[k];
      antenna.diameter_m = diameter(a);
      s_.antennas.push_back(std::move(antenna));
    }
    if (s_.antennas.empty()) Fail("names no antennas");
  }

  void ReadWindows() {
    const cc::Table table = Subtable("SPECTRAL_WINDOW");
    const cc::ArrayColumn<cc::Double> frequency(table, "CHAN_FREQ"), width(table, "CHAN_WIDTH");
    const cc::ScalarColumn<cc::Double> reference(table, "REF_FREQUENCY");
    std::vector<SolutionWindow> windows;
    std::vector<std::vector<std::size_t>> orders;
    for (cc::rownr_t w = 0; w < table.nrow(); ++w) {
      const std::vector<double> f = cc::Vector<cc::Double>(frequency(w)).tovector();
      if (f.empty()) Fail("has a spectral window without channels");
      std::vector<std::size_t> order(f.size());
      std::iota(order.begin(), order.end(), std::size_t{0});
      std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return f[a] < f[b]; });
      SolutionWindow window;
      for (std::size_t c : order) window.frequency_hz.push_back(f[c]);
      const cc::Vector<cc::Double> widths(width(w));
      window.channel_width_hz = widths.empty() ? 0 : std::abs(widths[0]);
      window.reference_hz = reference(w);
      windows.push_back(std::move(window));
      orders.push_back(std::move(order));
    }
    // Only windows with solutions count; ascending in frequency.
    const cc::Vector<cc::Int> ids = cc::ScalarColumn<cc::Int>(main_, "SPECTRAL_WINDOW_ID").getColumn();
    std::vector<std::uint8_t> used(windows.size(), 0);
    for (cc::Int id : ids) {
      if (id < 0 || static_cast<std::size_t>(id) >= windows.size()) {
        Fail("refers to spectral window " + std::to_string(id) + " of " + std::to_string(windows.size()));
      }
      used[static_cast<std::size_t>(id)] = 1;
    }
    std::vector<std::size_t> rank;
    for (std::size_t w = 0; w < windows.size(); ++w) {
      if (used[w]) rank.push_back(w);
    }
    std::sort(rank.begin(), rank.end(), [&](std::size_t a, std::size_t b) {
      return windows[a].frequency_hz.front() < windows[b].frequency_hz.front();
    });
    position_.assign(windows.size(), 0);
    std::size_t cell = 0;
    first_cell_.assign(windows.size(), 0);
    for (std::size_t w : rank) {
      position_[w] = s_.windows.size();
      first_cell_[w] = cell;
      cell += s_.kind == SolutionKind::kBandpass ? windows[w].frequency_hz.size() : 1;
      s_.windows.push_back(windows[w]);
    }
    channel_order_ = std::move(orders);
  }

  void ReadField() {
    if (main_.keywordSet().isDefined("FIELD")) {
      const cc::Table table = Subtable("FIELD");
      cc::Int id = 0;
      if (main_.tableDesc().isColumn("FIELD_ID")) id = cc::ScalarColumn<cc::Int>(main_, "FIELD_ID")(0);
      if (id >= 0 && static_cast<cc::rownr_t>(id) < table.nrow()) {
        const auto row = static_cast<cc::rownr_t>(id);
        const cc::Array<cc::Double> direction = cc::ArrayColumn<cc::Double>(table, "PHASE_DIR")(row);
        const std::vector<double> values = direction.tovector();
        if (values.size() >= 2) {
          s_.field_ra_rad = values[0];
          s_.field_dec_rad = values[1];
        }
        s_.field_name = cc::ScalarColumn<cc::String>(table, "NAME")(row);
      }
    }
    if (main_.keywordSet().isDefined("OBSERVATION")) {
      const cc::Table table = Subtable("OBSERVATION");
      if (table.nrow() > 0) s_.telescope_name = cc::ScalarColumn<cc::String>(table, "TELESCOPE_NAME")(0);
    }
    if (main_.keywordSet().isDefined("HISTORY")) {
      const cc::Table table = Subtable("HISTORY");
      const cc::ScalarColumn<cc::String> message(table, "MESSAGE");
      for (cc::rownr_t i = 0; i < table.nrow(); ++i) s_.history.push_back(message(i));
    }
  }

  // Position of each row's interval; fills s_.intervals.
  std::vector<std::size_t> GroupTimes(const cc::Vector<cc::Double>& times, const cc::Vector<cc::Double>& lengths) {
    std::vector<std::size_t> order(times.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return times[a] < times[b]; });
    std::vector<std::size_t> interval(times.size());
    constexpr double kUnknownIntervalTolerance = 60;
    double first = 0, sum = 0, length = 0;
    std::size_t n = 0;
    const auto close = [&] {
      if (n > 0) s_.intervals.push_back({first + sum / static_cast<double>(n), length});
    };
    for (std::size_t i : order) {
      if (!std::isfinite(times[i])) Fail("has a row without a time");
      const double tolerance = lengths[i] > 0 ? 0.5 * lengths[i] : kUnknownIntervalTolerance;
      if (n > 0 && times[i] - first > tolerance) {
        close();
        n = 0;
      }
      if (n == 0) first = times[i], sum = 0, length = 0;
      sum += times[i] - first;  // sums of whole times would lose microseconds
      length = std::max(length, static_cast<double>(lengths[i]));
      ++n;
      interval[i] = s_.intervals.size();
    }
    close();
    return interval;
  }

  void ReadRows() {
    const cc::Vector<cc::Double> times = cc::ScalarColumn<cc::Double>(main_, "TIME").getColumn();
    cc::Vector<cc::Double> lengths(times.size(), 0.0);
    if (main_.tableDesc().isColumn("INTERVAL")) lengths = cc::ScalarColumn<cc::Double>(main_, "INTERVAL").getColumn();
    const std::vector<std::size_t> interval = GroupTimes(times, lengths);
    const cc::Vector<cc::Int> antennas = cc::ScalarColumn<cc::Int>(main_, "ANTENNA1").getColumn();
    const cc::Vector<cc::Int> windows = cc::ScalarColumn<cc::Int>(main_, "SPECTRAL_WINDOW_ID").getColumn();
    if (main_.tableDesc().isColumn("ANTENNA2")) {
      const cc::Vector<cc::Int> references = cc::ScalarColumn<cc::Int>(main_, "ANTENNA2").getColumn();
      const bool same =
          std::all_of(references.begin(), references.end(), [&](cc::Int a) { return a == references[0]; });
      if (same && references[0] >= 0 && static_cast<std::size_t>(references[0]) < s_.antennas.size()) {
        s_.reference_antenna = references[0];
      }
    }
    const bool delays = s_.kind == SolutionKind::kDelay;
    cc::ArrayColumn<cc::Complex> gain;
    cc::ArrayColumn<cc::Float> delay, error, snr, weight;
    if (delays) {
      delay.attach(main_, "FPARAM");
    } else {
      gain.attach(main_, "CPARAM");
    }
    if (main_.tableDesc().isColumn("PARAMERR")) error.attach(main_, "PARAMERR");
    if (main_.tableDesc().isColumn("SNR")) snr.attach(main_, "SNR");
    if (main_.tableDesc().isColumn("WEIGHT")) weight.attach(main_, "WEIGHT");
    const cc::ArrayColumn<cc::Bool> flag(main_, "FLAG");

    const cc::IPosition shape = delays ? delay.shape(0) : gain.shape(0);
    if (shape.nelements() != 2 || shape[0] < 1 || shape[0] > 2) Fail("has cells that are not [receptor][channel]");
    s_.n_receptors = static_cast<std::size_t>(shape[0]);
    s_.Allocate();
    if (normalisation_.size() == s_.antennas.size() * s_.n_receptors) s_.normalisation = normalisation_;
    for (cc::rownr_t row = 0; row < main_.nrow(); ++row) {
      const auto w = static_cast<std::size_t>(windows[row]);
      const cc::Int antenna = antennas[row];
      if (antenna < 0 || static_cast<std::size_t>(antenna) >= s_.antennas.size()) {
        Fail("refers to antenna " + std::to_string(antenna) + " of " + std::to_string(s_.antennas.size()));
      }
      const std::size_t n = s_.kind == SolutionKind::kBandpass ? s_.windows[position_[w]].frequency_hz.size() : 1;
      const cc::IPosition expected(2, static_cast<ssize_t>(s_.n_receptors), static_cast<ssize_t>(n));
      const cc::IPosition found = delays ? delay.shape(row) : gain.shape(row);
      if (!found.isEqual(expected) || !flag.shape(row).isEqual(expected)) {
        Fail("has in row " + std::to_string(row) + " another shape than its spectral window");
      }
      const cc::Matrix<cc::Bool> flags(flag(row));
      cc::Matrix<cc::Complex> gains;
      cc::Matrix<cc::Float> values, errors, snrs, weights;
      if (delays) {
        values.reference(delay(row));
      } else {
        gains.reference(gain(row));
      }
      const auto take = [&](const cc::ArrayColumn<cc::Float>& column, cc::Matrix<cc::Float>& into) {
        if (!column.isNull() && column.isDefined(row) && column.shape(row).isEqual(expected)) {
          into.reference(column(row));
        }
      };
      take(error, errors);
      take(snr, snrs);
      take(weight, weights);
      for (std::size_t c = 0; c < n; ++c) {
        const std::size_t from = s_.kind == SolutionKind::kBandpass ? channel_order_[w][c] : 0;
        for (std::size_t r = 0; r < s_.n_receptors; ++r) {
          if (flags(r, from)) continue;
          const Complex value = delays ? Complex(values(r, from)) : Complex(gains(r, from));
          if (!std::isfinite(std::norm(value)) || (!delays && std::norm(value) == 0)) continue;
          const std::size_t i = s_.Index(interval[row], static_cast<std::size_t>(antenna), first_cell_[w] + c, r);
          s_.value[i] = value;
          s_.flag[i] = kSolved;
          if (!errors.empty()) s_.error[i] = errors(r, from);
          if (!snrs.empty()) s_.snr[i] = snrs(r, from);
          if (ours_ && !weights.empty() && weights(r, from) == 0) s_.flag[i] = kInterpolated;
        }
      }
    }
  }

  std::string path_;
  cc::Table main_;
  SolutionSet s_;
  bool ours_ = false;
  std::vector<double> normalisation_;
  std::vector<std::size_t> position_, first_cell_;       // of each spectral window of the table
  std::vector<std::vector<std::size_t>> channel_order_;  // ascending in frequency
};

}  // namespace

void WriteCalibrationTable(const SolutionSet& solutions, const std::filesystem::path& path) {
  if (std::filesystem::exists(path)) {
    throw Error(ErrorKind::kUsage, "calibrate", path.string(), "exists already");
  }
  const std::filesystem::path staged = UnfinishedSibling(path);
  Os& os = RealOs();
  os.RemoveAll(staged);
  // Value, error, SNR and flag of each solution; what the tables take that hold little.
  CheckRoom(os, path.parent_path(), 24 * solutions.size() + (2u << 20), "calibrate", path.string());
  try {
    const std::lock_guard<std::mutex> lock(convert::internal::CasacoreMutex());
    WriteTable(solutions, staged.string());
  } catch (const cc::AipsError& error) {
    os.RemoveAll(staged);
    throw convert::internal::InOurWords(ErrorKind::kIo, "calibrate", path.string(), error.getMesg());
  }
  try {
    Publish(os, staged, path);
  } catch (...) {
    os.RemoveAll(staged);
    throw;
  }
}

SolutionSet ReadCalibrationTable(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) {
    throw Error(ErrorKind::kIo, "calibrate", path.string(), "does not exist");
  }
  const std::lock_guard<std::mutex> lock(convert::internal::CasacoreMutex());
  try {
    return TableReader(path.string()).Read();
  } catch (const cc::AipsError& error) {
    throw convert::internal::InOurWords(ErrorKind::kBadInput, "calibrate", path.string(), error.getMesg());
  }
}

}  // namespace contimg::calibrate
