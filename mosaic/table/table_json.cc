#include "mosaic/table/table_json.h"

#include <cmath>
#include <nlohmann/json.hpp>

namespace contimg::mosaic {

nlohmann::ordered_json RowsJson(const Table& table) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (std::size_t i = 0; i < table.rows(); ++i) {
    nlohmann::ordered_json row = nlohmann::ordered_json::object();
    for (const TableColumn& column : table.columns) {
      if (const auto* numbers = std::get_if<std::vector<double>>(&column.values)) {
        const double value = (*numbers)[i];
        row[column.name] = std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json(nullptr);
      } else if (const auto* whole = std::get_if<std::vector<std::int64_t>>(&column.values)) {
        row[column.name] = (*whole)[i];
      } else {
        row[column.name] = std::get<std::vector<std::string>>(column.values)[i];
      }
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

std::string MetadataText(const Table& table) {
  nlohmann::ordered_json columns = nlohmann::ordered_json::array();
  for (const TableColumn& column : table.columns) {
    if (!column.in_csv) continue;
    const char* type = std::holds_alternative<std::vector<double>>(column.values)         ? "double"
                       : std::holds_alternative<std::vector<std::int64_t>>(column.values) ? "long"
                                                                                          : "char";
    nlohmann::ordered_json each{{"name", column.name},
                                {"datatype", type},
                                {"unit", column.unit},
                                {"ucd", column.ucd},
                                {"description", column.meaning}};
    if (!column.time_scale.empty()) each["time_scale"] = column.time_scale;
    columns.push_back(std::move(each));
  }
  nlohmann::ordered_json provenance = nlohmann::ordered_json::object();
  for (const auto& [name, value] : table.facts) provenance[name] = value;
  const nlohmann::ordered_json all{{"table", table.name},
                                   {"description", table.description},
                                   {"rows", table.rows()},
                                   {"columns", columns},
                                   {"provenance", provenance}};
  return all.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace contimg::mosaic
