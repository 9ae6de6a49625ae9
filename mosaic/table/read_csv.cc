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

constexpr std::uint64_t kMostBytes = 256'000'000;

char SeparatorOf(std::string_view line) {
  for (const char c : {',', '\t', ';', '|'}) {
    if (line.find(c) != std::string_view::npos) return c;
  }
  return ' ';
}

struct Fields {
  std::vector<std::string> fields;
  std::string trouble;  // why it is no line of a table
};

Fields Split(std::string_view line, char separator) {
  Fields result;
  line = separator == '\t' ? line : Trimmed(line);
  for (std::size_t i = 0; i <= line.size();) {
    while (i < line.size() && line[i] == ' ') ++i;
    std::string field;
    if (i < line.size() && line[i] == '"') {
      bool closed = false;
      for (++i; i < line.size() && !closed; ++i) {
        if (line[i] != '"') {
          field += line[i];
        } else if (i + 1 < line.size() && line[i + 1] == '"') {
          field += line[i++];
        } else {
          closed = true;
        }
      }
      const std::size_t end = std::min(line.find(separator, i), line.size());
      const std::string_view behind = Trimmed(line.substr(i, end - i));
      if (!closed) result.trouble = "has a quotation mark that is never closed";
      if (!behind.empty()) result.trouble = fmt::format("has '{}' behind a quoted field", behind.substr(0, 30));
      i = end;
    } else {
      const std::size_t end = std::min(line.find(separator, i), line.size());
      field = std::string(Trimmed(line.substr(i, end - i)));
      i = end;
    }
    result.fields.push_back(std::move(field));
    ++i;
    if (separator == ' ') {
      while (i < line.size() && line[i] == ' ') ++i;
      if (i >= line.size()) break;
    }
  }
  return result;
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
  if (text.starts_with("\x1f\x8b")) {
    throw Error(ErrorKind::kBadInput, kCsvStage, subject, "is compressed: expected text; gunzip it first");
  }
  if (const std::size_t nul = text.find('\0'); nul != std::string_view::npos) {
    const auto line =
        static_cast<std::size_t>(std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(nul), '\n')) + 1;
    throw bad(line, "expected text, found a NUL byte: is it binary, UTF-16 (save it as UTF-8), or damaged?");
  }
  // Old Macintosh files end their lines with carriage returns alone.
  const char line_end = text.find('\n') == std::string_view::npos ? '\r' : '\n';
  std::string comment;  // the last one, which may hold the names
  char separator = ',';
  std::size_t number = 0;
  const auto split = [&](std::string_view line, char by) {
    Fields fields = Split(line, by);
    if (!fields.trouble.empty()) throw bad(number, fields.trouble);
    return std::move(fields.fields);
  };
  for (std::size_t from = 0; from < text.size();) {
    const std::size_t end = std::min(text.find(line_end, from), text.size());
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
      const auto first = split(line, separator);
      const bool rows_at_once = std::all_of(first.begin(), first.end(), [](const std::string& field) {
        return !field.empty() && NumberOf(field).has_value();
      });
      table.names = rows_at_once ? split(comment, SeparatorOf(comment)) : first;
      std::set<std::string> known;
      for (const std::string& name : table.names) {
        if (!known.insert(Lower(name)).second) throw bad(number, "the column " + name + " stands there twice");
      }
      if (!rows_at_once) continue;
      if (comment.empty()) throw bad(number, "expected a line with the names of the columns before the first row");
    }
    std::vector<std::string> fields = split(line, separator);
    if (fields.size() != table.names.size()) {
      throw bad(number,
                fmt::format("expected {} fields as in the line of names, found {}", table.names.size(), fields.size()));
    }
    table.rows.push_back(std::move(fields));
    table.lines.push_back(number);
  }
  if (table.rows.empty())
    throw Error(ErrorKind::kBadInput, kCsvStage, subject,
                "there are no rows in it: expected a line of names and lines of values");
  return table;
}

CsvTable ReadCsv(const std::filesystem::path& path) {
  if (const std::uint64_t size = FileSize(path); size > kMostBytes) {
    throw Error(ErrorKind::kBadInput, kCsvStage, path.string(),
                fmt::format("is of {} MB: expected a table of at most {} MB in text; split it, or make it a FITS table",
                            size / 1000000, kMostBytes / 1000000));
  }
  return ParseCsv(RealOs().ReadFile(path), path.string());
}

}  // namespace contimg::mosaic
