// A table as a FITS binary table, written and read.
#pragma once

#include <filesystem>
#include <string>

#include "mosaic/table/table.h"

namespace contimg::mosaic {

// Writes `table` as the first extension of a new file. Names, units and UCDs of columns are TTYPE, TUNIT and TUCD; what
// is true of all rows stands in HISTORY, its cards among the keywords. Throws Error{kIo, kResource}.
void WriteFitsTable(const std::filesystem::path& path, const Table& table);
// The same file as bytes. Throws Error{kResource}.
std::string FitsTableBytes(const Table& table);
// Such a table, to the last bit; of columns, names and units. Throws Error{kIo} when the file cannot be read and
// Error{kBadInput} when it holds no such table.
Table ReadFitsTable(const std::filesystem::path& path);

}  // namespace contimg::mosaic
