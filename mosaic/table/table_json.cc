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

}  // namespace contimg::mosaic
