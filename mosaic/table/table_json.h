// A table as JSON: a list of its rows, each an object of all columns.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "mosaic/table/table.h"

namespace contimg::mosaic {

nlohmann::ordered_json RowsJson(const Table& table);  // no value: null

// What stands beside a table in CSV: its name, description, number of rows, of each column name, datatype (of VOTable),
// unit, UCD and meaning, and under "provenance" what is true of all rows.
std::string MetadataText(const Table& table);

}  // namespace contimg::mosaic
