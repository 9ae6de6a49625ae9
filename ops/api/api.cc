#include "ops/api/api.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <initializer_list>
#include <string>
#include <string_view>

#include "config/error.h"
#include "config/product_paths.h"
#include "ops/api/answer.h"
#include "ops/api/group_query.h"
#include "ops/records/cure.h"
#include "ops/records/row_json.h"

namespace contimg::ops {
namespace {

using nlohmann::ordered_json;

constexpr int kRowsUnlessAsked = 100, kMostRows = 1000;

// A kind of the query, one of `kinds`; empty: any.
template <class Kinds>
std::string KindParameter(const HttpRequest& request, const Kinds& kinds) {
  const std::string word = request.Parameter("kind");
  std::string words;
  for (const auto kind : kinds) {
    if (word.empty() || word == ToString(kind)) return word;
    words += fmt::format("{}{}", words.empty() ? "" : ", ", ToString(kind));
  }
  throw Error(ErrorKind::kUsage, "http", "kind", fmt::format("expected one of {}; found '{}'", words, word));
}

// The state of a row, one of `words`; empty: any.
std::string StatusParameter(const HttpRequest& request, std::initializer_list<std::string_view> words) {
  const std::string text = request.Parameter("status");
  if (!text.empty() && std::find(words.begin(), words.end(), text) == words.end()) {
    throw Error(ErrorKind::kUsage, "http", "status",
                fmt::format("expected {} and found '{}'", fmt::join(words, ", "), text));
  }
  return text;
}

}  // namespace

HttpResponse ApiGroups(const HttpRequest& request, PipelineView& view) {
  const state::GroupQuery query = QueryOf(request, kRowsUnlessAsked, kMostRows);
  const auto rows = view.Groups(query);
  // Where the list goes on: ?after=…
  const bool full = static_cast<int>(rows.size()) == query.limit;
  return JsonAnswer({{"groups", RowsJson(rows)}, {"next_after", full ? ordered_json(rows.back().id) : ordered_json()}});
}

HttpResponse ApiGroup(const HttpRequest& request, PipelineView& view) {
  const auto row = view.FindGroup(request.tail);
  if (!row) return HttpProblem(404, fmt::format("there is no group {}", request.tail));
  ordered_json value = RowJson(*row);
  const Cure cure = CureOf(*row);
  value["cure"] = {{"sentence", TextOrNull(cure.sentence)}, {"commands", cure.commands}};
  value["command"] = TextOrNull(cure.commands.empty() ? std::string() : cure.commands.back());
  value["files"] = RowsJson(view.Files(row->id));
  state::ProductQuery products;
  products.group_id = row->id;
  products.newest_first = false;
  value["products"] = RowsJson(view.Products(products));
  value["jobs"] = RowsJson(view.Jobs(row->id));
  value["calibration"] = RowsJson(view.Choices(row->id));
  value["events"] = RowsJson(view.Events(row->id, kMostRows));
  return JsonAnswer(value);
}

HttpResponse ApiTasks(const HttpRequest& request, PipelineView& view) {
  state::TaskQuery query;
  query.kind = request.Parameter("kind");
  if (const std::string state = request.Parameter("state"); !state.empty()) {
    query.states.push_back(state::ParseGroupState(state));
  }
  query.limit = LimitOf(request, kRowsUnlessAsked, kMostRows);
  return JsonAnswer({{"tasks", RowsJson(view.Tasks(query))}});
}

HttpResponse ApiProducts(const HttpRequest& request, PipelineView& view) {
  state::ProductQuery query;
  query.kind = KindParameter(request, AllProductKinds());
  query.group_id = request.Parameter("group");
  query.status = StatusParameter(request, {"present", "archived", "removed", "missing"});
  query.from_mjd = MjdParameter(request, "from");
  query.before_mjd = MjdParameter(request, "before");
  query.limit = LimitOf(request, kRowsUnlessAsked, kMostRows);
  return JsonAnswer({{"products", RowsJson(view.Products(query))}});
}

HttpResponse ApiProduct(const HttpRequest& request, PipelineView& view) {
  std::int64_t id = 0;
  const char* end = request.tail.data() + request.tail.size();
  const auto parsed = std::from_chars(request.tail.data(), end, id);
  std::optional<state::ProductRow> row;
  if (parsed.ec == std::errc() && parsed.ptr == end) row = view.FindProduct(id);
  if (!row) return HttpProblem(404, fmt::format("there is no product {}", request.tail));
  ordered_json value = RowJson(*row);
  value["lineage"] = ordered_json::array();
  for (const auto& ancestor : view.Ancestors(id)) {
    ordered_json entry = {{"depth", ancestor.depth}, {"child", ancestor.child_id}};
    entry.update(RowJson(ancestor.product));
    value["lineage"].push_back(std::move(entry));
  }
  value["children"] = ordered_json::array();
  for (const auto& child : view.Children(id)) value["children"].push_back(child.id);
  return JsonAnswer(value);
}

HttpResponse ApiCalibration(const HttpRequest& request, PipelineView& view) {
  state::CalTableQuery query;
  query.kind = KindParameter(request, std::array{CalKind::kDelay, CalKind::kBandpass, CalKind::kGain});
  query.status = StatusParameter(request, {"active", "retired", "failed"});
  query.from_mjd = MjdParameter(request, "from");
  query.before_mjd = MjdParameter(request, "before");
  query.covering_mjd = MjdParameter(request, "at");
  query.limit = LimitOf(request, kMostRows, kMostRows);
  return JsonAnswer({{"tables", RowsJson(view.Tables(query))}});
}

}  // namespace contimg::ops
