#include "ops/api/mosaic_api.h"

#include <fmt/format.h>

#include <algorithm>

#include "config/error.h"
#include "config/product_paths.h"
#include "ops/api/answer.h"
#include "ops/api/group_query.h"
#include "ops/records/mosaic_words.h"
#include "ops/records/row_json.h"

namespace contimg::ops {
namespace {

using nlohmann::ordered_json;

constexpr int kMosaicsUnlessAsked = 100, kMostMosaics = 1000, kMostOfAWindow = 100;
constexpr double kMostHours = 24;
constexpr int kMostWindowDays = 30;

std::string OneOf(const HttpRequest& request, const char* name, const std::vector<std::string>& words) {
  std::string word = request.Parameter(name);
  if (word.empty() || std::find(words.begin(), words.end(), word) != words.end()) return word;
  throw Error(ErrorKind::kUsage, "http", name, fmt::format("expected {} and found '{}'", fmt::join(words, ", "), word));
}

// A name as people copy it: a + that is not encoded comes as a blank.
std::string NameParameter(const HttpRequest& request, PipelineView& view) {
  std::string name = request.Parameter("after");
  std::replace(name.begin(), name.end(), ' ', '+');
  if (!name.empty() && !view.FindMosaic(name)) {
    throw Error(ErrorKind::kUsage, "http", "after",
                fmt::format("expected the name of a mosaic on record and found '{}'", name));
  }
  return name;
}

}  // namespace

const std::vector<std::string>& MosaicListParameters() {
  static const std::vector<std::string> names{"kind",   "strip", "state",     "lst",   "from",
                                              "before", "group", "reference", "after", "limit"};
  return names;
}

state::MosaicQuery MosaicQueryOf(const HttpRequest& request, PipelineView& view, int otherwise, int most) {
  state::MosaicQuery query;
  query.kind = OneOf(request, "kind", {"hourly", "deep"});
  query.state = OneOf(request, "state", {"open", "closed", "failed"});
  query.strip_deg = NumberParameter(request, "strip", -90, 90);
  query.lst_h = NumberParameter(request, "lst", 0, kMostHours);
  if (query.lst_h == kMostHours) query.lst_h = 0;
  query.from_mjd = MjdParameter(request, "from");
  query.before_mjd = MjdParameter(request, "before");
  query.group_id = request.Parameter("group");
  query.references_only = FlagParameter(request, "reference");
  query.after = NameParameter(request, view);
  query.limit = LimitOf(request, otherwise, most);
  return query;
}

std::vector<state::MosaicRow> OfTheSameWindow(PipelineView& view, const state::MosaicRow& mosaic, int limit) {
  state::MosaicQuery query;
  query.strip_deg = mosaic.strip_deg;
  query.lst_start_h = mosaic.lst_start_h;
  query.limit = limit + 1;
  std::vector<state::MosaicRow> rows = view.Mosaics(query);
  rows.erase(std::remove_if(rows.begin(), rows.end(), [&](const auto& row) { return row.id == mosaic.id; }),
             rows.end());
  if (rows.size() > static_cast<std::size_t>(limit)) rows.pop_back();
  return rows;
}

HttpResponse ApiMosaics(const HttpRequest& request, PipelineView& view) {
  const state::MosaicQuery query = MosaicQueryOf(request, view, kMosaicsUnlessAsked, kMostMosaics);
  const auto rows = view.Mosaics(query);
  const bool full = static_cast<int>(rows.size()) == query.limit;
  return JsonAnswer(
      {{"mosaics", RowsJson(rows)}, {"next_after", full ? ordered_json(rows.back().name) : ordered_json()}});
}

const std::vector<std::string>& MosaicWindowParameters() {
  static const std::vector<std::string> names{"strip", "from", "before"};
  return names;
}

HttpResponse ApiMosaicWindows(const HttpRequest& request, PipelineView& view) {
  const auto strip = NumberParameter(request, "strip", -90, 90);
  const auto from = MjdParameter(request, "from"), before = MjdParameter(request, "before");
  if (from && before && *before - *from > kMostWindowDays) {
    throw Error(ErrorKind::kUsage, "http", "before",
                fmt::format("expected at most {} days from 'from'", kMostWindowDays));
  }
  WindowsOfTime told = view.MosaicWindows(from, before);
  if (strip) KeepStrip(told, *strip);
  return JsonAnswer({{"from", TimeOfMjdJson(told.from_mjd)},
                     {"before", TimeOfMjdJson(told.to_mjd)},
                     {"windows", RowsJson(told.windows)}});
}

HttpResponse ApiMosaic(const HttpRequest& request, PipelineView& view) {
  const auto row = view.FindMosaic(request.tail);
  if (!row) return HttpProblem(404, fmt::format("there is no mosaic {}", request.tail));
  state::ProductQuery query;
  query.group_id = row->name;
  query.newest_first = false;
  const std::vector<state::ProductRow> products = view.Products(query);
  ordered_json value = RowJson(*row);
  value["reasons"] = GradeReasons(products);
  value["tiles"] = RowsJson(view.MosaicTiles(*row));
  value["products"] = ordered_json::array();
  for (const state::ProductRow& product : products) {
    ordered_json entry = RowJson(product);
    const std::string path = ServedPath(view.paths().roots().images, product);
    entry["file"] = path.empty() ? ordered_json() : ordered_json("/images/" + path);
    value["products"].push_back(std::move(entry));
  }
  value["same_window"] = RowsJson(OfTheSameWindow(view, *row, kMostOfAWindow));
  return JsonAnswer(value);
}

}  // namespace contimg::ops
