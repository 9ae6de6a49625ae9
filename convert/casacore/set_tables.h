// The tables of a Measurement Set, opened as they are needed: other programs' sets lack some that the standard asks for
// (PROCESSOR, STATE, HISTORY…) and are read all the same. C++17.
#pragma once

#include <casacore/casa/Arrays/Matrix.h>
#include <casacore/casa/Arrays/Vector.h>
#include <casacore/casa/Utilities/ValType.h>
#include <casacore/tables/Tables/ArrayColumn.h>
#include <casacore/tables/Tables/ScalarColumn.h>
#include <casacore/tables/Tables/Table.h>

#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <type_traits>

#include "config/error.h"

namespace contimg::convert::internal {

// What is wrong with the input at `path`.
inline Error BadSet(const std::string& path, const std::string& message) {
  return Error(ErrorKind::kBadInput, "convert", path, message);
}

class SetTables {
 public:
  // Opens MAIN for reading, without locks. Throws Error{kIo} when the path does not exist, Error{kBadInput} when it is
  // no Measurement Set. The casacore lock is held by the caller.
  explicit SetTables(const std::filesystem::path& path);
  // `main` is open already; `path` is what messages call it.
  SetTables(const casacore::Table& main, std::string path);

  const casacore::Table& main() const { return main_; }
  const std::string& path() const { return path_; }
  // A subtable with rows. Throws Error{kBadInput} when there is none.
  casacore::Table Needed(const std::string& name) const;
  // The same, or a null table.
  casacore::Table IfAny(const std::string& name) const;
  // MAIN has this column, of this type and kind of cell. Throws Error{kBadInput} when it has one of another type.
  bool HasScalars(const std::string& column, casacore::DataType type) const;
  bool HasArrays(const std::string& column, casacore::DataType type) const;

  // A scalar column of MAIN. Throws Error{kBadInput} when it is absent or has another type.
  template <typename T>
  casacore::Vector<T> Scalars(const std::string& column) const {
    if (!HasScalars(column, casacore::ValType::getType(static_cast<T*>(nullptr)))) throw Lacks(column);
    casacore::Vector<T> values;
    if constexpr (!std::is_same_v<T, bool>) {
      if (ReadStraight(column, 8 * sizeof(T), 1, [&](std::size_t rows) {
            values.resize(rows);
            return values.data();
          })) {
        return values;
      }
    }
    return casacore::ScalarColumn<T>(main_, column).getColumn();
  }
  // An array column of MAIN, likewise.
  template <typename T>
  casacore::ArrayColumn<T> Arrays(const std::string& column) const {
    if (!HasArrays(column, casacore::ValType::getType(static_cast<T*>(nullptr)))) throw Lacks(column);
    return casacore::ArrayColumn<T>(main_, column);
  }
  // All of an array column of MAIN whose cells have `n` numbers each, [row][n]. Throws Error{kBadInput} when it is
  // absent, has another type or other cells.
  casacore::Matrix<double> Cells(const std::string& column, std::size_t n) const;
  // "has no column X, which is needed"
  Error Lacks(const std::string& column) const;

 private:
  bool Has(const std::string& column, casacore::DataType type, bool scalar) const;
  // Reads a column of `n` numbers of `bits` a row from its file, where tile_file.h can, to where room(rows) says.
  bool ReadStraight(const std::string& column, std::size_t bits, std::size_t n,
                    const std::function<void*(std::size_t rows)>& room) const;

  casacore::Table main_;
  std::string path_;
};

}  // namespace contimg::convert::internal
