// What a table of fluxes, of found sources or of the tiles of a mosaic (FITS) holds, for a person and for scripts.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <fstream>

#include "config/text.h"
#include "mosaic/table/fits_table.h"
#include "ops/cli/inspector.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// A table of one of these names behind an empty image; compressed images are such tables of other names.
bool IsSourceTable(const fs::path& path) {
  constexpr std::size_t kBlock = 2880, kHeaderBlocks = 8;
  std::ifstream file(path, std::ios::binary);
  std::string text((1 + kHeaderBlocks) * kBlock, ' ');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.rfind("SIMPLE  =", 0) != 0 || text.compare(std::min(kBlock, text.size()), 9, "XTENSION=") != 0) return false;
  return text.find("EXTNAME = 'photometry'") != std::string::npos ||
         text.find("EXTNAME = 'sources ") != std::string::npos || text.find("EXTNAME = 'TILES ") != std::string::npos;
}

void ValidateRows(const mosaic::Table& table, Inspection& inspection) {
  for (const mosaic::TableColumn& column : table.columns) {
    const auto* numbers = std::get_if<std::vector<double>>(&column.values);
    if (numbers == nullptr || (column.name != "flux_jy" && column.name != "flux_error_jy")) continue;
    std::size_t bad = 0;
    for (const double value : *numbers) {
      bad += std::isfinite(value) && (column.name == "flux_jy" || value > 0) ? 0 : 1;
    }
    if (bad > 0) inspection.problems.push_back(fmt::format("{} values of {} are none", bad, column.name));
  }
}

std::vector<Inspection> InspectSourceTables(const InspectRequest& request, const RunContext&) {
  return InspectEach(request, "source_table", [&](Inspection& inspection) {
    const mosaic::Table table = mosaic::ReadFitsTable(inspection.path);
    std::vector<std::string> names;
    json facts = json::object();
    for (const mosaic::TableColumn& column : table.columns) names.push_back(column.name);
    for (const auto& [key, value] : table.facts) facts[key] = value;
    inspection.facts = {{"kind", "source_table"}, {"path", inspection.path.string()},
                        {"table", table.name},    {"rows", table.rows()},
                        {"columns", names},       {"facts", facts}};
    inspection.text =
        fmt::format("{}: table {} of {}\n  columns       {}\n", Printable(inspection.path.string()), table.name,
                    Counted(static_cast<std::int64_t>(table.rows()), "row"), fmt::join(names, ", "));
    for (const auto& [key, value] : table.facts) {
      inspection.text += fmt::format("  {:<18}  {}\n", Printable(key), Printable(value));
    }
    if (request.validate) ValidateRows(table, inspection);
  });
}

}  // namespace

const Inspector& SourceTableInspector() {
  static const Inspector inspector{"source_table", IsSourceTable, InspectSourceTables};
  return inspector;
}

}  // namespace contimg::ops
