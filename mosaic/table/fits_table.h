// A table as a FITS binary table.
#pragma once

#include <filesystem>
#include <string>

#include "mosaic/table/table.h"

namespace contimg::mosaic {

// Writes `table` as the first extension of a new file. Names, units and UCDs of columns are TTYPE, TUNIT and TUCD; what
// is true of all rows stands in HISTORY. Throws Error{kIo, kResource}.
void WriteFitsTable(const std::filesystem::path& path, const Table& table);
// The same file as bytes. Throws Error{kResource}.
std::string FitsTableBytes(const Table& table);

}  // namespace contimg::mosaic
