#include "convert/casacore/spectral_setup.h"

#include <casacore/tables/Tables/TableDesc.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "convert/casacore/check_units.h"

namespace contimg::convert::internal {
namespace {

using casacore::Vector;

Window ReadWindow(const casacore::Table& table, int spw, const std::string& path) {
  const casacore::ArrayColumn<double> frequencies(table, "CHAN_FREQ"), widths(table, "CHAN_WIDTH");
  Window window;
  window.spw = spw;
  window.name = TextOr(table, "NAME", static_cast<std::size_t>(spw));
  if (frequencies.isDefined(spw)) {
    const Vector<double> frequency(frequencies(spw));
    window.frequency_hz.assign(frequency.begin(), frequency.end());
  }
  if (window.frequency_hz.empty()) throw BadSet(path, fmt::format("spectral window {} has no channels", spw));
  window.reversed = window.frequency_hz.front() > window.frequency_hz.back();
  if (window.reversed) std::reverse(window.frequency_hz.begin(), window.frequency_hz.end());
  for (std::size_t c = 0; c < window.frequency_hz.size(); ++c) {
    const double f = window.frequency_hz[c];
    if (!(f > 0) || !std::isfinite(f) || (c > 0 && f <= window.frequency_hz[c - 1])) {
      throw BadSet(path, fmt::format("expected frequencies above 0 in rising or falling order in CHAN_FREQ of spectral "
                                     "window {}, found {:g} Hz in channel {}",
                                     spw, f, window.reversed ? window.frequency_hz.size() - 1 - c : c));
    }
  }
  const Vector<double> width = widths.isDefined(spw) ? Vector<double>(widths(spw)) : Vector<double>();
  window.width_hz = width.nelements() == 0 ? 0 : std::abs(width[0]);
  if (!(window.width_hz > 0) || !std::isfinite(window.width_hz)) {
    throw BadSet(path, fmt::format("expected a width other than 0 in CHAN_WIDTH of spectral window {}", spw));
  }
  CheckWidths(width, spw, path);
  for (std::size_t c = 1; c < window.frequency_hz.size(); ++c) {
    CheckSpacing(window.width_hz, window.frequency_hz[c] - window.frequency_hz[c - 1], spw, path);
  }
  window.first_hz = window.frequency_hz.front();
  return window;
}

}  // namespace

std::string TextOr(const casacore::Table& table, const std::string& column, std::size_t row) {
  if (table.isNull() || row >= table.nrow() || !table.tableDesc().isColumn(column)) return "";
  const casacore::ColumnDesc& found = table.tableDesc().columnDesc(column);
  if (!found.isScalar() || found.dataType() != casacore::TpString) return "";
  return casacore::ScalarColumn<casacore::String>(table, column)(row);
}

int SubbandOfName(const std::string& name) {
  if (name.size() != 4 || name.compare(0, 2, "sb") != 0) return -1;
  if (name.find_first_not_of("0123456789", 2) != std::string::npos) return -1;
  return std::stoi(name.substr(2));
}

std::vector<int> ReadCorrelations(const SetTables& tables, int setup) {
  const casacore::Table table = tables.Needed("POLARIZATION");
  if (setup < 0 || static_cast<std::size_t>(setup) >= table.nrow()) {
    throw BadSet(
        tables.path(),
        fmt::format("DATA_DESCRIPTION names polarisation setup {}, but POLARIZATION has {} rows", setup, table.nrow()));
  }
  const Vector<int> types(casacore::ArrayColumn<int>(table, "CORR_TYPE")(setup));
  return {types.begin(), types.end()};
}

std::vector<Window> ReadWindows(const SetTables& tables, const std::set<int>& wanted) {
  const std::string& path = tables.path();
  const casacore::Table table = tables.Needed("SPECTRAL_WINDOW");
  std::vector<Window> windows;
  for (const int spw : wanted) {
    if (spw < 0 || spw >= static_cast<int>(table.nrow())) {
      throw BadSet(path, fmt::format("has no spectral window {}", spw));
    }
    windows.push_back(ReadWindow(table, spw, path));
  }
  std::sort(windows.begin(), windows.end(), [](const Window& a, const Window& b) { return a.first_hz < b.first_hz; });
  for (std::size_t i = 1; i < windows.size(); ++i) {
    const Window &a = windows[i - 1], &b = windows[i];
    if (b.first_hz <= a.frequency_hz.back()) {
      throw BadSet(path, fmt::format("spectral windows {} and {} overlap; select some of them", a.spw, b.spw));
    }
    if (std::abs(a.width_hz - b.width_hz) > 1e-6 * a.width_hz) {
      throw BadSet(
          path, fmt::format("spectral windows {} and {} have channels of {:.0f} and {:.0f} Hz; select one width", a.spw,
                            b.spw, a.width_hz, b.width_hz));
    }
    CheckSpacing(b.width_hz, b.first_hz - a.frequency_hz.back(), b.spw, path);
  }
  return windows;
}

}  // namespace contimg::convert::internal
