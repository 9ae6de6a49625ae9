#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "ops/api/source_query.h"
#include "ops/base/words.h"
#include "ops/web/page.h"
#include "ops/web/sky_words.h"
#include "ops/web/source_pages.h"

namespace contimg::ops {
namespace {

constexpr int kSourcesOfAPage = 100;

// The address of the list with these parameters in the place of what was asked for; empty values leave them out.
std::string ListAddress(const HttpRequest& request, const std::map<std::string, std::string>& changed) {
  std::map<std::string, std::string> query = request.query;
  query.erase("after");
  for (const auto& [name, value] : changed) query[name] = value;
  std::string address = "/sources";
  for (const auto& [name, value] : query) {
    if (!value.empty()) address += (address == "/sources" ? "?" : "&") + UrlPart(name) + "=" + UrlPart(value);
  }
  return address;
}

void DrawOption(const char* value, const char* words, const std::string& chosen, Html& html) {
  html.Append(chosen == value ? MakeHtml("<option value=\"{}\" selected>{}</option>", value, words)
                              : MakeHtml("<option value=\"{}\">{}</option>", value, words));
}

void DrawFilter(const HttpRequest& request, Html& html) {
  const auto value = [&](const char* name) { return request.Parameter(name); };
  html.Add(
      "<form class=\"filter\" action=\"/sources\" method=\"get\"><label>name or place <input name=\"q\" "
      "type=\"search\" "
      "value=\"{}\" placeholder=\"J000128.1+161204 or 0.367 16.2\" size=\"30\"></label><label>within <input "
      "name=\"radius_deg\" value=\"{}\" inputmode=\"decimal\" placeholder=\"{}\" size=\"4\">°</label><label>flux "
      "<input "
      "name=\"min_flux_jy\" value=\"{}\" inputmode=\"decimal\" placeholder=\"0\" size=\"6\"></label><label>to <input "
      "name=\"max_flux_jy\" value=\"{}\" inputmode=\"decimal\" placeholder=\"∞\" size=\"6\"> Jy</label>",
      value("q"), value("radius_deg"), fmt::format("{:g}", kSearchDeg), value("min_flux_jy"), value("max_flux_jy"));
  html.Add(
      "<label><abbr title=\"reduced chi² of constancy\">η</abbr> ≥ <input name=\"eta\" value=\"{}\" "
      "inputmode=\"decimal\" size=\"4\"></label><label><abbr title=\"standard deviation over mean\">V</abbr> ≥ <input "
      "name=\"v\" value=\"{}\" inputmode=\"decimal\" size=\"4\"></label><label><abbr title=\"chance of a constant "
      "source\">p</abbr> ≤ <input name=\"p\" value=\"{}\" inputmode=\"decimal\" size=\"5\"></label><label>points ≥ "
      "<input name=\"min_n\" value=\"{}\" inputmode=\"numeric\" size=\"3\"></label>",
      value("eta"), value("v"), value("p"), value("min_n"));
  html.Add("<label>points of <select name=\"level\">");
  DrawOption("", "transits", value("level"), html);
  DrawOption("tile", "tiles", value("level"), html);
  html.Add("</select></label><label>origin <select name=\"origin\">");
  for (const auto& [word, words] : std::array<std::pair<const char*, const char*>, 5>{{{"", "any"},
                                                                                       {"catalogue", "catalogue"},
                                                                                       {"detection", "detection"},
                                                                                       {"transient", "transient"},
                                                                                       {"manual", "manual"}}}) {
    DrawOption(word, words, value("origin"), html);
  }
  html.Add("</select></label>");
  // What has no field of its own stays as it is.
  for (const char* name : {"at", "group", "flags", "kind", "since", "sort"}) {
    if (!value(name).empty()) html.Add("<input type=\"hidden\" name=\"{}\" value=\"{}\">", name, value(name));
  }
  html.Add("<button>Show</button></form>\n");
}

void DrawOrders(const HttpRequest& request, const state::SourceListQuery& query, Html& html) {
  html.Add("<nav class=\"spans\" aria-label=\"Order\">");
  const auto entry = [&](state::SourceOrder order, const char* words, const char* min_n) {
    const std::string address = ListAddress(request, {{"sort", std::string(ToString(order))}, {"min_n", min_n}});
    html.Append(query.order == order ? MakeHtml("<a href=\"{}\" aria-current=\"true\">{}</a>", address, words)
                                     : MakeHtml("<a href=\"{}\">{}</a>", address, words));
  };
  const std::string min_n = request.Parameter("min_n");
  if (query.cone) entry(state::SourceOrder::kDistance, "nearest", min_n.c_str());
  entry(state::SourceOrder::kName, "by name", min_n.c_str());
  entry(state::SourceOrder::kFlux, "brightest", min_n.c_str());
  entry(state::SourceOrder::kEta, "most variable", min_n.empty() ? "2" : min_n.c_str());
  entry(state::SourceOrder::kNewest, "newest", min_n.c_str());
  html.Add("</nav>");
}

void DrawListed(const state::ListedSource& row, Html& html) {
  const state::OwnSourceRow& source = row.source;
  html.Add("<tr><td>{}</td><td data-name=\"RA\">{}</td><td data-name=\"Dec\">{}</td>",
           SourceLink(source.id, source.name), RaWords(source.ra_deg), DecWords(source.dec_deg));
  if (row.separation_deg) html.Add("<td data-name=\"distance\">{:.1f}″</td>", *row.separation_deg * 3600);
  if (row.statistics) {
    const state::StatisticsRow& s = *row.statistics;
    html.Add(
        "<td data-name=\"flux\">{}</td><td data-name=\"from\">{}</td><td data-name=\"to\">{}</td><td "
        "data-name=\"points\">{}</td><td data-name=\"η\">{}</td><td data-name=\"V\">{}</td><td data-name=\"p\">{}</td>"
        "<td data-name=\"last seen\">{}</td>",
        Flux(s.mean_jy), Flux(s.min_jy), Flux(s.max_jy), Count(s.n), fmt::format("{:.3g}", s.eta),
        fmt::format("{:.3g}", s.v), fmt::format("{:.2g}", s.p), StampOfMjd(s.last_mjd));
  } else {
    html.Add(
        "<td data-name=\"expected\">{}</td><td></td><td></td><td data-name=\"points\">0</td><td></td><td></td>"
        "<td></td><td></td>",
        source.flux_jy > 0 ? MakeHtml("({})", Flux(source.flux_jy)) : Html());
  }
  html.Add("<td data-name=\"origin\">{}</td></tr>\n", source.origin);
}

void DrawList(const HttpRequest& request, const state::SourceListQuery& query,
              const std::vector<state::ListedSource>& rows, bool more, Html& html) {
  html.Add(
      "<div class=\"scroll\"><table class=\"rows stacked groups\"><thead><tr><th>source</th><th>RA</th><th>Dec</th>{}"
      "<th>mean flux</th><th>from</th><th>to</th><th>points</th><th title=\"reduced chi² of constancy\">η</th><th "
      "title=\"standard deviation over mean\">V</th><th title=\"chance of a constant source\">p</th><th>last seen</th>"
      "<th>origin</th></tr></thead><tbody>\n",
      query.cone ? MakeHtml("<th>distance</th>") : Html());
  for (const state::ListedSource& row : rows) DrawListed(row, html);
  html.Add("</tbody></table></div>\n<nav class=\"pager\" aria-label=\"Pages of the list\">");
  if (query.after != 0) html.Add("<a href=\"{}\">first</a>", ListAddress(request, {}));
  if (more) {
    html.Add("<a href=\"{}\" rel=\"next\">further</a>",
             ListAddress(request, {{"after", std::to_string(rows.back().source.id)}}));
  }
  html.Add("</nav>\n");
  std::map<std::string, std::string> api = request.query;
  api.erase("after");
  api.erase("limit");
  std::string parameters;
  for (const auto& [name, value] : api) {
    if (!value.empty()) parameters += UrlPart(name) + "=" + UrlPart(value) + "&";
  }
  html.Add(
      "<p class=\"twin\">this list as <a href=\"/api/v1/sources?{}\">JSON</a>, <a "
      "href=\"/api/v1/sources?{}limit=1000&format=csv\">CSV</a>, <a "
      "href=\"/api/v1/sources?{}limit=1000&format=votable\">VOTable</a></p>\n",
      parameters, parameters, parameters);
}

}  // namespace

HttpResponse SourceListPage(const HttpRequest& request, PipelineView& view) {
  Page page;
  page.current = "/sources";
  page.title = "Sources";
  Html& html = page.body;
  state::SourceStore* store = view.Sources();
  if (store == nullptr) {
    html.Add(
        "<h1>Sources</h1>\n<p class=\"empty\">Nothing has been measured yet.</p><p class=\"cure\">Measurements go on "
        "record with</p>{}",
        CommandLine("contimg lightcurve record TABLE.csv"));
    return RenderPage(page, view);
  }
  state::SourceListQuery query = SourceQueryOf(request, *store, kSourcesOfAPage, kSourcesOfAPage);
  const int shown = query.limit;
  query.limit = shown + 1;
  std::vector<state::ListedSource> rows = state::ListSources(store->database(), query);
  const bool more = rows.size() > static_cast<std::size_t>(shown);
  if (more) rows.pop_back();
  const auto filled =
      std::count_if(request.query.begin(), request.query.end(), [](const auto& p) { return !p.second.empty(); });
  if (rows.size() == 1 && filled == 1 && !request.Parameter("q").empty()) {
    HttpResponse response;
    response.status = 303;
    response.body = "";
    response.headers.emplace_back("Location", SourceAddress(rows.front().source.id));
    return response;
  }
  html.Add("<div class=\"head\"><h1>Sources</h1>");
  if (!query.group_id.empty()) {
    html.Add("<p>in {} <a href=\"{}\">all</a></p>", GroupLink(query.group_id),
             ListAddress(request, {{"group", ""}, {"flags", ""}}));
  }
  DrawOrders(request, query, html);
  html.Add("</div>\n");
  DrawFilter(request, html);
  if (rows.empty()) {
    html.Add("<p class=\"empty\">No source fits.</p>\n");
    if (!request.Parameter("q").empty()) {
      html.Add(
          "<p class=\"cure\">A name is ours or a catalogue's, a place is RA and Dec: <code>DSA "
          "J000128.1+161204</code>, "
          "<code>nvss 133108+303033</code>, <code>00:01:28 +16:12:04</code>, <code>0.367 16.2</code>.</p>\n");
    }
    return RenderPage(page, view);
  }
  DrawList(request, query, rows, more, html);
  return RenderPage(page, view);
}

}  // namespace contimg::ops
