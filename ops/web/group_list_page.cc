#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "config/time.h"
#include "ops/web/group_pages.h"
#include "ops/web/page.h"
#include "ops/web/tile_quality.h"
#include "ops/web/words.h"

namespace contimg::ops {
namespace {

constexpr int kRowsOfAPage = 100;

std::string Parameter(const HttpRequest& request, const char* name) {
  const auto found = request.query.find(name);
  return found == request.query.end() ? "" : found->second;
}

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
  html.Add("<tr><td class=\"thumb\">{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>", thumbnail,
           GroupLink(row.id), StateBadge(row.state), observation ? fmt::format("{:+.2f}°", observation->dec_deg) : "",
           quality.rms_jy ? Flux(*quality.rms_jy) : "", quality.grade.empty() ? Html() : GradeBadge(quality.grade));
  html.Add("<td>{}/{}</td><td>{}</td><td>{}</td><td>{}</td><td class=\"cause\">{}{}</td></tr>\n", row.subbands_present,
           row.subbands_expected, row.attempts, timed ? Duration(row.finished_at - row.started_at) : std::string(),
           TimeTag(row.updated_at),
           row.error_kind ? MakeHtml("<span class=\"kind\">{}</span> ", ToString(*row.error_kind)) : Html(), row.error);
}

}  // namespace

int LimitOf(const HttpRequest& request, int otherwise, int most) {
  const std::string text = Parameter(request, "limit");
  if (text.empty()) return otherwise;
  if (text.size() > 9 || !std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; }) ||
      std::stoi(text) < 1) {
    throw Error(ErrorKind::kUsage, "http", "limit", fmt::format("expected a number from 1 on and found '{}'", text));
  }
  return std::min(std::stoi(text), most);
}

state::GroupQuery QueryOf(const HttpRequest& request, int otherwise, int most) {
  state::GroupQuery query;
  const std::string states = Parameter(request, "state");
  for (std::size_t at = 0; at < states.size();) {
    const std::size_t end = std::min(states.find(',', at), states.size());
    query.states.push_back(state::ParseGroupState(states.substr(at, end - at)));
    at = end + 1;
  }
  if (const std::string kind = Parameter(request, "error_kind"); !kind.empty()) {
    try {
      query.error_kind = ParseErrorKind(kind);
    } catch (const Error& error) {
      throw Error(ErrorKind::kUsage, "http", "error_kind", error.what());
    }
  }
  // The least id of a group that begins at that time or later.
  const auto id_of = [&](const char* name) {
    const std::string text = Parameter(request, name);
    if (text.empty()) return text;
    return UtcTime::FromMjdSeconds(std::ceil(UtcTime::FromPerson(name, text).mjd_s() - 1e-6)).Iso8601();
  };
  query.id_from = id_of("from");
  query.id_before = id_of("before");
  // Ids sort as text: those that begin so lie between the words and the words with the last of all characters behind.
  if (const std::string begin = Parameter(request, "q"); !begin.empty()) {
    query.id_from = std::max(query.id_from, begin);
    const std::string end = begin + "\x7f";
    if (query.id_before.empty() || end < query.id_before) query.id_before = end;
  }
  const std::string after = Parameter(request, "after");
  if (!after.empty() && (query.id_before.empty() || after < query.id_before)) query.id_before = after;
  query.limit = LimitOf(request, otherwise, most);
  return query;
}

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
  const std::string chosen = Parameter(request, "state");
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
      Parameter(request, "q"), Parameter(request, "from"), Parameter(request, "before"));
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
