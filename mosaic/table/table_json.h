// A table as JSON: a list of its rows, each an object of all columns.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "mosaic/table/table.h"

namespace contimg::mosaic {

nlohmann::ordered_json RowsJson(const Table& table);  // no value: null

}  // namespace contimg::mosaic
