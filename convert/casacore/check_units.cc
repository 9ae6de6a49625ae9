#include "convert/casacore/check_units.h"

#include <casacore/casa/Arrays/Vector.h>
#include <casacore/tables/Tables/TableColumn.h>
#include <casacore/tables/Tables/TableDesc.h>
#include <casacore/tables/Tables/TableRecord.h>
#include <fmt/format.h>

#include <cmath>

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
    const std::string stated = unit;
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

}  // namespace contimg::convert::internal
