#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "config/time.h"
#include "ops/api/group_query.h"
#include "ops/base/words.h"
#include "ops/web/group_pages.h"
#include "ops/web/page.h"
#include "ops/web/tile_quality.h"

namespace contimg::ops {
namespace {

constexpr int kRowsOfAPage = 100;

void DrawRow(PipelineView& view, const state::GroupRow& row, Html& html) {
  state::ProductQuery products;
  products.group_id = row.id;
  const TileQuality quality = QualityOf(view.Products(products));
  const auto observation = view.Observation(row.id);
  const std::string picture = quality.picture ? PictureAddress("/thumbnails/", view, *quality.picture) : "";
  Html thumbnail;
  if (!picture.empty()) {
    thumbnail.Add(
        "<a href=\"{}\" tabindex=\"-1\"><img src=\"{}\" alt=\"\" width=\"48\" height=\"48\" loading=\"lazy\" "
        "decoding=\"async\"></a>",
        GroupAddress(row.id), picture);
  }
  const bool timed = row.state == state::GroupState::kDone && row.finished_at > row.started_at && row.started_at > 0;
  // On a phone each row is a card, and its figures carry the names of their columns.
  html.Add(
      "<tr><td class=\"thumb\">{}</td><td>{}</td><td>{}</td><td data-name=\"declination\">{}</td><td "
      "data-name=\"noise\">{}</td><td data-name=\"grade\">{}</td>",
      thumbnail, GroupLink(row.id), StateBadge(row.state),
      observation ? fmt::format("{:+.2f}°", observation->dec_deg) : "", quality.rms_jy ? Flux(*quality.rms_jy) : "",
      quality.grade.empty() ? Html() : GradeBadge(quality.grade));
  html.Add(
      "<td data-name=\"subbands\">{}/{}</td><td data-name=\"attempts\">{}</td><td data-name=\"took\">{}</td><td "
      "data-name=\"updated\">{}</td><td class=\"cause\">{}{}</td></tr>\n",
      row.subbands_present, row.subbands_expected, row.attempts,
      timed ? Duration(row.finished_at - row.started_at) : std::string(), TimeTag(row.updated_at),
      row.error_kind              ? MakeHtml("<span class=\"kind\">{}</span> ", ToString(*row.error_kind))
      : IsUncalibrated(view, row) ? MakeHtml("<span class=\"kind\">uncalibrated</span> ")
                                  : Html(),
      row.error);
}

}  // namespace

HttpResponse GroupListPage(const HttpRequest& request, PipelineView& view) {
  state::GroupQuery query = QueryOf(request, kRowsOfAPage, kRowsOfAPage);
  const int shown = query.limit;
  query.limit = shown + 1;
  std::vector<state::GroupRow> rows = view.Groups(query);
  const bool more = rows.size() > static_cast<std::size_t>(shown);
  if (more) rows.pop_back();

  Page page;
  page.current = "/groups";
  page.title = "Groups";
  Html& html = page.body;
  html.Add(
      "<div class=\"head\"><h1>Groups</h1></div>\n<form class=\"filter\" action=\"/groups\" method=\"get\">"
      "<label>state <select name=\"state\"><option value=\"\">any</option>");
  const std::string chosen = request.Parameter("state");
  bool listed = chosen.empty();
  for (const state::GroupState state : state::AllGroupStates()) {
    const bool selected = chosen == ToString(state);
    listed = listed || selected;
    html.Append(selected ? MakeHtml("<option value=\"{}\" selected>{}</option>", ToString(state), StateWords(state))
                         : MakeHtml("<option value=\"{}\">{}</option>", ToString(state), StateWords(state)));
  }
  if (!listed) html.Add("<option value=\"{}\" selected>{}</option>", chosen, chosen);
  html.Add(
      "</select></label><label>group <input name=\"q\" type=\"search\" value=\"{}\" placeholder=\"2025-10-13T13\" "
      "size=\"19\"></label><label>from <input name=\"from\" value=\"{}\" placeholder=\"2025-10-13\" "
      "size=\"19\"></label>"
      "<label>before <input name=\"before\" value=\"{}\" placeholder=\"2025-10-14\" size=\"19\"></label>"
      "<button>Show</button></form>\n",
      request.Parameter("q"), request.Parameter("from"), request.Parameter("before"));
  if (rows.empty()) {
    html.Add("<p class=\"empty\">No group fits.</p>\n");
    return RenderPage(page, view);
  }
  html.Add(
      "<div class=\"scroll\"><table class=\"rows stacked groups\"><thead><tr><th></th><th>group</th><th>state</th>"
      "<th>declination</th><th>noise</th><th>grade</th><th>subbands</th><th>attempts</th><th>took</th><th>updated</th>"
      "<th>cause</th></tr></thead><tbody>\n");
  for (const state::GroupRow& row : rows) DrawRow(view, row, html);
  html.Add("</tbody></table></div>\n<nav class=\"pager\" aria-label=\"Pages of the list\">");
  std::map<std::string, std::string> kept = request.query;
  kept.erase("after");
  std::string address = "/groups?";
  for (const auto& [name, value] : kept) {
    if (!value.empty()) address += UrlPart(name) + "=" + UrlPart(value) + "&";
  }
  if (request.query.count("after") > 0) html.Add("<a href=\"{}\">newest</a>", address);
  if (more) html.Add("<a href=\"{}after={}\" rel=\"next\">older</a>", address, UrlPart(rows.back().id));
  html.Add("</nav>\n");
  return RenderPage(page, view);
}

}  // namespace contimg::ops
