// Rows of the databases as JSON: one dialect for the API and for `--json` of the commands.
//
// Times are ISO 8601 UTC to the millisecond with a Z; what is absent is null; units are in the names. Fields are added,
// never renamed: docs/operations/http-api.md describes them.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "ops/mosaics/window_states.h"
#include "state/cal_table_store.h"
#include "state/dataset_store.h"
#include "state/group_store.h"
#include "state/light_curve_store.h"
#include "state/mosaic_store.h"
#include "state/own_source_store.h"
#include "state/product_store.h"
#include "state/source_store.h"
#include "state/task_store.h"

namespace contimg::ops {

nlohmann::ordered_json TimeJson(double unix_s);    // null for 0 and for what is no time
nlohmann::ordered_json TimeOfMjdJson(double mjd);  // the same for MJD days
nlohmann::ordered_json TextOrNull(const std::string& text);
// What a column of JSON holds; the text itself when it is none.
nlohmann::ordered_json ParsedColumn(const std::string& text);

nlohmann::ordered_json RowJson(const state::GroupRow& row);
nlohmann::ordered_json RowJson(const state::TaskRow& row);
nlohmann::ordered_json RowJson(const state::SubbandFileRow& row);
nlohmann::ordered_json RowJson(const state::EventRow& row);
nlohmann::ordered_json RowJson(const state::ProductRow& row);
nlohmann::ordered_json RowJson(const state::JobRow& row);
nlohmann::ordered_json RowJson(const state::MosaicRow& row);
nlohmann::ordered_json RowJson(const state::MosaicTileRow& row);
nlohmann::ordered_json RowJson(const WindowState& window);
nlohmann::ordered_json RowJson(const state::CalTableRow& row);
nlohmann::ordered_json RowJson(const state::CalChoiceRow& row);
nlohmann::ordered_json RowJson(const state::SolveRow& row);
nlohmann::ordered_json RowJson(const state::OwnSourceRow& row);
nlohmann::ordered_json RowJson(const state::StatisticsRow& row);  // without the sums
nlohmann::ordered_json RowJson(const state::SourceRow& row);
nlohmann::ordered_json RowJson(const state::DatasetRow& row);  // without its points

// {"backup": {"done": 3}} and {"backup": "2025-10-14T03:00:02Z"}: the tasks of the status document.
nlohmann::ordered_json TaskCountsJson(const std::map<std::string, std::map<state::WorkState, std::int64_t>>& counts);
nlohmann::ordered_json LastDoneJson(const std::map<std::string, double>& done_at);

template <class Rows>
nlohmann::ordered_json RowsJson(const Rows& rows) {
  nlohmann::ordered_json array = nlohmann::ordered_json::array();
  for (const auto& row : rows) array.push_back(RowJson(row));
  return array;
}

}  // namespace contimg::ops
