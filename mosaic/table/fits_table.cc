#include "mosaic/table/fits_table.h"

#include <fitsio.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
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

void WriteCard(fitsfile* file, const TableCard& card, int& status) {
  const char* name = card.name.c_str();
  const char* comment = card.comment.c_str();
  if (const auto* text = std::get_if<std::string>(&card.value)) {
    fits_update_key_longstr(file, name, Ascii(*text).c_str(), comment, &status);
  } else if (const auto* number = std::get_if<double>(&card.value)) {
    fits_update_key_dbl(file, name, *number, -15, comment, &status);
  } else if (const auto* whole = std::get_if<std::int64_t>(&card.value)) {
    fits_update_key_lng(file, name, *whole, comment, &status);
  } else {
    fits_update_key_log(file, name, std::get<bool>(card.value) ? 1 : 0, comment, &status);
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
  for (const TableCard& card : table.cards) WriteCard(file, card, status);
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

namespace {

// Closes it whatever happens.
class OpenTable {
 public:
  explicit OpenTable(const std::filesystem::path& path) : path_(path) {
    int status = 0;
    fits_open_diskfile(&file_, path.c_str(), READONLY, &status);
    if (status != 0) throw Failed(ErrorKind::kIo, "cannot read the FITS table", status);
    int type = 0;
    fits_movabs_hdu(file_, 2, &type, &status);
    if (status == 0 && type == BINARY_TBL) return;
    Close();
    fits_clear_errmsg();
    throw Error(ErrorKind::kBadInput, kStage, path_.string(), "expected a binary table as first extension");
  }
  OpenTable(const OpenTable&) = delete;
  OpenTable& operator=(const OpenTable&) = delete;
  ~OpenTable() { Close(); }
  fitsfile* file() const { return file_; }
  void Check(int status) const {
    if (status != 0) throw Failed(ErrorKind::kBadInput, "is a damaged FITS table", status);
  }
  Error Failed(ErrorKind kind, const std::string& what, int status) const {
    char text[FLEN_STATUS] = "";
    fits_get_errstatus(status, text);
    fits_clear_errmsg();
    return Error(kind, kStage, path_.string(), what + ": " + text);
  }

 private:
  void Close() {
    int ignored = 0;
    fits_close_file(file_, &ignored);
  }

  const std::filesystem::path& path_;
  fitsfile* file_ = nullptr;
};

TableColumn ReadColumn(const OpenTable& table, int number, LONGLONG rows) {
  TableColumn column;
  char name[FLEN_VALUE] = "", unit[FLEN_VALUE] = "";
  int type = 0, status = 0;
  long repeat = 0, width = 0;
  fits_get_bcolparms(table.file(), number, name, unit, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, &status);
  fits_get_coltype(table.file(), number, &type, &repeat, &width, &status);
  table.Check(status);
  column.name = name;
  column.unit = unit;
  const auto n = static_cast<std::size_t>(rows);
  if (type == TDOUBLE && repeat == 1) {
    std::vector<double> values(n);
    if (n > 0) fits_read_col(table.file(), TDOUBLE, number, 1, 1, rows, nullptr, values.data(), nullptr, &status);
    column.values = std::move(values);
  } else if (type == TLONGLONG && repeat == 1) {
    std::vector<LONGLONG> values(n);
    if (n > 0) fits_read_col(table.file(), TLONGLONG, number, 1, 1, rows, nullptr, values.data(), nullptr, &status);
    column.values = std::vector<std::int64_t>(values.begin(), values.end());
  } else if (type == TSTRING) {
    std::vector<std::string> values(n, std::string(static_cast<std::size_t>(repeat) + 1, '\0'));
    std::vector<char*> pointers;
    for (std::string& text : values) pointers.push_back(text.data());
    char none[] = "";
    if (n > 0) fits_read_col(table.file(), TSTRING, number, 1, 1, rows, none, pointers.data(), nullptr, &status);
    for (std::string& text : values) text.resize(std::string_view(text.c_str()).size());
    column.values = std::move(values);
  } else {
    throw Error(ErrorKind::kBadInput, kStage, column.name,
                "expected columns of one 64-bit number or a text each, found another");
  }
  table.Check(status);
  return column;
}

// "key = value" of the lines of HISTORY.
std::vector<std::pair<std::string, std::string>> ReadFacts(const OpenTable& table) {
  std::vector<std::pair<std::string, std::string>> facts;
  int cards = 0, status = 0;
  fits_get_hdrspace(table.file(), &cards, nullptr, &status);
  for (int i = 1; i <= cards && status == 0; ++i) {
    char card[FLEN_CARD] = "";
    fits_read_record(table.file(), i, card, &status);
    const std::string_view text(card);
    const std::size_t equals = text.find(" = ");
    if (text.substr(0, 8) != "HISTORY " || equals == std::string_view::npos) continue;
    facts.emplace_back(text.substr(8, equals - 8), text.substr(equals + 3));
  }
  table.Check(status);
  return facts;
}

}  // namespace

Table ReadFitsTable(const std::filesystem::path& path) {
  const OpenTable opened(path);
  Table table;
  int status = 0, columns = 0;
  LONGLONG rows = 0;
  char name[FLEN_VALUE] = "";
  fits_get_num_rowsll(opened.file(), &rows, &status);
  fits_get_num_cols(opened.file(), &columns, &status);
  fits_read_key(opened.file(), TSTRING, "EXTNAME", name, nullptr, &status);
  opened.Check(status);
  table.name = name;
  for (int i = 1; i <= columns; ++i) table.columns.push_back(ReadColumn(opened, i, rows));
  table.facts = ReadFacts(opened);
  return table;
}

}  // namespace contimg::mosaic
