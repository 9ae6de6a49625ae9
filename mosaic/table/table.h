// A table of results, column by column, and the forms in which others read it: CSV, VOTable, FITS, regions.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "config/os.h"

namespace contimg::mosaic {

struct TableColumn {
  std::string name;
  std::string unit;  // as VOUnits and FITS spell it: "deg", "Jy", "arcsec"; empty: none
  std::string ucd;   // IVOA UCD1+: "pos.eq.ra;meta.main"
  std::string meaning;
  int decimals = 6;  // of floating-point values in CSV and VOTable; negative: that many significant digits
  std::variant<std::vector<double>, std::vector<std::int64_t>, std::vector<std::string>> values;
  bool in_csv = true;  // the columns of CSV files are a contract; what is not in it is in the other forms alone
  // Of times in MJD days: "UTC" at the telescope or "TDB" at the barycentre of the solar system; empty: no time.
  std::string time_scale = {};

  std::size_t size() const;
};

// A keyword of a FITS table.
struct TableCard {
  std::string name;
  std::variant<std::string, double, std::int64_t, bool> value;
  std::string comment;
};

struct Table {
  std::string name;
  std::string description;
  std::vector<TableColumn> columns;                        // of one length; NaN: no value
  std::vector<std::pair<std::string, std::string>> facts;  // what is true of all rows: PARAM, HISTORY
  std::vector<TableCard> cards = {};                       // in FITS alone; not read back

  std::size_t rows() const { return columns.empty() ? 0 : columns.front().size(); }
};

enum class TableForm { kCsv, kVotable, kFits };
// By the ending: .csv, .vot (.votable, .xml), .fits. Throws Error{kUsage} for others.
TableForm FormOf(const std::filesystem::path& path);

// One line of names, then the rows; texts quoted where they have to be; no value: an empty field.
std::string CsvText(const Table& table);
// VOTable 1.4, TABLEDATA.
std::string VotableText(const Table& table);

// Throws what WriteTable would, before anything is computed: Error{kUsage} for an ending that tells no form and for a
// name that is taken.
void CheckResult(const std::filesystem::path& path, bool overwrite);
// The second of these alone.
void CheckName(const std::filesystem::path& path, bool overwrite);

// Beside a table in CSV stands what its columns are: X.csv, X.json.
std::filesystem::path MetadataPath(const std::filesystem::path& csv);

// Writes the table in the form that the name tells, by a hidden name beside it; of CSV also MetadataPath's file
// (table_json.h), under the same conditions. Throws Error{kUsage} when `path` exists
// and `overwrite` is not set, Error{kIo, kResource} when it cannot be written.
void WriteTable(Os& os, const std::filesystem::path& path, const Table& table, bool overwrite);
// The same of any text.
void WriteResult(Os& os, const std::filesystem::path& path, const std::string& text, bool overwrite);
// The same of what `make` makes at the path that it is given, a hidden one beside `path`.
void PublishResult(Os& os, const std::filesystem::path& path, bool overwrite,
                   const std::function<void(const std::filesystem::path& hidden)>& make);

}  // namespace contimg::mosaic
