#include "convert/casacore/set_tables.h"

#include <casacore/tables/DataMan/TSMOption.h>
#include <casacore/tables/Tables/TableAttr.h>
#include <casacore/tables/Tables/TableDesc.h>
#include <casacore/tables/Tables/TableRecord.h>
#include <fmt/format.h>

#include <utility>

#include "convert/casacore/tile_file.h"

namespace contimg::convert::internal {
namespace {

namespace fs = std::filesystem;

casacore::Table Open(const fs::path& path) {
  std::error_code failed;
  if (!fs::exists(path, failed)) {
    throw Error(ErrorKind::kIo, "convert", path.string(),
                failed ? "cannot be looked at: " + failed.message() : std::string("does not exist"));
  }
  if (!fs::exists(path / "table.dat", failed)) {
    throw BadSet(path.string(), "is not a Measurement Set: it has no table.dat");
  }
  // Not mapped into memory: a file that is cut off would end the program.
  return casacore::Table(path.string(), casacore::TableLock(casacore::TableLock::NoLocking), casacore::Table::Old,
                         casacore::TSMOption(casacore::TSMOption::Cache));
}

}  // namespace

SetTables::SetTables(const fs::path& path) : SetTables(Open(path), path.string()) {}

SetTables::SetTables(const casacore::Table& main, std::string path) : main_(main), path_(std::move(path)) {}

casacore::Table SetTables::IfAny(const std::string& name) const {
  const casacore::TableRecord& keywords = main_.keywordSet();
  if (!keywords.isDefined(name) || keywords.dataType(name) != casacore::TpTable) return {};
  const fs::path folder(std::string(keywords.tableAttributes(name).name()));
  std::error_code failed;
  if (!fs::exists(folder / "table.dat", failed)) return {};
  const casacore::Table table = keywords.asTable(name);
  return table.nrow() > 0 ? table : casacore::Table();
}

casacore::Table SetTables::Needed(const std::string& name) const {
  casacore::Table table = IfAny(name);
  if (table.isNull()) {
    throw BadSet(path_,
                 fmt::format("expected a Measurement Set with a subtable {}, found none or an empty one; copy the "
                             "set anew from where it was made",
                             name));
  }
  return table;
}

bool SetTables::Has(const std::string& column, casacore::DataType type, bool scalar) const {
  if (!main_.tableDesc().isColumn(column)) return false;
  const casacore::ColumnDesc& found = main_.tableDesc().columnDesc(column);
  if (found.isScalar() != scalar || found.dataType() != type) {
    const auto words = [](bool one, casacore::DataType of) {
      return fmt::format("{} of {}", one ? "numbers" : "arrays", std::string(casacore::ValType::getTypeStr(of)));
    };
    throw BadSet(path_, fmt::format("expected {} in column {}, found {}", words(scalar, type), column,
                                    words(found.isScalar(), found.dataType())));
  }
  return true;
}

bool SetTables::HasScalars(const std::string& column, casacore::DataType type) const { return Has(column, type, true); }
bool SetTables::HasArrays(const std::string& column, casacore::DataType type) const { return Has(column, type, false); }

bool SetTables::ReadStraight(const std::string& column, std::size_t bits, std::size_t n,
                             const std::function<void*(std::size_t rows)>& room) const {
  const auto file = TileFile::Find(main_, column, bits);
  if (!file || file->bits_per_row() != bits * n) return false;
  file->Read(0, main_.nrow(), room(main_.nrow()));
  return true;
}

casacore::Matrix<double> SetTables::Cells(const std::string& column, std::size_t n) const {
  const casacore::ArrayColumn<double> cells = Arrays<double>(column);
  casacore::Matrix<double> values;
  if (ReadStraight(column, 64, n, [&](std::size_t rows) {
        values.resize(n, rows);
        return values.data();
      })) {
    return values;
  }
  const casacore::Array<double> all = cells.getColumn();
  if (all.ndim() != 2 || static_cast<std::size_t>(all.shape()[0]) != n) {
    throw BadSet(path_, fmt::format("expected {} numbers in every cell of {}", n, column));
  }
  return casacore::Matrix<double>(all);
}

Error SetTables::Lacks(const std::string& column) const {
  return BadSet(path_, "has no column " + column + ", which is needed");
}

}  // namespace contimg::convert::internal
