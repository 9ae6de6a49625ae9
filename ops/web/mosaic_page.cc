#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "config/error.h"
#include "config/text.h"
#include "config/time.h"
#include "mosaic/table/fits_table.h"
#include "ops/api/mosaic_api.h"
#include "ops/base/shell_word.h"
#include "ops/base/words.h"
#include "ops/records/mosaic_words.h"
#include "ops/records/served_names.h"
#include "ops/web/figures.h"
#include "ops/web/lineage_tree.h"
#include "ops/web/map_page.h"
#include "ops/web/mosaic_pages.h"
#include "ops/web/page.h"
#include "ops/web/product_table.h"
#include "ops/web/quality_section.h"
#include "ops/web/sky_words.h"
#include "ops/web/tile_quality.h"

namespace contimg::ops {
namespace {

using nlohmann::json;
using state::MosaicRow;
using state::MosaicTileRow;
using state::ProductRow;

constexpr std::size_t kFoundShown = 20, kTilesShown = 400;
constexpr int kOfAWindowShown = 12, kTilesOfATree = 24;

struct ShownMosaic {
  PipelineView& view;
  MosaicRow row;
  std::vector<ProductRow> products;
  std::optional<state::TaskRow> task;  // the newest
  bool under_way = false;              // it is being made, as far as is known
  json figures = json::object();

  const ProductRow* Of(ProductKind kind) const {
    const auto found = std::find_if(products.begin(), products.end(),
                                    [&](const ProductRow& product) { return product.kind == ToString(kind); });
    return found == products.end() ? nullptr : &*found;
  }
};

std::string MosaicSentence(const ShownMosaic& mosaic) {
  const MosaicRow& row = mosaic.row;
  std::string text = fmt::format("{} to {} UTC, declination {}, sidereal time {} to {}. ", StampOfMjd(row.start_mjd),
                                 StampOfMjd(row.end_mjd), StripWords(row.strip_deg), LstWords(row.lst_start_h),
                                 LstWords(row.lst_end_h));
  if (row.version == 0) return text + (mosaic.under_way ? "It is being made." : "It was not made.");
  return text + fmt::format("{} in it, {} left out. Version {}, made {}.",
                            Counted(static_cast<std::int64_t>(row.n_used), "tile"), row.n_refused, row.version,
                            Ago(mosaic.view.Now() - row.updated_at));
}

// The first one behind it, of the same kind and strip. Lists are newest first and may be of years: it is looked for in
// longer and longer times, so that no more is read than a few times what lies between.
std::optional<MosaicRow> NextMosaic(const ShownMosaic& mosaic) {
  state::MosaicQuery query;
  query.kind = mosaic.row.kind;
  query.strip_deg = mosaic.row.strip_deg;
  query.limit = 1;
  const std::vector<MosaicRow> newest = mosaic.view.Mosaics(query);
  if (newest.empty() || newest.front().id == mosaic.row.id) return std::nullopt;
  query.limit = 0;
  query.from_mjd = mosaic.row.end_mjd;
  const double last = newest.front().start_mjd;
  for (double days = 1;; days *= 2) {
    query.before_mjd = mosaic.row.end_mjd + days;
    std::optional<MosaicRow> next;
    for (const MosaicRow& row : mosaic.view.Mosaics(query)) {
      if (row.id == mosaic.row.id) break;
      next = row;
    }
    if (next || !(*query.before_mjd <= last)) return next;
  }
}

// Beside it in time, of the same kind and strip.
void DrawNeighbouringMosaics(const ShownMosaic& mosaic, Html& html) {
  state::MosaicQuery earlier;
  earlier.kind = mosaic.row.kind;
  earlier.strip_deg = mosaic.row.strip_deg;
  earlier.after = mosaic.row.name;
  earlier.limit = 1;
  html.Add("<nav class=\"spans\" aria-label=\"Neighbouring mosaics\">");
  for (const MosaicRow& row : mosaic.view.Mosaics(earlier)) {
    html.Add("<a href=\"{}\" rel=\"prev\">‹ earlier</a>", MosaicAddress(row.name));
  }
  if (const auto next = NextMosaic(mosaic)) {
    html.Add("<a href=\"{}\" rel=\"next\">later ›</a>", MosaicAddress(next->name));
  }
  html.Add("</nav>");
}

// What is wrong with it as a whole: not made, or not on the disk.
void DrawTrouble(const ShownMosaic& mosaic, Html& html) {
  const MosaicRow& row = mosaic.row;
  const bool given_up = IsGivenUp(mosaic.task);
  const std::string task = ShellWord(given_up ? mosaic.task->id : "mosaic/" + row.name);
  if (row.state == "failed" || given_up) {
    html.Add("<section class=\"wide cause dead\" aria-label=\"Cause\"><p>{}{}</p>",
             row.version > 0 ? "Its next version was not made: " : "", given_up ? mosaic.task->error : row.why);
    if (row.kind == "hourly") {
      html.Add("<p class=\"cure\">Its task, and how it is tried again:</p>{}{}",
               CommandLine("contimg queue show " + task), CommandLine("contimg queue requeue " + task));
    }
    html.Add("</section>\n");
  }
  if (row.version == 0) return;
  const ProductRow* image = MosaicImage(mosaic.products);
  if (image != nullptr && image->status == "present") return;
  html.Add("<section class=\"wide cause held\" aria-label=\"Not on the disk\">");
  if (image == nullptr) {
    html.Add("<p>Its image is not on record any more: what is told here is what was known when it was made.</p>");
  } else if (image->status == "archived") {
    html.Add("<p>Its image is not on the disk; there is a copy at <code>{}</code>.</p>{}", image->archive_path,
             CommandLine("contimg restore --group " + ShellWord(row.name) + " --apply"));
  } else {
    html.Add("<p>Its image is not on the disk ({}), and there is no copy of it.</p>", image->status);
    if (row.kind == "hourly") {
      html.Add("<p class=\"cure\">Where the images of its tiles are, it can be made again:</p>{}",
               CommandLine("contimg queue requeue " + task));
    }
  }
  html.Add("</section>\n");
}

void DrawMosaicPicture(const ShownMosaic& mosaic, Html& html) {
  const ProductRow* picture = mosaic.Of(ProductKind::kMosaicPicture);
  if (picture == nullptr || picture->status != "present") return;
  const std::string address = PictureAddress("/images/", mosaic.view, *picture);
  if (address.empty()) return;
  html.Add(
      "<section class=\"wide picture\" aria-label=\"Picture\"><a href=\"{}\"><img src=\"{}\" alt=\"Mosaic {}: image "
      "over noise, noise, number of tiles over each place, figures, gates and tiles\"></a></section>\n",
      address, address, mosaic.row.name);
}

void DrawMosaicQuality(const ShownMosaic& mosaic, Html& html) {
  const json& figures = mosaic.figures;
  if (figures.empty()) {
    if (mosaic.row.version > 0) {
      html.Add(
          "<section aria-labelledby=\"quality\"><h2 id=\"quality\">Quality {}</h2><p class=\"empty\">Its figures are "
          "not on record.</p></section>\n",
          GradeBadge(mosaic.row.grade));
    }
    return;
  }
  html.Add("<section aria-labelledby=\"quality\"><h2 id=\"quality\">Quality {}</h2>", GradeBadge(mosaic.row.grade));
  if (const auto meaning = GradeMeaning(mosaic.row.grade); !meaning.empty()) {
    html.Add("<p class=\"lead\">{}: {}.</p>", mosaic.row.grade, meaning);
  }
  html.Add("<dl class=\"key\">");
  const auto line = [&](const char* name, const std::string& value) {
    html.Add("<div><dt>{}</dt><dd>{}</dd></div>", name, value);
  };
  const auto quality = [&](const char* name) { return FigureAt(figures, {"quality", name}); };
  if (const auto rms = quality("rms_median_jy")) {
    std::string text = Flux(*rms) + "/beam";
    if (const auto least = quality("rms_least_jy")) text += fmt::format(", at least {}/beam", Flux(*least));
    line("noise (median)", text);
  }
  if (const auto thermal = quality("rms_over_thermal")) line("noise of the tiles", Figure(*thermal) + " × thermal");
  if (const auto covered = quality("covered_deg2")) {
    std::string text = fmt::format("{:.1f} deg²", *covered);
    if (const auto deep = quality("tiles_deep")) text += fmt::format(", {:.1f} tiles deep on average", *deep);
    line("sky", text);
  }
  const auto major = FigureAt(figures, {"beam", "major_arcsec"}), minor = FigureAt(figures, {"beam", "minor_arcsec"}),
             angle = FigureAt(figures, {"beam", "angle_deg"}), hz = FigureAt(figures, {"frequency_hz"});
  if (major && minor) {
    line("beam", fmt::format("{:.1f}″ × {:.1f}″{}{}", *major, *minor, angle ? fmt::format(" at {:.0f}°", *angle) : "",
                             hz ? fmt::format(", {:.1f} MHz", *hz * 1e-6) : ""));
  }
  if (const auto differences = quality("differences")) {
    std::string text = fmt::format("{:.2f} × the noise", *differences);
    if (const auto seams = quality("seams")) text += fmt::format(", at seams up to {:.2f}", *seams);
    line("between its tiles", text);
  }
  const auto of = [&](const char* name) { return FigureAt(figures, {"quality", "catalogue", name}); };
  if (const auto complete = of("completeness")) {
    std::string text = fmt::format("{:.3f}", *complete);
    if (const auto error = of("completeness_error")) text += fmt::format(" ± {:.3f}", *error);
    const auto expected = of("expected"), matched = of("matched");
    if (expected && matched) text += fmt::format(", {:.0f} of {:.0f} sources above 10 σ", *matched, *expected);
    line("completeness", text);
  }
  if (const auto n = of("sources"); n && *n > 0) {
    std::string text = Counted(static_cast<std::int64_t>(*n), "source");
    if (const auto ratio = of("flux_ratio_median")) {
      text += fmt::format(", flux ratio {:.3f}", *ratio);
      if (const auto scatter = of("flux_ratio_scatter")) text += fmt::format(" ± {:.3f}", *scatter);
    }
    const auto east = of("offset_east_arcsec"), north = of("offset_north_arcsec");
    if (east && north) text += fmt::format(", offset {:.2f}″", std::hypot(*east, *north));
    line("against the catalogue", text);
  }
  html.Add("</dl>");
  DrawGates(figures, html);
  json rest = figures;
  rest.erase("tiles");  // a table of their own
  DrawOtherFigures(rest, "All figures of the mosaic", html);
  html.Add("</section>\n");
}

// A sentence where there is something to say of it.
std::string RemarkOn(const MosaicTileRow& tile) {
  if (!tile.used || tile.scale) return tile.why;
  return "flux scale not known: it shares too few bright sources with others";
}

void DrawMosaicTile(const MosaicTileRow& tile, bool remarks, Html& html) {
  html.Add(
      "<tr class=\"{}\"><td>{}</td><td>{}</td><td data-name=\"flux scale\">{}</td><td data-name=\"told by\">{}</td>",
      tile.used ? "" : "left-out", GroupLink(tile.group_id),
      tile.used
          ? MakeHtml("<span class=\"verdict passed\">in it</span>")
          : MakeHtml("<span class=\"verdict missed\">left out</span> <span class=\"kind\">{}</span>", tile.refusal),
      tile.scale ? fmt::format("{:.4f} ± {:.4f}", *tile.scale, tile.scale_error.value_or(0)) : std::string("–"),
      tile.n_references > 0 ? Counted(static_cast<std::int64_t>(tile.n_references), "source") : std::string());
  html.Add("{}</tr>\n", remarks ? MakeHtml("<td class=\"why\">{}</td>", RemarkOn(tile)) : Html());
}

void DrawMosaicTiles(const ShownMosaic& mosaic, Html& html) {
  if (mosaic.row.version == 0) return;
  std::vector<MosaicTileRow> tiles = mosaic.view.MosaicTiles(mosaic.row);
  html.Add("<section class=\"wide\" aria-labelledby=\"tiles\"><h2 id=\"tiles\">Tiles</h2>");
  if (tiles.empty()) {
    html.Add("<p class=\"empty\">Which tiles it has is not on record; its table of tiles, below, says so.</p>");
    html.Add("</section>\n");
    return;
  }
  // What was left out is asked for first; both by time.
  std::stable_partition(tiles.begin(), tiles.end(), [](const MosaicTileRow& tile) { return !tile.used; });
  const bool remarks =
      std::any_of(tiles.begin(), tiles.end(), [](const MosaicTileRow& tile) { return !RemarkOn(tile).empty(); });
  html.Add(
      "<div class=\"scroll\"><table class=\"rows stacked\"><thead><tr><th>tile</th><th></th><th>flux scale</th>"
      "<th>told by</th>{}</tr></thead><tbody>\n",
      remarks ? MakeHtml("<th>why</th>") : Html());
  for (std::size_t i = 0; i < std::min(tiles.size(), kTilesShown); ++i) DrawMosaicTile(tiles[i], remarks, html);
  html.Add("</tbody></table></div>");
  if (tiles.size() > kTilesShown) {
    html.Add("<p class=\"twin\">{} of {}; all of them are in the <a href=\"/api/v1/mosaics/{}\">JSON</a>.</p>",
             kTilesShown, Count(static_cast<std::int64_t>(tiles.size())), UrlPart(mosaic.row.name));
  }
  html.Add("<p class=\"twin\">Flux scale: its fluxes over those of the other tiles.</p></section>\n");
}

template <class Value>
const std::vector<Value>* ColumnOf(const mosaic::Table& table, std::string_view name) {
  for (const mosaic::TableColumn& column : table.columns) {
    if (column.name == name) return std::get_if<std::vector<Value>>(&column.values);
  }
  return nullptr;
}

// The brightest of its catalogue, and our own sources there.
void DrawFound(const ShownMosaic& shown, Html& html) {
  const ProductRow* catalogue = shown.Of(ProductKind::kMosaicSources);
  if (catalogue == nullptr || catalogue->status != "present" || catalogue->size_bytes > kLargestServedFile) return;
  mosaic::Table table;
  try {
    table = mosaic::ReadFitsTable(catalogue->path);
  } catch (const Error&) {
    html.Add(
        "<section aria-labelledby=\"found\"><h2 id=\"found\">Sources found</h2><p class=\"problem\">{} cannot be "
        "read: it is not on the disk any more, or damaged.</p>{}</section>\n",
        std::filesystem::path(catalogue->path).filename().string(),
        CommandLine(fmt::format("contimg products show {}", catalogue->id)));
    return;
  }
  const auto *ra = ColumnOf<double>(table, "ra_deg"), *dec = ColumnOf<double>(table, "dec_deg"),
             *flux = ColumnOf<double>(table, "flux_jy"), *error = ColumnOf<double>(table, "flux_error_jy");
  if (ra == nullptr || dec == nullptr || flux == nullptr || error == nullptr) return;
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < table.rows(); ++i) {
    if (std::isfinite((*flux)[i])) order.push_back(i);
  }
  const std::size_t n = std::min(order.size(), kFoundShown);
  const bool map = !MapAddress(shown.view, shown.row.name).empty();
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(n), order.end(),
                    [&](std::size_t a, std::size_t b) { return (*flux)[a] > (*flux)[b]; });
  html.Add(
      "<section aria-labelledby=\"found\"><h2 id=\"found\">{} found</h2><div class=\"scroll\"><table "
      "class=\"rows\"><thead><tr><th>RA, Dec: our own sources there</th><th>flux</th>{}</tr></thead><tbody>\n",
      Counted(static_cast<std::int64_t>(table.rows()), "source"), map ? MakeHtml("<th></th>") : Html());
  for (std::size_t i = 0; i < n; ++i) {
    const std::size_t at = order[i];
    html.Add("<tr><td><a href=\"/sources?at={:.5f},{:.5f}\">{} {}</a></td><td>{}</td>{}</tr>\n", (*ra)[at], (*dec)[at],
             RaWords((*ra)[at]), DecWords((*dec)[at]), FluxWithError((*flux)[at], (*error)[at]),
             map ? MakeHtml("<td><a href=\"{}\">map</a></td>", MapAddressAt(shown.row.name, (*ra)[at], (*dec)[at]))
                 : Html());
  }
  html.Add("</tbody></table></div>");
  if (n < table.rows()) {
    const std::string address = PictureAddress("/images/", shown.view, *catalogue);
    html.Add("<p class=\"twin\">The brightest {}; all of them {}.</p>", n,
             address.empty() ? MakeHtml("in {}", catalogue->path)
                             : MakeHtml("in <a href=\"{}\">its catalogue</a>", address));
  }
  html.Add("</section>\n");
}

// Hours; it may go over 24 h.
double WindowMiddle(const MosaicRow& row) {
  const double length = std::fmod(row.lst_end_h - row.lst_start_h + 24, 24);
  return std::fmod(row.lst_start_h + length / 2, 24);
}

void DrawWindow(const ShownMosaic& mosaic, Html& html) {
  const std::vector<MosaicRow> rows = OfTheSameWindow(mosaic.view, mosaic.row, kOfAWindowShown);
  if (rows.empty()) return;
  html.Add(
      "<section aria-labelledby=\"window\"><h2 id=\"window\">The same window</h2><div class=\"scroll\"><table "
      "class=\"rows stacked\"><thead><tr><th>mosaic</th><th>grade</th><th>tiles</th><th>left "
      "out</th><th>version</th></tr></thead><tbody>\n");
  for (const MosaicRow& row : rows) {
    const bool made = row.version > 0;
    html.Add(
        "<tr><td>{} {}</td><td data-name=\"grade\">{}</td><td data-name=\"tiles\">{}</td><td data-name=\"left "
        "out\">{}</td><td data-name=\"version\">{}</td></tr>\n",
        MosaicTimeLink(row), MosaicMarks(mosaic.view, row), made ? GradeBadge(row.grade) : Html(),
        made ? std::to_string(row.n_used) : "", made ? std::to_string(row.n_refused) : "",
        made ? std::to_string(row.version) : "");
  }
  html.Add("</tbody></table></div>");
  if (rows.size() == kOfAWindowShown) {
    html.Add("<p class=\"twin\">The newest {}; <a href=\"/mosaics?strip={:.1f}&lst={:.4f}\">all of this sky</a>.</p>",
             kOfAWindowShown, mosaic.row.strip_deg, WindowMiddle(mosaic.row));
  }
  html.Add("</section>\n");
}

void DrawOrigin(const ShownMosaic& mosaic, Html& html) {
  const ProductRow* image = MosaicImage(mosaic.products);
  if (image == nullptr) return;
  html.Add("<section class=\"wide\" aria-labelledby=\"lineage\"><h2 id=\"lineage\">Lineage</h2>");
  if (mosaic.row.n_used <= kTilesOfATree) {
    html.Add("<details id=\"tree\"><summary>From the mosaic down to the files of the correlator</summary>{}</details>",
             DrawLineage(mosaic.view, {*image}));
  } else {
    html.Add("<p>What each tile was made from stands on its page; all of it:</p>{}",
             CommandLine(fmt::format("contimg products lineage {}", image->id)));
  }
  html.Add("<p class=\"cure\">To make it once more and compare bit for bit:</p>{}</section>\n",
           CommandLine(fmt::format("contimg products reproduce {}", image->id)));
}

}  // namespace

void DrawMosaicsOfGroup(PipelineView& view, const std::string& group, Html& html) {
  state::MosaicQuery query;
  query.group_id = group;
  query.limit = kOfAWindowShown + 1;
  std::vector<MosaicRow> rows = view.Mosaics(query);
  if (rows.empty()) return;
  const bool more = rows.size() > kOfAWindowShown;
  if (more) rows.pop_back();
  html.Add(
      "<section aria-labelledby=\"mosaics\"><h2 id=\"mosaics\">Mosaics</h2><div class=\"scroll\"><table "
      "class=\"rows stacked\"><thead><tr><th>mosaic</th><th></th><th>flux "
      "scale</th><th>why</th></tr></thead><tbody>\n");
  for (const MosaicRow& row : rows) {
    for (const MosaicTileRow& tile : view.MosaicTiles(row)) {
      if (tile.group_id != group) continue;
      html.Add(
          "<tr><td>{} {}</td><td><span class=\"verdict {}\">{}</span></td><td data-name=\"flux scale\">{}</td><td "
          "class=\"why\">{}</td></tr>\n",
          MosaicTimeLink(row), MosaicMarks(view, row), tile.used ? "passed" : "missed",
          tile.used ? "in it" : "left out",
          tile.scale ? fmt::format("{:.4f} ± {:.4f}", *tile.scale, tile.scale_error.value_or(0)) : std::string("–"),
          tile.why);
    }
  }
  html.Add("</tbody></table></div>");
  if (more) {
    html.Add("<p class=\"twin\">The newest {}; <a href=\"/mosaics?group={}\">all</a>.</p>", kOfAWindowShown,
             UrlPart(group));
  }
  html.Add("</section>\n");
}

HttpResponse MosaicPage(const HttpRequest& request, PipelineView& view) {
  Page page;
  page.title = request.tail;
  page.current = "/mosaics";
  Html& html = page.body;
  const auto row = view.FindMosaic(request.tail);
  if (!row) {
    html.Add("<h1>No such mosaic</h1><p>There is no mosaic <code>{}</code>. <a href=\"/mosaics\">All mosaics</a></p>\n",
             request.tail);
    return RenderPage(page, view, 404);
  }
  state::ProductQuery query;
  query.group_id = row->name;
  query.newest_first = false;
  ShownMosaic mosaic{view, *row, view.Products(query), TaskOfMosaic(view, *row)};
  mosaic.under_way = row->state == "open" && !IsGivenUp(mosaic.task);
  page.refreshes = mosaic.under_way;
  for (const ProductRow& product : mosaic.products) {
    json figures = json::parse(product.qa_json, nullptr, false);
    if (mosaic.figures.empty() && figures.is_object()) mosaic.figures = std::move(figures);
  }
  html.Add("<div class=\"head\"><h1 class=\"id\">{}</h1>{}", row->name, MosaicMarks(view, *row));
  DrawSection(html, [&](Html& part) { DrawNeighbouringMosaics(mosaic, part); });
  html.Add("</div>\n<p class=\"lead\">{} {}</p>\n", MosaicSentence(mosaic), MapLink(view, row->name));
  DrawTrouble(mosaic, html);
  DrawMosaicPicture(mosaic, html);
  DrawSection(html, [&](Html& part) { DrawMosaicTiles(mosaic, part); });
  html.Add("<div class=\"flow\">\n");
  DrawSection(html, [&](Html& part) { DrawMosaicQuality(mosaic, part); });
  DrawSection(html, [&](Html& part) { DrawWindow(mosaic, part); });
  DrawSection(html, [&](Html& part) { DrawFound(mosaic, part); });
  html.Add("</div>\n");
  DrawSection(html, [&](Html& part) { DrawOrigin(mosaic, part); });
  DrawSection(html, [&](Html& part) { DrawProducts(view, mosaic.products, part); });
  html.Add("<p class=\"twin\"><a href=\"/api/v1/mosaics/{}\">this page as JSON</a></p>\n", UrlPart(row->name));
  return RenderPage(page, view);
}

}  // namespace contimg::ops
