#include "ops/api/source_api.h"

#include <fmt/format.h>

#include "ops/api/answer.h"
#include "ops/api/source_query.h"
#include "ops/lightcurves/light_curve_table.h"
#include "ops/records/row_json.h"

namespace contimg::ops {
namespace {

using nlohmann::ordered_json;

constexpr int kSourcesUnlessAsked = 100, kMostSources = 1000;

HttpResponse NoSource(const std::string& word) { return HttpProblem(404, fmt::format("there is no source {}", word)); }

HttpResponse SourceListAnswer(const HttpRequest& request, PipelineView& view, const char* name,
                              const std::optional<state::SourceListQuery>& query) {
  std::vector<state::ListedSource> rows;
  if (query) rows = state::ListSources(view.Sources()->database(), *query);
  const bool full = query && static_cast<int>(rows.size()) == query->limit;
  ordered_json head;
  head["next_after"] = full ? ordered_json(rows.back().source.id) : ordered_json();
  return TableAnswer(request, SourcesTable(rows), std::move(head), name, name);
}

ordered_json CatalogueMatches(state::SourceStore& store, const state::OwnSourceRow& source) {
  ordered_json matches = ordered_json::array();
  for (const state::ConeMatch& match : store.Cone(source.ra_deg, source.dec_deg, kNeighbourDeg)) {
    ordered_json entry = RowJson(match.source);
    entry["separation_arcsec"] = match.separation_deg * 3600;
    matches.push_back(std::move(entry));
  }
  return matches;
}

ordered_json Neighbours(state::SourceStore& store, const state::OwnSourceRow& source) {
  state::SourceListQuery query;
  query.cone = {source.ra_deg, source.dec_deg, kNeighbourDeg};
  query.order = state::SourceOrder::kDistance;
  ordered_json neighbours = ordered_json::array();
  for (const state::ListedSource& row : state::ListSources(store.database(), query)) {
    if (row.source.id == source.id) continue;
    ordered_json entry = RowJson(row.source);
    entry["separation_arcsec"] = *row.separation_deg * 3600;
    neighbours.push_back(std::move(entry));
  }
  return neighbours;
}

ordered_json Datasets(state::SourceStore& store, const state::OwnSourceRow& source) {
  state::DatasetStore datasets(store.database());
  ordered_json list = ordered_json::array();
  for (const state::DatasetRow& row : datasets.Of(source.id)) {
    ordered_json entry = RowJson(row);
    entry["made_of"] = ordered_json::array();
    for (const std::int64_t parent : datasets.Parents(row.id)) entry["made_of"].push_back(datasets.Find(parent)->name);
    list.push_back(std::move(entry));
  }
  return list;
}

}  // namespace

const std::vector<std::string>& SourceListParameters() {
  static const std::vector<std::string> names{"q",           "at",          "radius_deg", "group", "flags", "origin",
                                              "min_flux_jy", "max_flux_jy", "level",      "kind",  "min_n", "eta",
                                              "v",           "p",           "since",      "sort",  "after", "limit"};
  return names;
}

const std::vector<std::string>& LightCurveParameters() {
  static const std::vector<std::string> names{"level", "kind", "normalised", "quality", "from", "to", "dataset"};
  return names;
}

HttpResponse ApiSources(const HttpRequest& request, PipelineView& view) {
  state::SourceStore* store = view.Sources();
  std::optional<state::SourceListQuery> query;
  if (store != nullptr) query = SourceQueryOf(request, *store, kSourcesUnlessAsked, kMostSources);
  return SourceListAnswer(request, view, "sources", query);
}

HttpResponse ApiVariables(const HttpRequest& request, PipelineView& view) {
  state::SourceStore* store = view.Sources();
  std::optional<state::SourceListQuery> query;
  if (store != nullptr) {
    query = SourceQueryOf(request, *store, kSourcesUnlessAsked, kMostSources);
    if (request.Parameter("min_n").empty()) query->min_n = 2;
    if (request.Parameter("sort").empty()) query->order = state::SourceOrder::kEta;
  }
  return SourceListAnswer(request, view, "variables", query);
}

HttpResponse ApiSource(const HttpRequest& request, PipelineView& view) {
  state::SourceStore* store = view.Sources();
  std::optional<state::OwnSourceRow> source;
  if (store != nullptr) source = SourceOfWord(*store, request.tail);
  if (!source) return NoSource(request.tail);
  ordered_json value = RowJson(*source);
  state::LightCurveStore curves(store->database());
  value["statistics"] = ordered_json::array();
  for (const std::string& kind : curves.KindsOf(source->id)) {
    for (const char* level : {"tile", "transit"}) {
      const auto statistics = curves.Statistics(source->id, kind, level);
      if (statistics) value["statistics"].push_back(RowJson(*statistics));
    }
  }
  value["datasets"] = Datasets(*store, *source);
  value["neighbours"] = Neighbours(*store, *source);
  value["catalogues"] = CatalogueMatches(*store, *source);
  return JsonAnswer(value);
}

HttpResponse ApiLightCurve(const HttpRequest& request, PipelineView& view) {
  state::SourceStore* store = view.Sources();
  std::optional<state::OwnSourceRow> source;
  if (store != nullptr) source = SourceOfWord(*store, request.tail);
  if (!source) return NoSource(request.tail);
  const CurveQuery query = CurveQueryOf(request, *store);
  mosaic::Table table;
  if (query.dataset.empty()) {
    state::LightCurveStore curves(store->database());
    table = LightCurveTable(*source, LightCurveOf(curves, *source, query.request), query.request);
  } else {
    table = DatasetTable(*source, DatasetCalled(*store, *source, query.dataset));
  }
  ordered_json head;
  for (const auto& [name, value] : table.facts) head[name] = value;
  return TableAnswer(request, table, std::move(head), "points", source->name);
}

}  // namespace contimg::ops
