// Reads columns straight from the files of their tiled storage managers, as docs/decisions/0002-direct-tiles.md writes
// them: casacore works with one thread and copies every cell twice. C++17.
#pragma once

#include <casacore/tables/Tables/Table.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/descriptor.h"

namespace contimg::convert::internal {

// A column whose cells follow each other in its file in row order: row r begins at bit r · bits_per_row.
class TileFile {
 public:
  // Nothing unless casacore's list of storage managers says that the column is alone in a TiledColumnStMan whose tiles
  // span whole cells and are not padded, in the byte order of this machine, and the file is there and long enough.
  // `bits`: of one element. Throws Error{kIo} when the file cannot be opened.
  static std::optional<TileFile> Find(const casacore::Table& table, const std::string& column, std::size_t bits);

  std::size_t bits_per_row() const { return bits_per_row_; }
  // `rows` rows as they lie in the file. Thread-safe. Throws Error{kIo}.
  void Read(std::size_t first_row, std::size_t rows, void* to) const;
  // The same for a column of bits (lowest first): one byte, 0 or 1, per element.
  void ReadBits(std::size_t first_row, std::size_t rows, std::vector<std::uint8_t>& scratch, std::uint8_t* to) const;

 private:
  TileFile(Descriptor descriptor, std::filesystem::path path, std::size_t bits_per_row)
      : descriptor_(std::move(descriptor)), path_(std::move(path)), bits_per_row_(bits_per_row) {}
  void ReadBytes(std::uint64_t offset, std::size_t size, void* to) const;

  Descriptor descriptor_;
  std::filesystem::path path_;
  std::size_t bits_per_row_;
};

}  // namespace contimg::convert::internal
