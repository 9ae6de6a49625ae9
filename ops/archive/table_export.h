// What is on record as compressed CSV, for people and programs without SQLite, and for tape.
//
//   <scratch>/archive/catalogs/2025-10-14/products.csv.zst caltables.csv.zst groups.csv.zst … SHA256SUMS
//
// CSV as RFC 4180 has it: a line of column names, then one for each row; fields with commas, quotes or line ends are
// quoted, NULL is an empty field. A folder is made under a hidden name and gets its own when it is whole and synced.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "config/product_paths.h"
#include "config/run_context.h"

namespace contimg::ops {

struct ExportRequest {
  const ProductPaths& paths;
  std::filesystem::path directory;  // of the folders; made when it is not there
  std::string day;                  // "2025-10-14"
  double keep_days = 0;             // folders of days that lie further back are removed afterwards; 0: none is
};

struct ExportedTable {
  std::string file;  // "products.csv.zst"
  std::int64_t rows = 0;
  std::uint64_t bytes = 0;
};

struct TableExport {
  std::filesystem::path folder;
  bool was_there = false;             // that day's was made before: nothing was done
  std::vector<ExportedTable> tables;  // of databases that are there, by file
  std::vector<std::string> removed;   // days
};

// Error{kIo} when there is no database to export; as the databases and the disk say. Reports progress as "export".
TableExport ExportTables(const ExportRequest& request, const RunContext& context);

// One line of CSV, with its end.
std::string CsvLine(const std::vector<std::string>& fields);

}  // namespace contimg::ops
