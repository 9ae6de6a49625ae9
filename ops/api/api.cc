#include "ops/api/api.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string>

#include "config/product_paths.h"
#include "config/time.h"
#include "ops/api/group_query.h"
#include "ops/records/cure.h"

namespace contimg::ops {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr int kRowsUnlessAsked = 100, kMostRows = 1000;

HttpResponse Answer(const ordered_json& value) {
  HttpResponse response;
  response.body = value.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
  return response;
}

ordered_json Time(double unix_s) {
  return unix_s > 0 && unix_s < 2e11 ? ordered_json(UtcTime::FromUnix(unix_s).Iso8601(3) + "Z") : ordered_json();
}
ordered_json TimeOfMjd(double mjd) { return mjd > 0 ? Time(UtcTime::FromMjd(mjd).unix_s()) : ordered_json(); }
ordered_json Parsed(const std::string& text) {
  ordered_json value = ordered_json::parse(text, nullptr, false);
  return value.is_discarded() ? ordered_json(text) : value;
}
ordered_json TextOrNull(const std::string& text) { return text.empty() ? ordered_json() : ordered_json(text); }
template <class T>
ordered_json ValueOrNull(const std::optional<T>& value) {
  return value ? ordered_json(*value) : ordered_json();
}

// A time of the query, in the forms of UtcTime::FromPerson.
std::optional<double> MjdParameter(const HttpRequest& request, const char* name) {
  const std::string text = request.Parameter(name);
  if (text.empty()) return std::nullopt;
  return UtcTime::FromPerson(name, text).mjd();
}

ordered_json ToJson(const state::GroupRow& row) {
  return {{"id", row.id},
          {"state", ToString(row.state)},
          {"priority", row.priority},
          {"attempts", row.attempts},
          {"next_attempt_at", Time(row.next_attempt_at)},
          {"error_kind", row.error_kind ? ordered_json(ToString(*row.error_kind)) : ordered_json()},
          {"error", TextOrNull(row.error)},
          {"subbands_present", row.subbands_present},
          {"subbands_expected", row.subbands_expected},
          {"data_start", TimeOfMjd(row.data_start_mjd)},
          {"data_end", TimeOfMjd(row.data_end_mjd)},
          {"first_file_at", Time(row.first_file_at)},
          {"created_at", Time(row.created_at)},
          {"updated_at", Time(row.updated_at)},
          {"started_at", Time(row.started_at)},
          {"finished_at", Time(row.finished_at)},
          {"executor", TextOrNull(row.executor)},
          {"executor_id", TextOrNull(row.executor_id)},
          {"stage", TextOrNull(row.stage)},
          {"progress", row.progress},
          {"timings_s", Parsed(row.timings_json)}};
}

ordered_json ToJson(const state::TaskRow& row) {
  return {{"id", row.id},
          {"kind", row.kind},
          {"state", ToString(row.state)},
          {"priority", row.priority},
          {"attempts", row.attempts},
          {"next_attempt_at", Time(row.next_attempt_at)},
          {"error_kind", row.error_kind ? ordered_json(ToString(*row.error_kind)) : ordered_json()},
          {"error", TextOrNull(row.error)},
          {"created_at", Time(row.created_at)},
          {"updated_at", Time(row.updated_at)},
          {"started_at", Time(row.started_at)},
          {"finished_at", Time(row.finished_at)},
          {"executor", TextOrNull(row.executor)},
          {"executor_id", TextOrNull(row.executor_id)},
          {"stage", TextOrNull(row.stage)},
          {"progress", row.progress},
          {"timings_s", Parsed(row.timings_json)}};
}

ordered_json ToJson(const state::ProductRow& row) {
  return {{"id", row.id},
          {"kind", row.kind},
          {"path", row.path},
          {"group", TextOrNull(row.group_id)},
          {"start", TimeOfMjd(row.start_mjd)},
          {"end", TimeOfMjd(row.end_mjd)},
          {"ra_deg", ValueOrNull(row.ra_deg)},
          {"dec_deg", ValueOrNull(row.dec_deg)},
          {"size_bytes", row.size_bytes},
          {"checksum", TextOrNull(row.checksum)},
          {"grade", TextOrNull(row.qa_grade)},
          {"qa", Parsed(row.qa_json)},
          {"status", row.status},
          {"archive_path", TextOrNull(row.archive_path)},
          {"job", ValueOrNull(row.job_id)},
          {"created_at", Time(row.created_at)},
          {"updated_at", Time(row.updated_at)}};
}

ordered_json ToJson(const state::JobRow& row) {
  return {{"id", row.id},
          {"group", row.group_id},
          {"kind", row.kind},
          {"settings_hash", row.settings_hash},
          {"settings", Parsed(row.settings_json)},
          {"version", row.program_version},
          {"host", row.host},
          {"command", row.command},
          {"started_at", Time(row.started_at)},
          {"finished_at", Time(row.finished_at)},
          {"outcome", TextOrNull(row.outcome)},
          {"error", TextOrNull(row.error)},
          {"peak_memory_bytes", row.peak_memory_bytes},
          {"timings", Parsed(row.timings_json)},
          {"report", Parsed(row.report_json)}};
}

ordered_json ToJson(const state::CalTableRow& row) {
  return {{"id", row.id},
          {"kind", row.kind},
          {"interval", row.interval},
          {"path", row.path},
          {"valid_from", TimeOfMjd(row.valid_from_mjd)},
          {"valid_to", TimeOfMjd(row.valid_to_mjd)},
          {"source_group", TextOrNull(row.source_group)},
          {"model", TextOrNull(row.model)},
          {"refant", TextOrNull(row.refant)},
          {"status", row.status},
          {"reason", TextOrNull(row.reason)},
          {"quality", Parsed(row.quality_json)},
          {"flag_fractions", Parsed(row.flag_fractions_json)},
          {"checksum", TextOrNull(row.checksum)},
          {"registered_at", Time(row.registered_at)}};
}

template <class Rows>
ordered_json ArrayOf(const Rows& rows) {
  ordered_json array = ordered_json::array();
  for (const auto& row : rows) array.push_back(ToJson(row));
  return array;
}

}  // namespace

HttpResponse ApiGroups(const HttpRequest& request, PipelineView& view) {
  const state::GroupQuery query = QueryOf(request, kRowsUnlessAsked, kMostRows);
  const auto rows = view.Groups(query);
  // Where the list goes on: ?after=…
  const bool full = static_cast<int>(rows.size()) == query.limit;
  return Answer({{"groups", ArrayOf(rows)}, {"next_after", full ? ordered_json(rows.back().id) : ordered_json()}});
}

HttpResponse ApiGroup(const HttpRequest& request, PipelineView& view) {
  const auto row = view.FindGroup(request.tail);
  if (!row) return HttpProblem(404, fmt::format("there is no group {}", request.tail));
  ordered_json value = ToJson(*row);
  const Cure cure = CureOf(*row);
  value["cure"] = {{"sentence", TextOrNull(cure.sentence)}, {"commands", cure.commands}};
  value["command"] = TextOrNull(cure.commands.empty() ? std::string() : cure.commands.back());
  value["files"] = ordered_json::array();
  for (const auto& file : view.Files(row->id)) {
    value["files"].push_back({{"subband", file.subband},
                              {"path", file.path},
                              {"size_bytes", file.size_bytes},
                              {"status", file.status},
                              {"seen_at", Time(file.seen_at)}});
  }
  state::ProductQuery products;
  products.group_id = row->id;
  products.newest_first = false;
  value["products"] = ArrayOf(view.Products(products));
  value["jobs"] = ArrayOf(view.Jobs(row->id));
  value["calibration"] = ordered_json::array();
  for (const auto& choice : view.Choices(row->id)) {
    value["calibration"].push_back({{"kind", choice.kind},
                                    {"table", ValueOrNull(choice.table_id)},
                                    {"reason", choice.reason},
                                    {"chosen_at", Time(choice.chosen_at)}});
  }
  value["events"] = ordered_json::array();
  for (const auto& event : view.Events(row->id, kMostRows)) {
    value["events"].push_back({{"at", Time(event.at)},
                               {"kind", event.kind},
                               {"from", TextOrNull(event.from_state)},
                               {"to", TextOrNull(event.to_state)},
                               {"actor", event.actor},
                               {"detail", event.detail}});
  }
  return Answer(value);
}

HttpResponse ApiTasks(const HttpRequest& request, PipelineView& view) {
  state::TaskQuery query;
  query.kind = request.Parameter("kind");
  if (const std::string state = request.Parameter("state"); !state.empty()) {
    query.states.push_back(state::ParseGroupState(state));
  }
  query.limit = LimitOf(request, kRowsUnlessAsked, kMostRows);
  return Answer({{"tasks", ArrayOf(view.Tasks(query))}});
}

HttpResponse ApiProducts(const HttpRequest& request, PipelineView& view) {
  state::ProductQuery query;
  query.kind = request.Parameter("kind");
  query.group_id = request.Parameter("group");
  query.status = request.Parameter("status");
  query.from_mjd = MjdParameter(request, "from");
  query.before_mjd = MjdParameter(request, "before");
  query.limit = LimitOf(request, kRowsUnlessAsked, kMostRows);
  return Answer({{"products", ArrayOf(view.Products(query))}});
}

HttpResponse ApiProduct(const HttpRequest& request, PipelineView& view) {
  std::int64_t id = 0;
  const char* end = request.tail.data() + request.tail.size();
  const auto parsed = std::from_chars(request.tail.data(), end, id);
  std::optional<state::ProductRow> row;
  if (parsed.ec == std::errc() && parsed.ptr == end) row = view.FindProduct(id);
  if (!row) return HttpProblem(404, fmt::format("there is no product {}", request.tail));
  ordered_json value = ToJson(*row);
  value["lineage"] = ordered_json::array();
  for (const auto& ancestor : view.Ancestors(id)) {
    ordered_json entry = {{"depth", ancestor.depth}, {"child", ancestor.child_id}};
    entry.update(ToJson(ancestor.product));
    value["lineage"].push_back(std::move(entry));
  }
  value["children"] = ordered_json::array();
  for (const auto& child : view.Children(id)) value["children"].push_back(child.id);
  return Answer(value);
}

HttpResponse ApiCalibration(const HttpRequest& request, PipelineView& view) {
  state::CalTableQuery query;
  query.kind = request.Parameter("kind");
  query.status = request.Parameter("status");
  query.from_mjd = MjdParameter(request, "from");
  query.before_mjd = MjdParameter(request, "before");
  query.covering_mjd = MjdParameter(request, "at");
  query.limit = LimitOf(request, kMostRows, kMostRows);
  return Answer({{"tables", ArrayOf(view.Tables(query))}});
}

}  // namespace contimg::ops
