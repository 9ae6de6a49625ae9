#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "config/text.h"
#include "config/time.h"
#include "ops/api/source_query.h"
#include "ops/base/words.h"
#include "ops/web/cutouts.h"
#include "ops/web/map_page.h"
#include "ops/web/mosaic_pages.h"
#include "ops/web/page.h"
#include "ops/web/sky_words.h"
#include "ops/web/source_pages.h"

namespace contimg::ops {
namespace {

using state::OwnSourceRow;

constexpr std::size_t kPointsShown = 100, kCutoutsShown = 12;
constexpr std::size_t kTilesLookedAt = 60;     // for images on disk, from the newest on
constexpr std::size_t kMostDrawnAsSvg = 1500;  // points; beyond them the picture is smaller as PNG

// The page's own query with one parameter changed; empty: left out.
std::string CurveParameters(const HttpRequest& request, const std::map<std::string, std::string>& changed) {
  std::map<std::string, std::string> query = request.query;
  for (const auto& [name, value] : changed) query[name] = value;
  std::string text;
  for (const auto& [name, value] : query) {
    if (!value.empty()) text += (text.empty() ? "?" : "&") + UrlPart(name) + "=" + UrlPart(value);
  }
  return text;
}

struct ShownSource {
  const HttpRequest& request;
  PipelineView& view;
  state::SourceStore& store;
  OwnSourceRow row;
  CurveQuery query;
};

void DrawHead(const ShownSource& source, Html& html) {
  const OwnSourceRow& row = source.row;
  html.Add("<div class=\"head\"><h1 class=\"id\">{}</h1><span class=\"kind\">{}</span></div>\n<p class=\"lead\">",
           row.name, row.origin);
  html.Add("RA {}, Dec {} (<code>{}</code>, ICRS)", RaWords(row.ra_deg), DecWords(row.dec_deg),
           fmt::format("{:.6f} {:+.6f}", row.ra_deg, row.dec_deg));
  if (row.ra_error_arcsec > 0 && row.dec_error_arcsec > 0) {
    html.Add(", to {:.2f}″ × {:.2f}″", row.ra_error_arcsec, row.dec_error_arcsec);
  }
  if (row.flux_jy > 0) html.Add(", {} expected", Flux(row.flux_jy));
  if (row.spectral_index) html.Add(", spectral index {:.2f}", *row.spectral_index);
  html.Add(".</p>\n");
}

// Which light curve: level, scale, what is left out, data sets.
void DrawChoices(const ShownSource& source, const std::vector<state::DatasetRow>& datasets, Html& html) {
  const LightCurveRequest& shown = source.query.request;
  const bool ours = source.query.dataset.empty();
  const auto entry = [&](bool current, const std::map<std::string, std::string>& changed, std::string_view words) {
    const std::string address = SourceAddress(source.row.id) + CurveParameters(source.request, changed);
    html.Append(current ? MakeHtml("<a href=\"{}\" aria-current=\"true\">{}</a>", address, words)
                        : MakeHtml("<a href=\"{}\">{}</a>", address, words));
  };
  html.Add("<nav class=\"spans choices\" aria-label=\"Which light curve\"><span>");
  for (const LightCurveLevel level : {LightCurveLevel::kTile, LightCurveLevel::kTransit, LightCurveLevel::kNight}) {
    entry(ours && shown.level == level, {{"level", std::string(ToString(level))}, {"dataset", ""}},
          fmt::format("{}s", ToString(level)));
  }
  html.Add("</span><span>");
  entry(ours && !shown.normalised, {{"normalised", ""}, {"dataset", ""}}, "as measured");
  entry(ours && shown.normalised, {{"normalised", "yes"}, {"dataset", ""}}, "normalised");
  html.Add("</span>");
  const std::vector<std::string> kinds = state::LightCurveStore(source.store.database()).KindsOf(source.row.id);
  if (kinds.size() > 1) {
    html.Add("<span>");
    for (const std::string& kind : kinds) entry(ours && shown.kind == kind, {{"kind", kind}, {"dataset", ""}}, kind);
    html.Add("</span>");
  }
  const auto has_points = [](const state::DatasetRow& row) { return !row.times.empty(); };
  if (std::any_of(datasets.begin(), datasets.end(), has_points)) {
    html.Add("<span>");
    for (const state::DatasetRow& row : datasets) {
      if (!has_points(row)) continue;
      entry(source.query.dataset == row.name,
            {{"dataset", row.name},
             {"level", ""},
             {"normalised", ""},
             {"kind", ""},
             {"quality", ""},
             {"from", ""},
             {"to", ""}},
            row.name);
    }
    html.Add("</span>");
  }
  html.Add("</nav>");
}

void DrawCurve(const ShownSource& source, const std::vector<state::DatasetRow>& datasets, std::size_t points,
               Html& html) {
  html.Add(
      "<section class=\"wide\" aria-labelledby=\"lightcurve\"><div class=\"head\"><h2 id=\"lightcurve\">Light "
      "curve</h2>");
  DrawChoices(source, datasets, html);
  html.Add("</div>");
  const std::string parameters = CurveParameters(source.request, {}),
                    small = CurveParameters(source.request, {{"size", "small"}}),
                    api = fmt::format("/api/v1/lightcurves/{}", source.row.id);
  const char* ending = points > kMostDrawnAsSvg ? "png" : "svg";
  html.Add(
      "<a class=\"plot\" href=\"/lightcurves/{0}.png{1}\"><picture><source media=\"(max-width: 40rem)\" "
      "srcset=\"/lightcurves/{0}.{2}{3}\"><img src=\"/lightcurves/{0}.{2}{1}\" alt=\"Flux of {4} over "
      "time\"></picture></a>"
      "<p class=\"twin\">flagged points are hollow; as <a href=\"{5}{1}\">JSON</a>, <a href=\"{5}{6}\">CSV</a>, <a "
      "href=\"{5}{7}\">VOTable</a>, <a href=\"{5}{8}\">FITS</a></p></section>\n",
      source.row.id, parameters, ending, small, source.row.name, api,
      CurveParameters(source.request, {{"format", "csv"}}), CurveParameters(source.request, {{"format", "votable"}}),
      CurveParameters(source.request, {{"format", "fits"}}));
}

void DrawStatistics(const ShownSource& source, Html& html) {
  state::LightCurveStore curves(source.store.database());
  std::vector<state::StatisticsRow> rows;
  for (const char* level : {"tile", "transit"}) {
    if (auto row = curves.Statistics(source.row.id, source.query.request.kind, level)) rows.push_back(*std::move(row));
  }
  if (rows.empty()) return;
  html.Add(
      "<section aria-labelledby=\"statistics\"><h2 id=\"statistics\">Statistics</h2><div class=\"scroll\"><table "
      "class=\"rows\"><thead><tr>"
      "<th>points of</th>");
  for (const auto& row : rows) html.Add("<th>{}s</th>", row.level);
  html.Add("</tr></thead><tbody>\n");
  const auto line = [&](const char* name, const char* meaning, const auto& value) {
    html.Add("<tr><th scope=\"row\" title=\"{}\">{}</th>", meaning, name);
    for (const auto& row : rows) html.Add("<td>{}</td>", value(row));
    html.Add("</tr>\n");
  };
  using Row = state::StatisticsRow;
  line("number", "points without flags of the preset default", [](const Row& r) { return Count(r.n); });
  line("mean", "weighted, normalised", [](const Row& r) { return Flux(r.mean_jy); });
  line("from", "least", [](const Row& r) { return Flux(r.min_jy); });
  line("to", "largest", [](const Row& r) { return Flux(r.max_jy); });
  line("η", "reduced chi² of constancy, 1 % of systematic error included",
       [](const Row& r) { return fmt::format("{:.3g}", r.eta); });
  line("p", "chance of a constant source to have this η or more",
       [](const Row& r) { return fmt::format("{:.2g}", r.p); });
  line("V", "standard deviation over mean", [](const Row& r) { return fmt::format("{:.3g}", r.v); });
  line("Vₛ", "largest step from the mean of all points before it, in errors",
       [](const Row& r) { return fmt::format("{:+.3g}", r.vs); });
  line("m", "that step over the mean of both", [](const Row& r) { return fmt::format("{:+.3g}", r.m); });
  line("first", "UTC", [](const Row& r) { return StampOfMjd(r.first_mjd).substr(0, 16); });
  line("last", "UTC", [](const Row& r) { return StampOfMjd(r.last_mjd).substr(0, 16); });
  html.Add("</tbody></table></div></section>\n");
}

void DrawCatalogues(const ShownSource& source, Html& html) {
  const auto matches = source.store.Cone(source.row.ra_deg, source.row.dec_deg, kNeighbourDeg);
  html.Add("<section aria-labelledby=\"catalogues\"><h2 id=\"catalogues\">In catalogues</h2>");
  if (matches.empty()) {
    html.Add("<p class=\"empty\">No catalogue has anything within {:.0f}″.</p></section>\n", kNeighbourDeg * 3600);
    return;
  }
  html.Add(
      "<div class=\"scroll\"><table "
      "class=\"rows\"><thead><tr><th>name</th><th>flux</th><th>distance</th><th></th></tr></thead><tbody>\n");
  for (const state::ConeMatch& match : matches) {
    html.Add("<tr><td>{} {}</td><td>{}</td><td>{:.1f}″</td><td>{}</td></tr>\n", match.source.catalogue,
             match.source.name, Flux(match.source.flux_jy), match.separation_deg * 3600,
             match.source.source_id == source.row.id ? "this source" : "");
  }
  html.Add("</tbody></table></div></section>\n");
}

void DrawNearby(const ShownSource& source, Html& html) {
  state::SourceListQuery query;
  query.cone = {source.row.ra_deg, source.row.dec_deg, kNeighbourDeg};
  query.order = state::SourceOrder::kDistance;
  query.limit = 21;
  html.Add("<section aria-labelledby=\"neighbours\"><h2 id=\"neighbours\">Neighbours</h2>");
  const auto rows = state::ListSources(source.store.database(), query);
  if (rows.size() <= 1) {
    html.Add("<p class=\"empty\">No other source within {:.0f}″.</p></section>\n", kNeighbourDeg * 3600);
    return;
  }
  html.Add(
      "<div class=\"scroll\"><table class=\"rows\"><thead><tr><th>source</th><th>mean "
      "flux</th><th>distance</th></tr></thead><tbody>\n");
  for (const state::ListedSource& row : rows) {
    if (row.source.id == source.row.id) continue;
    html.Add("<tr><td>{}</td><td>{}</td><td>{:.1f}″</td></tr>\n", SourceLink(row.source.id, row.source.name),
             row.statistics ? Flux(row.statistics->mean_jy) : std::string("–"), *row.separation_deg * 3600);
  }
  html.Add("</tbody></table></div></section>\n");
}

void DrawDatasets(const ShownSource& source, const std::vector<state::DatasetRow>& datasets, Html& html) {
  if (datasets.empty()) return;
  state::DatasetStore store(source.store.database());
  html.Add(
      "<section aria-labelledby=\"datasets\"><h2 id=\"datasets\">Data sets</h2><div class=\"scroll\"><table "
      "class=\"rows\"><thead><tr>"
      "<th>name</th><th>of</th><th>made of</th><th>made</th></tr></thead><tbody>\n");
  for (const state::DatasetRow& row : datasets) {
    std::string parents;
    for (const std::int64_t parent : store.Parents(row.id)) {
      if (const auto found = store.Find(parent)) parents += (parents.empty() ? "" : ", ") + found->name;
    }
    html.Add("<tr><td>{}</td><td>{}</td><td class=\"why\">{}</td><td>{}</td></tr>\n",
             row.times.empty() ? MakeHtml("{}", row.name)
                               : MakeHtml("<a href=\"{}?dataset={}\">{}</a>", SourceAddress(source.row.id),
                                          UrlPart(row.name), row.name),
             row.mission, parents.empty() ? "raw" : parents, TimeTag(row.made_at));
  }
  html.Add("</tbody></table></div></section>\n");
}

void DrawCutouts(const ShownSource& source, const std::vector<LightCurvePoint>& tiles, Html& html) {
  Html pictures;
  std::size_t shown = 0, looked_at = 0;
  const auto reference = ReferenceAt(source.view, source.row);
  if (reference) {
    pictures.Add(
        "<figure><a href=\"{}\"><img src=\"/cutouts/{}/{}.png\" width=\"160\" height=\"160\" loading=\"lazy\" "
        "decoding=\"async\" alt=\"The sky about it, co-added\"></a><figcaption>reference mosaic, <a href=\"{}\">its "
        "map</a><br>{}, "
        "grade {}</figcaption></figure>\n",
        MosaicAddress(reference->name), source.row.id, UrlPart(reference->name),
        MapAddressAt(reference->name, source.row.ra_deg, source.row.dec_deg),
        Counted(static_cast<std::int64_t>(reference->n_used), "tile"), reference->grade);
  }
  for (auto point = tiles.rbegin(); point != tiles.rend() && shown < kCutoutsShown && looked_at < kTilesLookedAt;
       ++point, ++looked_at) {
    if (!ImageForCutouts(source.view, point->group_id)) continue;
    ++shown;
    pictures.Add(
        "<figure><a href=\"{}\"><img src=\"/cutouts/{}/{}.png\" width=\"160\" height=\"160\" loading=\"lazy\" "
        "decoding=\"async\" alt=\"The sky about it\"></a><figcaption>{}<br>{}</figcaption></figure>\n",
        GroupAddress(point->group_id), source.row.id, UrlPart(point->group_id), StampOfMjd(point->mjd).substr(0, 16),
        FluxWithError(point->flux_jy, point->error_jy));
  }
  if (shown == 0 && !reference) return;
  html.Add(
      "<section class=\"wide\" aria-labelledby=\"cutouts\"><h2 id=\"cutouts\">Over time</h2><div "
      "class=\"cutouts\">{}</div><p class=\"twin\">{}the newest tiles whose image is on disk, eight beams across, "
      "north "
      "up, east to the left, in one scale of flux</p></section>\n",
      pictures, reference ? "the reference of its strip and " : "");
}

void DrawPoints(const ShownSource& source, const std::vector<LightCurvePoint>& points, Html& html) {
  if (points.empty()) return;
  const bool tiles = source.query.request.level == LightCurveLevel::kTile;
  html.Add(
      "<section class=\"wide\" aria-labelledby=\"points\"><h2 id=\"points\">Points</h2><div class=\"scroll\"><table "
      "class=\"rows stacked\"><thead><tr><th>time (UTC)</th><th>flux</th><th>over error</th>{}<th>flags</th></tr>"
      "</thead><tbody>\n",
      tiles ? MakeHtml("<th>beam</th><th>tile</th>") : MakeHtml("<th>tiles</th><th>χ²</th>"));
  std::size_t shown = 0;
  for (auto point = points.rbegin(); point != points.rend() && shown < kPointsShown; ++point, ++shown) {
    html.Add("<tr class=\"{}\"><td>{}</td><td>{}</td><td data-name=\"over error\">{:.1f}</td>",
             (point->flags & kDefaultQualityMask) != 0 ? "left-out" : "", StampOfMjd(point->mjd),
             FluxWithError(point->flux_jy, point->error_jy), point->flux_jy / point->error_jy);
    if (tiles) {
      html.Add("<td data-name=\"beam\">{:.0f} %</td><td>{}</td>", 100 * point->response, GroupLink(point->group_id));
    } else {
      html.Add("<td data-name=\"tiles\">{}</td><td data-name=\"χ²\">{:.2f}</td>", point->tiles, point->chi2);
    }
    html.Add("<td class=\"why\">{}</td></tr>\n", FlagWords(point->flags));
  }
  html.Add("</tbody></table></div>");
  if (points.size() > shown) {
    html.Add("<p class=\"twin\">The newest {} of {}; all of them <a href=\"/api/v1/lightcurves/{}{}\">as CSV</a>.</p>",
             shown, Count(static_cast<std::int64_t>(points.size())), source.row.id,
             CurveParameters(source.request, {{"format", "csv"}, {"quality", "none"}}));
  }
  html.Add("</section>\n");
}

}  // namespace

HttpResponse SourcePage(const HttpRequest& request, PipelineView& view) {
  Page page;
  page.title = request.tail;
  page.current = "/sources";
  Html& html = page.body;
  state::SourceStore* store = view.Sources();
  std::optional<OwnSourceRow> row;
  if (store != nullptr) row = SourceOfWord(*store, request.tail);
  if (!row) {
    html.Add("<h1>No such source</h1><p>There is no source <code>{}</code>. <a href=\"/sources\">All sources</a></p>\n",
             request.tail);
    return RenderPage(page, view, 404);
  }
  page.title = row->name;
  const ShownSource source{request, view, *store, *row, CurveQueryOf(request, *store)};
  std::vector<state::DatasetRow> datasets;
  state::DatasetStore dataset_store(store->database());
  for (const state::DatasetRow& listed : dataset_store.Of(row->id)) datasets.push_back(*dataset_store.Find(listed.id));
  if (!source.query.dataset.empty()) DatasetCalled(*store, *row, source.query.dataset);  // or says that there is none
  // Points of tiles with what is flagged; means are of what is not.
  state::LightCurveStore curves(store->database());
  LightCurveRequest wanted = source.query.request;
  if (wanted.level == LightCurveLevel::kTile) wanted.mask = 0;
  const std::vector<LightCurvePoint> points = LightCurveOf(curves, *row, wanted);
  LightCurveRequest of_tiles = wanted;
  of_tiles.level = LightCurveLevel::kTile;
  of_tiles.mask = 0;
  const std::vector<LightCurvePoint> tiles =
      wanted.level == LightCurveLevel::kTile ? points : LightCurveOf(curves, *row, of_tiles);

  DrawHead(source, html);
  if (points.empty() && source.query.dataset.empty()) {
    html.Add("<p class=\"empty\">Nothing was measured of it, or nothing of this kind and time.</p>\n");
  }
  if (!points.empty() || !source.query.dataset.empty()) DrawCurve(source, datasets, points.size(), html);
  DrawSection(html, [&](Html& part) { DrawCutouts(source, tiles, part); });
  html.Add("<div class=\"flow\">\n");
  DrawStatistics(source, html);
  DrawNearby(source, html);
  DrawCatalogues(source, html);
  DrawDatasets(source, datasets, html);
  html.Add("</div>\n");
  if (source.query.dataset.empty()) DrawPoints(source, points, html);
  html.Add("<p class=\"twin\"><a href=\"/api/v1/sources/{}\">this page as JSON</a></p>\n", row->id);
  return RenderPage(page, view);
}

}  // namespace contimg::ops
