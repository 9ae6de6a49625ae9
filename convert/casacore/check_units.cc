#include "convert/casacore/check_units.h"

#include <casacore/casa/Arrays/Vector.h>
#include <casacore/tables/Tables/TableColumn.h>
#include <casacore/tables/Tables/TableDesc.h>
#include <casacore/tables/Tables/TableRecord.h>
#include <fmt/format.h>

#include <cmath>
#include <vector>

#include "config/error.h"

namespace contimg::convert::internal {
namespace {

void CheckUnit(const casacore::Table& table, const char* name, const std::string& expected, const std::string& path) {
  if (table.isNull() || !table.tableDesc().isColumn(name)) return;
  const casacore::TableColumn column(table, name);
  const casacore::TableRecord& keywords = column.keywordSet();
  if (!keywords.isDefined("QuantumUnits") || keywords.dataType("QuantumUnits") != casacore::TpArrayString) return;
  const casacore::Vector<casacore::String> units(keywords.asArrayString("QuantumUnits"));
  for (const casacore::String& unit : units) {
    const std::string& stated = unit;
    if (stated == expected || stated.empty()) continue;
    throw Error(ErrorKind::kBadInput, "convert", path,
                fmt::format("column {} is in {}, expected {}: convert the column and its QuantumUnits", name, stated,
                            expected));
  }
}

}  // namespace

void CheckUnits(const casacore::Table& main, const casacore::Table& windows, const casacore::Table& antennas,
                const std::string& path) {
  CheckUnit(main, "TIME", "s", path);
  CheckUnit(main, "INTERVAL", "s", path);
  CheckUnit(main, "UVW", "m", path);
  CheckUnit(windows, "CHAN_FREQ", "Hz", path);
  CheckUnit(windows, "CHAN_WIDTH", "Hz", path);
  CheckUnit(antennas, "POSITION", "m", path);
  CheckUnit(antennas, "DISH_DIAMETER", "m", path);
  const casacore::TableColumn times(main, "TIME");
  const casacore::TableRecord& time = times.keywordSet();
  if (!time.isDefined("MEASINFO") || time.dataType("MEASINFO") != casacore::TpRecord) return;
  const casacore::RecordInterface& measure = time.asRecord("MEASINFO");
  if (!measure.isDefined("Ref") || measure.dataType("Ref") != casacore::TpString) return;
  const std::string scale = measure.asString("Ref");
  if (scale != "UTC") {
    throw Error(ErrorKind::kBadInput, "convert", path,
                fmt::format("TIME is in the scale {}, expected UTC: convert the column and its reference", scale));
  }
}

void CheckWidths(const casacore::Vector<double>& width_hz, int spw, const std::string& path) {
  for (const double each : width_hz) {
    const double first = std::abs(width_hz[0]);
    if (std::abs(std::abs(each) - first) <= 1e-3 * first) continue;
    throw Error(ErrorKind::kBadInput, "convert", path,
                fmt::format("spectral window {} has channels of {:.0f} and {:.0f} Hz, expected one width: average or "
                            "split it",
                            spw, first, std::abs(each)));
  }
}

void CheckSpacing(double width_hz, double spacing_hz, int spw, const std::string& path) {
  constexpr double kMostOverlap = 2.5;
  if (width_hz <= kMostOverlap * spacing_hz) return;
  throw Error(ErrorKind::kBadInput, "convert", path,
              fmt::format("expected channels about as wide as they are apart, found CHAN_WIDTH {:.0f} Hz and CHAN_FREQ "
                          "{:.0f} Hz apart in spectral window {}; correct the column that is wrong",
                          width_hz, spacing_hz, spw));
}

void CheckDataUnit(const casacore::Table& main, const std::string& column, const std::string& path) {
  const casacore::TableColumn data(main, column);
  const casacore::TableRecord& keywords = data.keywordSet();
  std::vector<std::string> units;
  for (const char* name : {"QuantumUnits", "UNIT"}) {
    if (!keywords.isDefined(name)) continue;
    if (keywords.dataType(name) == casacore::TpString) units.push_back(keywords.asString(name));
    if (keywords.dataType(name) != casacore::TpArrayString) continue;
    for (const casacore::String& unit : casacore::Vector<casacore::String>(keywords.asArrayString(name))) {
      units.push_back(unit);
    }
  }
  for (const std::string& unit : units) {
    if (unit.empty() || unit == "Jy" || unit == "JY" || unit == "jy") continue;
    throw Error(
        ErrorKind::kBadInput, "convert", path,
        fmt::format("column {} is in {}, expected Jy: convert the column and its unit, or remove the keyword if "
                    "the data have no scale yet",
                    column, unit));
  }
}

}  // namespace contimg::convert::internal
