// Tables in text, as others write them: a line of names, then rows.
#pragma once

#include <cstddef>
#include <filesystem>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace contimg::mosaic {

struct CsvTable {
  std::string subject;  // what errors name: the file
  std::vector<std::string> names;
  std::vector<std::vector<std::string>> rows;  // as many fields as names
  std::vector<std::size_t> lines;              // of each row, from 1

  // The column of that name, in whatever case; none: there is no such column.
  std::optional<std::size_t> Find(std::string_view name) const;
  // The first of these that there is; throws Error{kBadInput} that names them and what there is.
  std::size_t Require(std::initializer_list<std::string_view> names, std::string_view what) const;
  // A field as a number; NaN where it is empty, "nan", "null" or "--". Throws Error{kBadInput} with the line's number.
  double Number(std::size_t row, std::size_t column) const;
};

// Separators are commas, tabs, semicolons, bars or blanks, told by the line of names; fields may be quoted; lines that
// begin with # are comments, the last of them before the first row may be the line of names. Throws Error{kIo} when the
// file cannot be read and Error{kBadInput}, with the line's number where there is one, for a row with another number of
// fields than names, a name that stands there twice, a quotation mark that is not closed, NUL bytes, a table without
// rows, a compressed file, more than 256 MB.
CsvTable ReadCsv(const std::filesystem::path& path);
CsvTable ParseCsv(std::string_view text, const std::string& subject);

}  // namespace contimg::mosaic
