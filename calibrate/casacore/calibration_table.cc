#include "calibrate/casacore/calibration_table.h"

#include <casacore/casa/Arrays/ArrayMath.h>
#include <casacore/casa/Arrays/Matrix.h>
#include <casacore/casa/Containers/Record.h>
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
#include <mutex>

#include "config/error.h"
#include "config/os.h"
#include "config/time.h"
#include "config/unfinished.h"
#include "convert/casacore/casacore_lock.h"

namespace contimg::calibrate {

namespace {

namespace cc = casacore;
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
  main.rwKeywordSet().define("CONTIMG_VERSION", 1);  // tells ReadCalibrationTable whose rules hold
  if (!s.normalisation.empty()) {
    cc::Matrix<cc::Double> norm(s.n_receptors, s.antennas.size());
    std::copy(s.normalisation.begin(), s.normalisation.end(), norm.begin());
    main.rwKeywordSet().define("CONTIMG_NORMALISATION", norm);
  }
  WriteRows(main, s);
  WriteSubtables(main, s);
  main.flush(true, true);
}

}  // namespace

void WriteCalibrationTable(const SolutionSet& solutions, const std::filesystem::path& path) {
  if (Exists(path)) {
    throw Error(ErrorKind::kUsage, "calibrate", path.string(), "exists already");
  }
  Os& os = RealOs();
  const Unfinished unfinished(path, os);
  const std::filesystem::path& staged = unfinished.path();
  // Value, error, SNR and flag of each solution; what the tables take that hold little.
  CheckRoom(os, path.parent_path(), 24 * solutions.size() + (2u << 20), "calibrate", path.string());
  try {
    const std::lock_guard<std::mutex> lock(convert::internal::CasacoreMutex());
    WriteTable(solutions, staged.string());
  } catch (const cc::AipsError& error) {
    throw convert::internal::InOurWords(ErrorKind::kIo, "calibrate", path.string(), error.getMesg());
  }
  Publish(os, staged, path);
}

}  // namespace contimg::calibrate
