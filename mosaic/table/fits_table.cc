#include "mosaic/table/fits_table.h"

#include <fitsio.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "config/error.h"
#include "mosaic/table/stage_name.h"

namespace contimg::mosaic {
namespace {

// FITS has printable ASCII alone.
std::string Ascii(std::string text) {
  for (char& c : text) {
    if (c < 32 || c > 126) c = '?';
  }
  return text;
}

std::string FormatOf(const TableColumn& column) {
  if (std::holds_alternative<std::vector<double>>(column.values)) return "1D";
  if (std::holds_alternative<std::vector<std::int64_t>>(column.values)) return "1K";
  std::size_t width = 1;
  for (const std::string& text : std::get<std::vector<std::string>>(column.values))
    width = std::max(width, text.size());
  return std::to_string(width) + "A";
}

void WriteColumn(fitsfile* file, int number, const TableColumn& column, int& status) {
  const auto rows = static_cast<LONGLONG>(column.size());
  if (rows == 0) return;
  if (const auto* numbers = std::get_if<std::vector<double>>(&column.values)) {
    fits_write_col(file, TDOUBLE, number, 1, 1, rows, const_cast<double*>(numbers->data()), &status);
  } else if (const auto* whole = std::get_if<std::vector<std::int64_t>>(&column.values)) {
    std::vector<LONGLONG> copy(whole->begin(), whole->end());
    fits_write_col(file, TLONGLONG, number, 1, 1, rows, copy.data(), &status);
  } else {
    std::vector<std::string> texts;
    for (const std::string& text : std::get<std::vector<std::string>>(column.values)) texts.push_back(Ascii(text));
    std::vector<char*> pointers;
    for (std::string& text : texts) pointers.push_back(text.data());
    fits_write_col(file, TSTRING, number, 1, 1, rows, pointers.data(), &status);
  }
}

void WriteTableTo(fitsfile* file, const Table& table, int& status) {
  std::vector<std::string> names, formats, units;
  for (const TableColumn& column : table.columns) {
    names.push_back(column.name);
    formats.push_back(FormatOf(column));
    units.push_back(column.unit);
  }
  const auto pointers = [](std::vector<std::string>& texts) {
    std::vector<char*> list;
    for (std::string& text : texts) list.push_back(text.data());
    return list;
  };
  auto name = pointers(names), format = pointers(formats), unit = pointers(units);
  fits_create_tbl(file, BINARY_TBL, static_cast<LONGLONG>(table.rows()), static_cast<int>(names.size()), name.data(),
                  format.data(), unit.data(), table.name.c_str(), &status);
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    const TableColumn& column = table.columns[i];
    const std::string n = std::to_string(i + 1);
    if (!column.ucd.empty())
      fits_update_key_longstr(file, ("TUCD" + n).c_str(), Ascii(column.ucd).c_str(), "", &status);
    fits_update_key_longstr(file, ("TCOMM" + n).c_str(), Ascii(column.meaning).c_str(), "", &status);
    WriteColumn(file, static_cast<int>(i + 1), column, status);
  }
  fits_write_key_longwarn(file, &status);
  for (const auto& [key, value] : table.facts) fits_write_history(file, Ascii(key + " = " + value).c_str(), &status);
}

struct FreeMemory {
  void operator()(void* memory) const { std::free(memory); }
};

}  // namespace

void WriteFitsTable(const std::filesystem::path& path, const Table& table) {
  int status = 0;
  fitsfile* file = nullptr;
  fits_create_diskfile(&file, path.c_str(), &status);
  WriteTableTo(file, table, status);
  int closing = 0;
  if (file != nullptr) fits_close_file(file, &closing);
  status = status != 0 ? status : closing;
  if (status == 0) return;
  const int error_number = errno;
  char text[FLEN_STATUS] = "";
  fits_get_errstatus(status, text);
  fits_clear_errmsg();
  const bool system = status == WRITE_ERROR || status == FILE_NOT_CREATED || status == FILE_NOT_CLOSED;
  if (system && error_number != 0)
    throw SystemError(kStage, path.string(), "cannot write the FITS table", error_number);
  throw Error(ErrorKind::kIo, kStage, path.string(), std::string("cannot write the FITS table: ") + text);
}

std::string FitsTableBytes(const Table& table) {
  int status = 0;
  fitsfile* file = nullptr;
  std::size_t size = 2880;  // a block of FITS, to begin with
  void* memory = std::malloc(size);
  fits_create_memfile(&file, &memory, &size, std::size_t{1} << 16, std::realloc, &status);
  WriteTableTo(file, table, status);
  LONGLONG end = 0;
  fits_flush_file(file, &status);
  fits_get_hduaddrll(file, nullptr, nullptr, &end, &status);
  int closing = 0;
  if (file != nullptr) fits_close_file(file, &closing);
  const std::unique_ptr<void, FreeMemory> owned(memory);
  if (status == 0 && closing == 0 && static_cast<std::size_t>(end) <= size) {
    return std::string(static_cast<const char*>(memory), static_cast<std::size_t>(end));
  }
  fits_clear_errmsg();
  throw Error(ErrorKind::kResource, kStage, table.name, "no memory for the FITS table");
}

}  // namespace contimg::mosaic
