#include <casacore/casa/Arrays/ArrayMath.h>
#include <casacore/casa/Arrays/Matrix.h>
#include <casacore/casa/Containers/Record.h>
#include <casacore/tables/Tables/ArrayColumn.h>
#include <casacore/tables/Tables/ColumnDesc.h>
#include <casacore/tables/Tables/ScalarColumn.h>
#include <casacore/tables/Tables/Table.h>
#include <casacore/tables/Tables/TableRecord.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <mutex>
#include <numeric>
#include <string_view>
#include <utility>

#include "calibrate/casacore/calibration_table.h"
#include "calibrate/solution_times.h"
#include "config/error.h"
#include "config/time.h"
#include "convert/casacore/casacore_lock.h"

namespace contimg::calibrate {

namespace {

namespace cc = casacore;
using Complex = std::complex<double>;

// What the tables are that CASA writes and contimg does not apply, by the beginning of their names.
constexpr std::array<std::pair<std::string_view, std::string_view>, 16> kNotApplied{{
    {"GSPLINE", "gains as splines in time"},
    {"BPOLY", "bandpasses as polynomials"},
    {"Kcross", "delays between the two polarisations"},
    {"KAntPos", "corrections of antenna positions"},
    {"KMBD", "delays over several bands"},
    {"Fringe", "delays with rates"},
    {"D", "leakage between the polarisations"},
    {"F Jones", "ionospheric Faraday rotation"},
    {"X", "phases between the two polarisations"},
    {"GlinXph", "gains with a polarised model"},
    {"M", "factors of baselines"},
    {"A Mueller", "offsets of baselines"},
    {"B TSYS", "system temperatures"},
    {"G EVLASWPOW", "switched powers"},
    {"EGainCurve", "gain curves of the dishes"},
    {"TOpac", "opacities of the air"},
}};

std::string UtcOf(double mjd_s) { return UtcTime::FromMjdSeconds(mjd_s).Iso8601(3); }

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
    const auto& keywords = main_.keywordSet();
    if (!keywords.isDefined(name) || keywords.dataType(name) != cc::TpTable) {
      Fail(fmt::format("has no subtable {}: copy the whole folder again, or solve anew", name));
    }
    return keywords.asTable(name, cc::TableLock(cc::TableLock::NoLocking));
  }

  // A column of a table of the wanted type, cells arrays or not.
  void NeedColumn(const cc::Table& table, const char* name, cc::DataType type, bool array,
                  const char* where = "") const {
    const auto& description = table.tableDesc();
    if (!description.isColumn(name)) {
      Fail(fmt::format("has no column {}{}; tables of CASA before 3.4 and of other layouts are not read", where, name));
    }
    const auto& column = description.columnDesc(name);
    if (column.isArray() != array || column.dataType() != type) {
      Fail(fmt::format("holds in column {}{} values of another type than calibration tables have", where, name));
    }
  }

  std::string Word(const char* keyword) const {
    const auto& keywords = main_.keywordSet();
    if (!keywords.isDefined(keyword)) return "";
    if (keywords.dataType(keyword) != cc::TpString) Fail(fmt::format("has a keyword {} that is no text", keyword));
    return keywords.asString(keyword);
  }

  void ReadKind() {
    const std::string type = main_.tableInfo().type(), name = main_.tableInfo().subType();
    if (type != "Calibration") Fail(fmt::format("is no calibration table but '{}/{}'", type, name));
    if (name == "K Jones") {
      s_.kind = SolutionKind::kDelay;
    } else if (name == "B Jones") {
      s_.kind = SolutionKind::kBandpass;
    } else if (name == "G Jones" || name == "T Jones") {
      s_.kind = SolutionKind::kGain;
      s_.polarisation_independent = name == "T Jones";
    } else {
      std::string meaning = "of a kind that contimg does not know";
      for (const auto& [beginning, holds] : kNotApplied) {
        if (name.compare(0, beginning.size(), beginning) == 0) {
          meaning = std::string(holds);
          break;
        }
      }
      Fail(
          fmt::format("is a table '{}' ({}), contimg applies K, B, G and T Jones: apply this one with the program that "
                      "made it and split out the corrected data",
                      name, meaning));
    }
    const std::string declared = Word("VisCal");
    if (!declared.empty() && declared != name) {
      Fail(fmt::format("contradicts itself: its type is '{}', its keyword VisCal says '{}'", name, declared));
    }
    NeedColumn(main_, "TIME", cc::TpDouble, false);
    NeedColumn(main_, "SPECTRAL_WINDOW_ID", cc::TpInt, false);
    NeedColumn(main_, "ANTENNA1", cc::TpInt, false);
    NeedColumn(main_, "FLAG", cc::TpBool, true);
    if (s_.kind == SolutionKind::kDelay) {
      NeedColumn(main_, "FPARAM", cc::TpFloat, true);
    } else {
      NeedColumn(main_, "CPARAM", cc::TpComplex, true);
    }
    if (main_.nrow() == 0) Fail("holds no solutions");
    s_.source_ms = Word("MSName");
    const auto& keywords = main_.keywordSet();
    s_.foreign = !keywords.isDefined("CONTIMG_VERSION");
    // CASA 5.3 moved the zero phase of delays to the middle of the window, and says its version since; the builds that
    // went back for a while are told apart by their numbers.
    const std::string version = Word("CASA_Version");
    middle_reference_ = !version.empty() && version.compare(0, 8, "5.3.0-10") != 0;
    if (keywords.isDefined("CONTIMG_NORMALISATION")) {
      const cc::Array<cc::Double> norm = keywords.asArrayDouble("CONTIMG_NORMALISATION");
      normalisation_.assign(norm.begin(), norm.end());
    }
  }

  void ReadAntennas() {
    const cc::Table table = Subtable("ANTENNA");
    NeedColumn(table, "NAME", cc::TpString, false, "ANTENNA::");
    NeedColumn(table, "POSITION", cc::TpDouble, true, "ANTENNA::");
    const cc::ScalarColumn<cc::String> name(table, "NAME");
    const cc::ArrayColumn<cc::Double> position(table, "POSITION");
    const bool has_diameter = table.tableDesc().isColumn("DISH_DIAMETER");
    if (has_diameter) NeedColumn(table, "DISH_DIAMETER", cc::TpDouble, false, "ANTENNA::");
    for (cc::rownr_t a = 0; a < table.nrow(); ++a) {
      SolutionAntenna antenna;
      antenna.name = name(a);
      if (!position.isDefined(a) || !position.shape(a).isEqual(cc::IPosition(1, 3))) {
        Fail(fmt::format("gives antenna '{}' a POSITION that is not three numbers", antenna.name));
      }
      const cc::Vector<cc::Double> xyz(position(a));
      for (std::size_t k = 0; k < 3; ++k) antenna.position_itrf_m[k] = xyz[k];
      if (has_diameter) antenna.diameter_m = cc::ScalarColumn<cc::Double>(table, "DISH_DIAMETER")(a);
      s_.antennas.push_back(std::move(antenna));
    }
    if (s_.antennas.empty()) Fail("names no antennas");
  }

  std::vector<double> Numbers(const cc::ArrayColumn<cc::Double>& column, cc::rownr_t row) const {
    if (!column.isDefined(row) || column.shape(row).nelements() != 1) return {};
    return cc::Vector<cc::Double>(column(row)).tovector();
  }

  void ReadWindows() {
    const cc::Table table = Subtable("SPECTRAL_WINDOW");
    for (const char* name : {"CHAN_FREQ", "CHAN_WIDTH"}) {
      NeedColumn(table, name, cc::TpDouble, true, "SPECTRAL_WINDOW::");
    }
    NeedColumn(table, "REF_FREQUENCY", cc::TpDouble, false, "SPECTRAL_WINDOW::");
    const cc::ArrayColumn<cc::Double> frequency(table, "CHAN_FREQ"), width(table, "CHAN_WIDTH");
    const cc::ScalarColumn<cc::Double> reference(table, "REF_FREQUENCY");
    // Only windows with solutions count; ascending in frequency.
    s_.windows_described = table.nrow();
    const std::vector<cc::Int> ids =
        cc::Vector<cc::Int>(cc::ScalarColumn<cc::Int>(main_, "SPECTRAL_WINDOW_ID").getColumn()).tovector();
    std::vector<std::uint8_t> used(s_.windows_described, 0);
    for (std::size_t row = 0; row < ids.size(); ++row) {
      if (ids[row] < 0 || static_cast<std::size_t>(ids[row]) >= used.size()) {
        Fail(fmt::format("refers in row {} to spectral window {}, its SPECTRAL_WINDOW describes {}", row, ids[row],
                         used.size()));
      }
      used[static_cast<std::size_t>(ids[row])] = 1;
    }
    std::vector<SolutionWindow> windows(used.size());
    channel_order_.resize(used.size());
    std::vector<std::size_t> rank;
    for (std::size_t w = 0; w < used.size(); ++w) {
      if (!used[w]) continue;
      const std::vector<double> f = Numbers(frequency, w), widths = Numbers(width, w);
      if (f.empty() || widths.size() != f.size() ||
          !std::all_of(f.begin(), f.end(), [](double hz) { return std::isfinite(hz) && hz > 0; })) {
        Fail(fmt::format("describes spectral window {} without frequencies and widths of its channels", w));
      }
      std::vector<std::size_t>& order = channel_order_[w];
      order.resize(f.size());
      std::iota(order.begin(), order.end(), std::size_t{0});
      std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return f[a] < f[b]; });
      for (std::size_t c : order) windows[w].frequency_hz.push_back(f[c]);
      windows[w].channel_width_hz = std::abs(widths[0]);
      windows[w].reference_hz = middle_reference_ ? f[f.size() / 2] : reference(w);
      rank.push_back(w);
    }
    std::sort(rank.begin(), rank.end(), [&](std::size_t a, std::size_t b) {
      return windows[a].frequency_hz.front() < windows[b].frequency_hz.front();
    });
    position_.assign(used.size(), 0);
    first_cell_.assign(used.size(), 0);
    std::size_t cell = 0;
    for (std::size_t w : rank) {
      position_[w] = s_.windows.size();
      first_cell_[w] = cell;
      cell += s_.kind == SolutionKind::kBandpass ? windows[w].frequency_hz.size() : 1;
      s_.windows.push_back(windows[w]);
    }
  }

  // Where the table was solved; what describes it may be missing.
  void ReadField() {
    if (main_.keywordSet().isDefined("FIELD")) {
      const cc::Table table = Subtable("FIELD");
      cc::Int id = 0;
      if (main_.tableDesc().isColumn("FIELD_ID")) {
        NeedColumn(main_, "FIELD_ID", cc::TpInt, false);
        id = cc::ScalarColumn<cc::Int>(main_, "FIELD_ID")(0);
      }
      if (id >= 0 && static_cast<cc::rownr_t>(id) < table.nrow()) {
        const auto row = static_cast<cc::rownr_t>(id);
        NeedColumn(table, "PHASE_DIR", cc::TpDouble, true, "FIELD::");
        NeedColumn(table, "NAME", cc::TpString, false, "FIELD::");
        const cc::ArrayColumn<cc::Double> direction(table, "PHASE_DIR");
        if (direction.isDefined(row)) {
          const std::vector<double> values = direction(row).tovector();
          if (values.size() >= 2) {
            s_.field_ra_rad = values[0];
            s_.field_dec_rad = values[1];
          }
        }
        s_.field_name = cc::ScalarColumn<cc::String>(table, "NAME")(row);
      }
    }
    const auto text = [&](const char* subtable, const char* column) {
      std::vector<std::string> lines;
      if (!main_.keywordSet().isDefined(subtable)) return lines;
      const cc::Table table = Subtable(subtable);
      NeedColumn(table, column, cc::TpString, false, (std::string(subtable) + "::").c_str());
      const cc::ScalarColumn<cc::String> values(table, column);
      for (cc::rownr_t i = 0; i < table.nrow(); ++i) lines.push_back(values(i));
      return lines;
    };
    const std::vector<std::string> telescopes = text("OBSERVATION", "TELESCOPE_NAME");
    if (!telescopes.empty()) s_.telescope_name = telescopes.front();
    s_.history = text("HISTORY", "MESSAGE");
  }

  // Fills the intervals; returns that of each row.
  std::vector<std::size_t> ReadTimes(const std::vector<double>& times, const std::vector<cc::Int>& windows) {
    std::vector<double> lengths(times.size(), 0.0);
    if (main_.tableDesc().isColumn("INTERVAL")) {
      NeedColumn(main_, "INTERVAL", cc::TpDouble, false);
      lengths = cc::Vector<cc::Double>(cc::ScalarColumn<cc::Double>(main_, "INTERVAL").getColumn()).tovector();
    }
    std::vector<std::size_t> window(times.size());
    for (std::size_t row = 0; row < times.size(); ++row) {
      if (!std::isfinite(times[row])) Fail(fmt::format("has no time in row {}", row));
      window[row] = position_[static_cast<std::size_t>(windows[row])];
    }
    SolutionTimes grouped = GroupTimes(times, lengths, window, s_.windows.size());
    s_.intervals = std::move(grouped.intervals);
    s_.window_time_mjd_s = std::move(grouped.window_time_mjd_s);
    return std::move(grouped.interval_of_row);
  }

  void ReadRows() {
    const std::size_t n_rows = main_.nrow();
    const std::vector<double> times =
        cc::Vector<cc::Double>(cc::ScalarColumn<cc::Double>(main_, "TIME").getColumn()).tovector();
    const std::vector<cc::Int> antennas = Integers("ANTENNA1"), windows = Integers("SPECTRAL_WINDOW_ID");
    const std::vector<std::size_t> interval = ReadTimes(times, windows);
    FindReference();
    const RowColumns columns = Attach();
    SizeBy(columns);
    constexpr std::size_t kNone = static_cast<std::size_t>(-1);
    std::vector<std::size_t> row_of(s_.intervals.size() * s_.windows.size() * s_.antennas.size(), kNone);
    for (cc::rownr_t row = 0; row < n_rows; ++row) {
      const auto w = static_cast<std::size_t>(windows[row]);
      const cc::Int antenna = antennas[row];
      if (antenna < 0 || static_cast<std::size_t>(antenna) >= s_.antennas.size()) {
        Fail(fmt::format("refers in row {} to antenna {}, its ANTENNA names {}", row, antenna, s_.antennas.size()));
      }
      const Place place{interval[row], w, static_cast<std::size_t>(antenna)};
      std::size_t& first =
          row_of[(place.interval * s_.windows.size() + position_[w]) * s_.antennas.size() + place.antenna];
      if (first != kNone) {
        Fail(
            fmt::format("has two solutions of antenna '{}', spectral window {}, at {}: rows {} and {}; remove one of "
                        "them or solve anew",
                        s_.antennas[place.antenna].name, w, UtcOf(times[row]), first, row));
      }
      first = row;
      TakeRow(columns, row, place);
    }
  }

  // The columns of solutions; those that a table may lack are null then.
  struct RowColumns {
    cc::ArrayColumn<cc::Complex> gain;  // of B, G and T
    cc::ArrayColumn<cc::Float> delay;   // of K
    cc::ArrayColumn<cc::Float> error, snr, weight;
    cc::ArrayColumn<cc::Bool> flag;

    template <typename Column>
    static cc::IPosition ShapeOf(const Column& column, cc::rownr_t row) {
      return column.isDefined(row) ? column.shape(row) : cc::IPosition();
    }
    cc::IPosition Shape(cc::rownr_t row) const { return delay.isNull() ? ShapeOf(gain, row) : ShapeOf(delay, row); }
  };
  struct Place {
    std::size_t interval = 0, window = 0, antenna = 0;  // the window by its number in the table
  };

  std::vector<cc::Int> Integers(const char* column) const {
    NeedColumn(main_, column, cc::TpInt, false);
    return cc::Vector<cc::Int>(cc::ScalarColumn<cc::Int>(main_, column).getColumn()).tovector();
  }

  // ANTENNA2, where it is the same in all rows.
  void FindReference() {
    if (!main_.tableDesc().isColumn("ANTENNA2")) return;
    const std::vector<cc::Int> references = Integers("ANTENNA2");
    const bool same = std::all_of(references.begin(), references.end(), [&](cc::Int a) { return a == references[0]; });
    if (same && references[0] >= 0 && static_cast<std::size_t>(references[0]) < s_.antennas.size()) {
      s_.reference_antenna = references[0];
    }
  }

  RowColumns Attach() const {
    RowColumns columns;
    if (s_.kind == SolutionKind::kDelay) {
      columns.delay.attach(main_, "FPARAM");
    } else {
      columns.gain.attach(main_, "CPARAM");
    }
    const auto attach = [&](cc::ArrayColumn<cc::Float>& column, const char* name) {
      if (!main_.tableDesc().isColumn(name)) return;
      NeedColumn(main_, name, cc::TpFloat, true);
      column.attach(main_, name);
    };
    attach(columns.error, "PARAMERR");
    attach(columns.snr, "SNR");
    attach(columns.weight, "WEIGHT");
    columns.flag.attach(main_, "FLAG");
    return columns;
  }

  // Receptors of the first row, and room for all solutions.
  void SizeBy(const RowColumns& columns) {
    const cc::IPosition shape = columns.Shape(0);
    if (shape.nelements() != 2 || shape[0] < 1 || shape[0] > 2) Fail("has cells that are not [receptor][channel]");
    s_.n_receptors = static_cast<std::size_t>(shape[0]);
    if (s_.polarisation_independent && s_.n_receptors != 1) {
      Fail("has two values a cell, T Jones holds one for both polarisations");
    }
    constexpr std::size_t kSparsest = 200;  // of so many places one has a row
    if (s_.intervals.size() * s_.windows.size() * s_.antennas.size() > kSparsest * (main_.nrow() + kSparsest)) {
      Fail(fmt::format("has {} different times in {} rows: the rows of one solution must have one time",
                       s_.intervals.size(), main_.nrow()));
    }
    s_.Allocate();
    if (normalisation_.size() == s_.antennas.size() * s_.n_receptors) s_.normalisation = normalisation_;
  }

  void TakeRow(const RowColumns& columns, cc::rownr_t row, const Place& place) {
    const bool delays = s_.kind == SolutionKind::kDelay, bandpass = s_.kind == SolutionKind::kBandpass;
    const std::size_t n = bandpass ? s_.windows[position_[place.window]].frequency_hz.size() : 1;
    const cc::IPosition expected(2, static_cast<ssize_t>(s_.n_receptors), static_cast<ssize_t>(n));
    if (!columns.Shape(row).isEqual(expected) || !RowColumns::ShapeOf(columns.flag, row).isEqual(expected)) {
      Fail(fmt::format("has in row {} another shape than its spectral window", row));
    }
    const cc::Matrix<cc::Bool> flags(columns.flag(row));
    cc::Matrix<cc::Complex> gains;
    cc::Matrix<cc::Float> values, errors, snrs, weights;
    if (delays) {
      values.reference(columns.delay(row));
    } else {
      gains.reference(columns.gain(row));
    }
    const auto take = [&](const cc::ArrayColumn<cc::Float>& column, cc::Matrix<cc::Float>& into) {
      if (!column.isNull() && RowColumns::ShapeOf(column, row).isEqual(expected)) into.reference(column(row));
    };
    take(columns.error, errors);
    take(columns.snr, snrs);
    take(columns.weight, weights);
    for (std::size_t c = 0; c < n; ++c) {
      const std::size_t from = bandpass ? channel_order_[place.window][c] : 0;
      for (std::size_t r = 0; r < s_.n_receptors; ++r) {
        if (flags(r, from)) continue;
        const Complex value = delays ? Complex(values(r, from)) : Complex(gains(r, from));
        if (!std::isfinite(std::norm(value)) || (!delays && std::norm(value) == 0)) continue;
        const std::size_t i = s_.Index(place.interval, place.antenna, first_cell_[place.window] + c, r);
        s_.value[i] = value;
        s_.flag[i] = kSolved;
        if (!errors.empty()) s_.error[i] = errors(r, from);
        if (!snrs.empty()) s_.snr[i] = snrs(r, from);
        if (!s_.foreign && !weights.empty() && weights(r, from) == 0) s_.flag[i] = kInterpolated;
      }
    }
  }

  std::string path_;
  cc::Table main_;
  SolutionSet s_;
  bool middle_reference_ = false;  // delays have their zero phase in the middle of the window, not at REF_FREQUENCY
  std::vector<double> normalisation_;
  std::vector<std::size_t> position_, first_cell_;       // of each spectral window of the table
  std::vector<std::vector<std::size_t>> channel_order_;  // ascending in frequency
};

}  // namespace

SolutionSet ReadCalibrationTable(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) {
    throw Error(ErrorKind::kIo, "calibrate", path.string(), "does not exist");
  }
  const std::lock_guard<std::mutex> lock(convert::internal::CasacoreMutex());
  // What casacore says of damaged files helps nobody. Some of its exceptions are standard ones, and sizes that are
  // damaged want more memory than there is.
  try {
    return TableReader(path.string()).Read();
  } catch (const Error&) {
    throw;
  } catch (const std::exception&) {
    throw Error(ErrorKind::kBadInput, "calibrate", path.string(),
                "cannot be read as a calibration table: a file in it is missing, cut off or of another sort; copy the "
                "whole folder again or solve anew");
  }
}

}  // namespace contimg::calibrate
