#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "ops/api/mosaic_api.h"
#include "ops/base/words.h"
#include "ops/mosaics/mosaic_task.h"
#include "ops/records/mosaic_words.h"
#include "ops/web/figures.h"
#include "ops/web/mosaic_pages.h"
#include "ops/web/mosaic_windows.h"
#include "ops/web/page.h"
#include "ops/web/tile_quality.h"
#include "state/mosaic_store.h"

namespace contimg::ops {
namespace {

constexpr int kMosaicsOfAPage = 50;

// The address of the list with these parameters in the place of what was asked for; empty values leave them out.
std::string MosaicListAddress(const HttpRequest& request, const std::map<std::string, std::string>& changed) {
  std::map<std::string, std::string> query = request.query;
  query.erase("after");
  for (const auto& [name, value] : changed) query[name] = value;
  std::string address = "/mosaics";
  for (const auto& [name, value] : query) {
    if (!value.empty()) address += (address == "/mosaics" ? "?" : "&") + UrlPart(name) + "=" + UrlPart(value);
  }
  return address;
}

void DrawStrips(const HttpRequest& request, const state::MosaicQuery& query, const std::vector<double>& strips,
                Html& html) {
  if (strips.size() < 2) return;
  html.Add("<nav class=\"spans choices\" aria-label=\"Strips of declination\"><span>");
  const auto entry = [&](bool current, const std::string& strip, const std::string& words) {
    const std::string address = MosaicListAddress(request, {{"strip", strip}});
    html.Append(current ? MakeHtml("<a href=\"{}\" aria-current=\"true\">{}</a>", address, words)
                        : MakeHtml("<a href=\"{}\">{}</a>", address, words));
  };
  entry(!query.strip_deg, "", "all strips");
  for (const double strip : strips) {
    entry(query.strip_deg && state::SameStrip(*query.strip_deg, strip), fmt::format("{:.1f}", strip),
          StripWords(strip));
  }
  html.Add("</span></nav>");
}

void DrawChoice(const char* name, const std::string& chosen,
                std::initializer_list<std::pair<const char*, const char*>> words, Html& html) {
  html.Add("<label>{} <select name=\"{}\">", name, name);
  for (const auto& [value, text] : words) {
    html.Append(chosen == value ? MakeHtml("<option value=\"{}\" selected>{}</option>", value, text)
                                : MakeHtml("<option value=\"{}\">{}</option>", value, text));
  }
  html.Add("</select></label>");
}

void DrawMosaicFilter(const HttpRequest& request, const state::MosaicQuery& query, Html& html) {
  const auto value = [&](const char* name) { return request.Parameter(name); };
  html.Add("<form class=\"filter\" action=\"/mosaics\" method=\"get\">");
  DrawChoice("kind", value("kind"), {{"", "any"}, {"hourly", "hourly"}, {"deep", "deep"}}, html);
  DrawChoice("state", value("state"), {{"", "any"}, {"open", "being made"}, {"closed", "made"}, {"failed", "failed"}},
             html);
  html.Add(
      "<label>sidereal time <input name=\"lst\" value=\"{}\" inputmode=\"decimal\" placeholder=\"13.5\" size=\"5\"> "
      "h</label><label>from <input name=\"from\" value=\"{}\" placeholder=\"2025-10-13\" size=\"19\"></label>"
      "<label>before <input name=\"before\" value=\"{}\" placeholder=\"2025-10-14\" size=\"19\"></label>",
      value("lst"), value("from"), value("before"));
  html.Append(query.references_only
                  ? MakeHtml("<label><input type=\"checkbox\" name=\"reference\" value=\"yes\" checked> references")
                  : MakeHtml("<label><input type=\"checkbox\" name=\"reference\" value=\"yes\"> references"));
  html.Add("</label>");
  for (const char* name : {"strip", "group"}) {
    if (!value(name).empty()) html.Add("<input type=\"hidden\" name=\"{}\" value=\"{}\">", name, value(name));
  }
  html.Add("<button>Show</button></form>\n");
}

void DrawListedMosaic(PipelineView& view, const state::MosaicRow& row, Html& html) {
  Html thumbnail;
  std::string noise, sky;
  state::ProductQuery query;
  query.group_id = row.name;
  query.kind = ToString(ProductKind::kMosaicPicture);
  for (const state::ProductRow& picture : view.Products(query)) {
    const auto figures = nlohmann::json::parse(picture.qa_json, nullptr, false);
    if (const auto rms = FigureAt(figures, {"quality", "rms_median_jy"})) noise = Flux(*rms);
    if (const auto covered = FigureAt(figures, {"quality", "covered_deg2"})) sky = fmt::format("{:.1f}", *covered);
    const std::string address = picture.status == "present" ? PictureAddress("/thumbnails/", view, picture) : "";
    if (address.empty()) continue;
    thumbnail.Add(
        "<a href=\"{}\" tabindex=\"-1\"><img src=\"{}\" alt=\"\" width=\"48\" height=\"48\" loading=\"lazy\" "
        "decoding=\"async\"></a>",
        MosaicAddress(row.name), address);
  }
  const bool made = row.version > 0;
  html.Add(
      "<tr><td class=\"thumb\">{}</td><td class=\"why\">{} {}{}</td><td data-name=\"declination\">{}</td><td "
      "data-name=\"sidereal time\">{}–{}</td><td data-name=\"grade\">{}</td><td data-name=\"noise\">{}</td>",
      thumbnail, MosaicLink(row.name), MosaicMarks(view, row),
      row.why.empty() ? Html() : MakeHtml("<br><small>{}</small>", row.why), StripWords(row.strip_deg),
      LstWords(row.lst_start_h), LstWords(row.lst_end_h), made ? GradeBadge(row.grade) : Html(), noise);
  html.Add(
      "<td data-name=\"deg²\">{}</td><td data-name=\"tiles\">{}</td><td data-name=\"left out\">{}</td><td "
      "data-name=\"version\">{}</td><td data-name=\"made\">{}</td></tr>\n",
      sky, made ? std::to_string(row.n_used) : "", made ? std::to_string(row.n_refused) : "",
      made ? std::to_string(row.version) : "", TimeTag(row.updated_at));
}

// Why the list is empty, and what to do about it. Whether the service makes some.
bool DrawNoMosaics(const PipelineView& view, Html& html) {
  html.Add("<p class=\"empty\">No mosaic has been made yet.</p>");
  const auto status = view.Status();
  const auto mosaics = status->find("mosaics");
  const auto told = mosaics != status->end() && mosaics->is_object() ? mosaics->find("enabled") : status->end();
  if (mosaics != status->end() && told != mosaics->end() && *told == true) {
    html.Add(
        "<p class=\"cure\">One is made when its window of sidereal time has passed and at least two tiles of it are on "
        "record: when the window’s last place is taken, a later tile is on record, or no more has come for fifteen "
        "minutes.</p>\n");
    return true;
  }
  html.Add(
      "<p class=\"cure\">The service makes them of the tiles that it records where the setting "
      "<code>mosaic.enabled</code> is on; it is off. By hand, of all tiles on record between two sidereal times "
      "(hours):</p>{}\n",
      CommandLine("contimg mosaic --state --lst 13.0,14.0"));
  return false;
}

}  // namespace

std::string MosaicAddress(std::string_view name) { return "/mosaics/" + UrlPart(name); }

Html MosaicLink(std::string_view name) {
  return MakeHtml("<a class=\"id\" href=\"{}\">{}</a>", MosaicAddress(name), name);
}

Html MosaicTimeLink(const state::MosaicRow& row) {
  constexpr std::size_t kDay = 10, kMinute = 16;
  const std::string start = StampOfMjd(row.start_mjd).substr(0, kMinute),
                    end = StampOfMjd(row.end_mjd).substr(0, kMinute);
  const bool one_day = start.substr(0, kDay) == end.substr(0, kDay);
  return MakeHtml("<a class=\"id\" href=\"{}\" title=\"{}\">{} to {}</a>", MosaicAddress(row.name), row.name, start,
                  one_day && end.size() > kDay ? end.substr(kDay + 1) : end);
}

std::optional<state::TaskRow> TaskOfMosaic(PipelineView& view, const state::MosaicRow& row) {
  if (row.kind != "hourly") return std::nullopt;
  state::TaskQuery query;
  query.kind = kMosaicTask;
  query.subject_from = row.name;
  query.subject_before = row.name + "`";  // behind "_v2"
  query.limit = 1;
  auto tasks = view.Tasks(query);
  return tasks.empty() ? std::nullopt : std::optional(std::move(tasks.front()));
}

bool IsGivenUp(const std::optional<state::TaskRow>& task) {
  return task && (task->state == state::WorkState::kDead || task->state == state::WorkState::kHeld);
}

Html MosaicMarks(PipelineView& view, const state::MosaicRow& row) {
  Html html = MakeHtml("<span class=\"kind\">{}</span>", row.kind);
  if (row.is_reference) {
    html.Add(" <span class=\"kind reference\" title=\"the newest one of its window better than F\">reference</span>");
  }
  const bool given_up = row.state == "open" && IsGivenUp(TaskOfMosaic(view, row));  // its worker died
  if (row.state == "open" && !given_up) html.Add(" <span class=\"badge running\">being made</span>");
  if (row.state == "failed" || given_up) html.Add(" <span class=\"badge dead\">failed</span>");
  return html;
}

std::string StripWords(double strip_deg) { return fmt::format("{:+.1f}°", strip_deg); }

HttpResponse MosaicListPage(const HttpRequest& request, PipelineView& view) {
  state::MosaicQuery query = MosaicQueryOf(request, view, kMosaicsOfAPage, kMosaicsOfAPage);
  const int shown = query.limit;
  query.limit = shown + 1;
  std::vector<state::MosaicRow> rows = view.Mosaics(query);
  const bool more = rows.size() > static_cast<std::size_t>(shown);
  if (more) rows.pop_back();
  const std::vector<double> strips = view.MosaicStrips();

  Page page;
  page.current = "/mosaics";
  page.title = "Mosaics";
  Html& html = page.body;
  html.Add("<div class=\"head\"><h1>Mosaics</h1>");
  if (!query.group_id.empty()) {
    html.Add("<p>that might have had {} <a href=\"{}\">all</a></p>", GroupLink(query.group_id),
             MosaicListAddress(request, {{"group", ""}}));
  }
  DrawStrips(request, query, strips, html);
  html.Add("</div>\n");
  // Which windows have no mosaic: unless the question is about something else.
  const bool about_windows = query.kind != "deep" && query.state.empty() && query.group_id.empty() &&
                             query.after.empty() && !query.lst_h && !query.references_only;
  const auto draw_windows = [&] {
    DrawSection(html, [&](Html& part) {
      if (about_windows) DrawMosaicWindows(view, query.strip_deg, query.from_mjd, query.before_mjd, part);
    });
  };
  if (strips.empty()) {
    if (DrawNoMosaics(view, html)) draw_windows();
    return RenderPage(page, view);
  }
  draw_windows();
  DrawMosaicFilter(request, query, html);
  if (rows.empty()) {
    html.Add("<p class=\"empty\">No mosaic fits.</p>\n");
    return RenderPage(page, view);
  }
  html.Add(
      "<div class=\"scroll\"><table class=\"rows stacked groups\"><thead><tr><th></th><th>mosaic</th>"
      "<th>declination</th><th>sidereal time</th><th>grade</th><th>noise</th><th>deg²</th><th>tiles</th><th>left "
      "out</th><th>version</th><th>made</th></tr></thead><tbody>\n");
  for (const state::MosaicRow& row : rows) DrawListedMosaic(view, row, html);
  html.Add("</tbody></table></div>\n<nav class=\"pager\" aria-label=\"Pages of the list\">");
  if (!query.after.empty()) html.Add("<a href=\"{}\">newest</a>", MosaicListAddress(request, {}));
  if (more) {
    html.Add("<a href=\"{}\" rel=\"next\">older</a>", MosaicListAddress(request, {{"after", rows.back().name}}));
  }
  html.Add("</nav>\n");
  std::string api = MosaicListAddress(request, {});
  html.Add("<p class=\"twin\"><a href=\"/api/v1{}\">this list as JSON</a></p>\n", api);
  return RenderPage(page, view);
}

}  // namespace contimg::ops
