#include "mosaic/table/read_csv.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <set>

#include "config/error.h"
#include "config/os.h"

namespace contimg::mosaic {
namespace {

constexpr const char* kCsvStage = "table";

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

std::string_view Trimmed(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

char SeparatorOf(std::string_view line) {
  for (const char c : {',', '\t', ';', '|'}) {
    if (line.find(c) != std::string_view::npos) return c;
  }
  return ' ';
}

std::vector<std::string> Split(std::string_view line, char separator) {
  std::vector<std::string> fields;
  line = separator == '\t' ? line : Trimmed(line);
  for (std::size_t i = 0; i <= line.size();) {
    while (i < line.size() && line[i] == ' ') ++i;
    std::string field;
    if (i < line.size() && line[i] == '"') {
      for (++i; i < line.size(); ++i) {
        if (line[i] != '"') {
          field += line[i];
        } else if (i + 1 < line.size() && line[i + 1] == '"') {
          field += line[i++];
        } else {
          break;
        }
      }
      i = std::min(line.find(separator, i), line.size());
    } else {
      const std::size_t end = std::min(line.find(separator, i), line.size());
      field = std::string(Trimmed(line.substr(i, end - i)));
      i = end;
    }
    fields.push_back(std::move(field));
    ++i;
    if (separator == ' ') {
      while (i < line.size() && line[i] == ' ') ++i;
      if (i >= line.size()) break;
    }
  }
  return fields;
}

std::optional<double> NumberOf(std::string_view text) {
  const std::string lower = Lower(text);
  if (lower.empty() || lower == "nan" || lower == "null" || lower == "--" || lower == "masked") return NAN;
  if (text.front() == '+') text.remove_prefix(1);
  double value = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (status != std::errc() || end != text.data() + text.size() || std::isinf(value)) return std::nullopt;
  return value;
}

}  // namespace

std::optional<std::size_t> CsvTable::Find(std::string_view name) const {
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (Lower(names[i]) == Lower(name)) return i;
  }
  return std::nullopt;
}

std::size_t CsvTable::Require(std::initializer_list<std::string_view> wanted, std::string_view what) const {
  for (const std::string_view name : wanted) {
    if (const auto column = Find(name)) return *column;
  }
  throw Error(ErrorKind::kBadInput, kCsvStage, subject,
              fmt::format("expected a column with the {} ({}), found the columns {}", what, fmt::join(wanted, ", "),
                          fmt::join(names, ", ")));
}

double CsvTable::Number(std::size_t row, std::size_t column) const {
  const std::string& text = rows[row][column];
  if (const auto number = NumberOf(text)) return *number;
  throw Error(ErrorKind::kBadInput, kCsvStage, subject,
              fmt::format("line {}: expected a number in column {}, found '{}'", lines[row], names[column], text));
}

CsvTable ParseCsv(std::string_view text, const std::string& subject) {
  CsvTable table;
  table.subject = subject;
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  const auto bad = [&](std::size_t line, const std::string& words) {
    return Error(ErrorKind::kBadInput, kCsvStage, subject, fmt::format("line {}: {}", line, words));
  };
  std::string comment;  // the last one, which may hold the names
  char separator = ',';
  std::size_t number = 0;
  for (std::size_t from = 0; from < text.size();) {
    const std::size_t end = std::min(text.find('\n', from), text.size());
    const std::string_view line = text.substr(from, end - from);
    from = end + 1;
    ++number;
    const std::string_view content = Trimmed(line);
    if (content.empty()) continue;
    if (content.front() == '#') {
      if (table.names.empty()) comment = std::string(Trimmed(content.substr(1)));
      continue;
    }
    if (table.names.empty()) {
      separator = SeparatorOf(content);
      const auto first = Split(line, separator);
      const bool rows_at_once = std::all_of(first.begin(), first.end(), [](const std::string& field) {
        return !field.empty() && NumberOf(field).has_value();
      });
      table.names = rows_at_once ? Split(comment, SeparatorOf(comment)) : first;
      std::set<std::string> known;
      for (const std::string& name : table.names) {
        if (!known.insert(Lower(name)).second) throw bad(number, "the column " + name + " stands there twice");
      }
      if (!rows_at_once) continue;
      if (comment.empty()) throw bad(number, "expected a line with the names of the columns before the first row");
    }
    std::vector<std::string> fields = Split(line, separator);
    if (fields.size() != table.names.size()) {
      throw bad(number,
                fmt::format("expected {} fields as in the line of names, found {}", table.names.size(), fields.size()));
    }
    table.rows.push_back(std::move(fields));
    table.lines.push_back(number);
  }
  if (table.rows.empty()) throw Error(ErrorKind::kBadInput, kCsvStage, subject, "there are no rows in it");
  return table;
}

CsvTable ReadCsv(const std::filesystem::path& path) { return ParseCsv(RealOs().ReadFile(path), path.string()); }

}  // namespace contimg::mosaic
