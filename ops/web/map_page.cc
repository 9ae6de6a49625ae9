#include "ops/web/map_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <utility>

#include "config/error.h"
#include "config/product_paths.h"
#include "mosaic/map/map_view.h"
#include "ops/api/map_query.h"
#include "ops/base/words.h"
#include "ops/lightcurves/sources_in_view.h"
#include "ops/web/map_pictures.h"
#include "ops/web/mosaic_pages.h"
#include "ops/web/page.h"
#include "ops/web/sky_words.h"

namespace contimg::ops {
namespace {

using mosaic::MapLayer;

constexpr std::size_t kMapSourcesListed = 20;
constexpr double kPan = 0.5;  // of the square
constexpr std::array<double, 9> kMapSizesArcmin{2, 5, 10, 20, 40, 60, 120, 240, 360};

std::string MapOwnerAddress(const std::string& name) {
  return ParseMosaicName(name) ? MosaicAddress(name) : GroupAddress(name);
}

// "20′", "1.5°".
std::string MapSizeText(Angle size) {
  return size.deg() < 0.9999 ? fmt::format("{:.3g}′", size.arcsec() / 60) : fmt::format("{:.3g}°", size.deg());
}

const char* MapLayerWords(MapLayer layer) {
  switch (layer) {
    case MapLayer::kImage:
      return "image";
    case MapLayer::kCorrected:
      return "over primary beam";
    case MapLayer::kResidual:
      return "residual";
    case MapLayer::kRms:
      return "noise";
    case MapLayer::kWeight:
      return "weight";
    case MapLayer::kResponse:
      return "primary beam";
  }
  return "";
}

struct ShownMap {
  PipelineView& view;
  const MapImages& images;
  const MapLook& look;
  std::vector<state::ListedSource> sources;

  std::string Address(const char* ending, const MapLook& other) const {
    return MapOwnerAddress(images.name) + "/map" + ending + "?" + MapParametersOf(other);
  }
};

// Of this map with something changed.
template <typename Change>
std::string ChangedAddress(const ShownMap& map, const Change& change) {
  MapLook other = map.look;
  change(other);
  return map.Address("", other);
}

void DrawMapLayers(const ShownMap& map, Html& html) {
  html.Add("<nav class=\"spans choices\" aria-label=\"What of it\"><span>");
  for (const auto& [layer, path] : map.images.files) {
    const MapLayer to = layer;
    const std::string address = ChangedAddress(map, [&](MapLook& other) { other.layer = to; });
    html.Append(to == map.look.layer
                    ? MakeHtml("<a href=\"{}\" aria-current=\"true\">{}</a>", address, MapLayerWords(to))
                    : MakeHtml("<a href=\"{}\">{}</a>", address, MapLayerWords(to)));
  }
  html.Add("</span></nav>");
}

// Twice: the place in a picture where somebody clicks is told in its pixels, so that each is shown in its own size.
void DrawMapPictures(const ShownMap& map, Html& html) {
  const auto draw = [&](const char* name, int side) {
    const std::string picture = fmt::format("{}&side={}", map.Address(".png", map.look), side);
    html.Add(
        "<a class=\"{0}\" href=\"{1}&amp;side={2}&amp;click=\"><img ismap src=\"{3}\" srcset=\"{3} 1x, "
        "{4}&amp;side={5}&amp;scale=2 2x\" width=\"{2}\" height=\"{6}\" loading=\"lazy\" alt=\"{7} about {8} {9}, {10} "
        "across; a click goes to the place\"></a>\n",
        name, map.Address("", map.look), side, picture, map.Address(".png", map.look), 2 * side,
        side + static_cast<int>(mosaic::kMapStripPx), MapLayerWords(map.look.layer), RaWords(map.look.place.ra.deg()),
        DecWords(map.look.place.dec.deg()), MapSizeText(Angle::Radians(map.look.square.side_rad())));
  };
  html.Add("<div class=\"map\">");
  draw("wide-map", kMapSidePx);
  draw("narrow-map", kNarrowMapSidePx);
  html.Add("</div>\n");
}

// Links to what is beside it and to other sizes; those that the image does not have are not there.
void DrawMapSteps(const ShownMap& map, Html& html) {
  const image::FitsHeader& header = map.look.header;
  const auto link = [&](const char* words, const SkyDirection& place, Angle size) {
    try {
      mosaic::SquareAbout(header, "", place, size);
    } catch (const Error&) {
      html.Add("<span class=\"none\">{}</span>", words);
      return;
    }
    html.Add("<a href=\"{}\">{}</a>",
             ChangedAddress(map,
                            [&](MapLook& other) {
                              other.place = place;
                              other.size = size;
                            }),
             words);
  };
  const auto pan = [&](const char* words, double dx, double dy) {
    // From the place itself, which stands beside the middle by a pixel at most: to and fro is where it was.
    const auto here = map.look.square.PlaceOf(map.look.place);
    if (!here) return;
    const auto place = map.look.square.DirectionAt((*here)[0] + kPan * dx, (*here)[1] + kPan * dy);
    if (place) link(words, *place, map.look.size);
  };
  html.Add("<nav class=\"spans steps\" aria-label=\"To other places and sizes\">");
  pan("← east", -1, 0);
  pan("↑ north", 0, -1);
  pan("↓ south", 0, 1);
  pan("west →", 1, 0);
  const Angle size = Angle::Radians(map.look.square.side_rad());
  if (map.look.square.part.nx > mosaic::kFewestMapPixels) link("closer", map.look.place, 0.5 * size);
  link("wider", map.look.place, 2 * size);
  html.Add("<a href=\"{}\">{}</a></nav>\n", ChangedAddress(map, [](MapLook& other) { other.names = !other.names; }),
           map.look.names ? "without names" : "with names");
}

void DrawMapForm(const std::string& name, const std::string& words, const std::optional<ShownMap>& map, Html& html) {
  html.Add(
      "<form class=\"filter\" action=\"{}/map\" method=\"get\"><label>place or source <input name=\"q\" value=\"{}\" "
      "size=\"26\" placeholder=\"00:01:28 +16:12:04\" required></label>",
      MapOwnerAddress(name), words);
  const double shown = map ? Angle::Radians(map->look.square.side_rad()).arcsec() / 60 : kUsualMapDeg * 60;
  html.Add("<label>size <select name=\"size\">");
  bool listed = false;
  for (const double size : kMapSizesArcmin) {
    const bool this_one = std::abs(size / shown - 1) < 0.03;
    listed = listed || this_one;
    html.Add("<option value=\"{}arcmin\"{}>{}</option>", size, this_one ? MakeHtml(" selected") : Html(),
             MapSizeText(Angle::Degrees(size / 60)));
  }
  if (!listed) {
    html.Add("<option value=\"{:.6g}arcmin\" selected>{}</option>", shown, MapSizeText(Angle::Degrees(shown / 60)));
  }
  html.Add("</select></label>");
  if (map) {
    html.Add("<input type=\"hidden\" name=\"kind\" value=\"{}\">", mosaic::ToString(map->look.layer));
    if (map->look.names) html.Add("<input type=\"hidden\" name=\"names\" value=\"yes\">");
  }
  html.Add("<button>Go</button></form>\n");
}

void DrawMapFigures(const ShownMap& map, Html& html) {
  const mosaic::PlaceFigures figures = mosaic::FiguresAt(map.images.files, map.look.place);
  const auto at = [&](MapLayer layer) {
    const auto found = figures.values.find(layer);
    return found == figures.values.end() ? std::optional<double>() : std::optional(found->second);
  };
  const auto line = [&](const char* name, const std::string& text) {
    html.Add("<div><dt>{}</dt><dd>{}</dd></div>", name, text);
  };
  html.Add("<section aria-labelledby=\"place\"><h2 id=\"place\">{} {}</h2><dl class=\"key\">",
           RaWords(map.look.place.ra.deg()), DecWords(map.look.place.dec.deg()));
  line("degrees", fmt::format("{:.5f} {:+.5f}", map.look.place.ra.deg(), map.look.place.dec.deg()));
  const auto value = at(MapLayer::kImage), response = at(MapLayer::kResponse);
  line("image", value ? Flux(*value) + "/beam" : "blank");
  if (value && figures.noise_jy) line("noise", Flux(*figures.noise_jy) + "/beam");
  if (value && figures.noise_jy) line("signal to noise", fmt::format("{:.1f}", *value / *figures.noise_jy));
  if (value && response && *response > 0) {
    line("over primary beam", fmt::format("{}/beam at {:.3f} of it", Flux(*value / *response), *response));
  }
  if (const auto residual = at(MapLayer::kResidual)) line("residual", Flux(*residual) + "/beam");
  if (const auto weight = at(MapLayer::kWeight)) line("weight", fmt::format("{:.4g} beam²/Jy²", *weight));
  html.Add(
      "</dl><p class=\"twin\">Fluxes are read between pixels of {:.3g}″. <a href=\"{}\" download>This part as FITS</a> "
      "· <a "
      "href=\"/api/v1/maps/{}?{}\">as JSON</a></p></section>\n",
      Angle::Radians(map.look.header.geometry.cell_rad).arcsec(), map.Address(".fits", map.look),
      UrlPart(map.images.name), MapParametersOf(map.look));
}

void DrawMapSources(const ShownMap& map, Html& html) {
  html.Add("<section aria-labelledby=\"sources\"><h2 id=\"sources\">Sources in view</h2>");
  if (map.sources.empty()) {
    html.Add("<p class=\"empty\">None of our own.</p></section>\n");
    return;
  }
  html.Add(
      "<div class=\"scroll\"><table class=\"rows\"><thead><tr><th>source</th><th>mean "
      "flux</th><th>away</th></tr></thead><tbody>\n");
  for (std::size_t i = 0; i < std::min(map.sources.size(), kMapSourcesListed); ++i) {
    const state::ListedSource& listed = map.sources[i];
    const Angle away =
        Separation(map.look.place, {Angle::Degrees(listed.source.ra_deg), Angle::Degrees(listed.source.dec_deg)});
    const double flux = listed.statistics ? listed.statistics->mean_jy : listed.source.flux_jy;
    html.Add("<tr><td>{}</td><td>{}</td><td>{}</td></tr>\n", SourceLink(listed.source.id, listed.source.name),
             flux > 0 ? Flux(flux) : std::string("–"),
             away.arcsec() < 60 ? fmt::format("{:.0f}″", away.arcsec()) : fmt::format("{:.1f}′", away.arcsec() / 60));
  }
  html.Add("</tbody></table></div>");
  if (map.sources.size() > kMapSourcesListed) {
    const double radius =
        std::min(Angle::Radians(map.look.square.side_rad() / std::sqrt(2.0)).deg(), state::kLargestListedConeDeg);
    html.Add(
        "<p class=\"twin\">The brightest {}; <a href=\"/sources?at={:.5f},{:.5f}&amp;radius_deg={:.4f}\">all "
        "about here</a>.{}</p>",
        kMapSourcesListed, map.look.place.ra.deg(), map.look.place.dec.deg(), radius,
        map.sources.size() == static_cast<std::size_t>(kMostMapSources)
            ? fmt::format(" Rings stand about the brightest {}.", kMostMapSources)
            : "");
  }
  html.Add("</section>\n");
}

void DrawMapHead(const std::string& name, Html& html) {
  html.Add("<h1 class=\"id\"><a href=\"{}\">{}</a></h1>", MapOwnerAddress(name), name);
}

// To the page of another place. Throws Error{kUsage} where the image does not have it.
HttpResponse Elsewhere(const MapImages& images, const MapLook& look) {
  mosaic::SquareAbout(look.header, images.files.at(look.layer).filename(), look.place, look.size);
  HttpResponse response;
  response.status = 303;
  response.headers.emplace_back("Location", MapOwnerAddress(images.name) + "/map?" + MapParametersOf(look));
  return response;
}

// "?x,y", as browsers put it behind the address of a picture that is clicked on, from its upper left corner. Below the
// map, and for (0, 0), which the keyboard sends: nothing.
std::optional<SkyDirection> ClickedPlace(const HttpRequest& request, const MapLook& look) {
  const std::string side = request.Parameter("side"), text = request.Parameter("click");
  const auto refuse = [&] {
    return Error(ErrorKind::kUsage, "http", "click",
                 fmt::format("expected ?X,Y in a picture of side {} or {} and found '{}' and side '{}'", kMapSidePx,
                             kNarrowMapSidePx, text, side));
  };
  const int pixels = side == std::to_string(kMapSidePx)         ? kMapSidePx
                     : side == std::to_string(kNarrowMapSidePx) ? kNarrowMapSidePx
                                                                : 0;
  const std::size_t comma = text.find(',');
  if (pixels == 0 || comma == std::string::npos || text.front() != '?') throw refuse();
  const auto number = [&](const char* begin, const char* end) {
    int value = 0;
    const auto [rest, status] = std::from_chars(begin, end, value);
    if (status != std::errc() || rest != end) throw refuse();
    return value;
  };
  const int x = number(text.data() + 1, text.data() + comma),
            y = number(text.data() + comma + 1, text.data() + text.size());
  if (x < 0 || y < 0 || x >= pixels || y >= pixels || (x == 0 && y == 0)) return std::nullopt;
  return look.square.DirectionAt((x + 0.5) / pixels, (y + 0.5) / pixels);
}

// 400 and 404 alike: one sentence, and what else can be done.
HttpResponse NoMapPage(Page& page, PipelineView& view, const HttpRequest& request, int status,
                       const std::string& sentence) {
  const std::string& name = request.tail;
  page.body.Add("<div class=\"head\">");
  DrawMapHead(name, page.body);
  page.body.Add("</div>\n<p class=\"problem\">{}</p>\n", sentence);
  if (status == 400) {
    DrawMapForm(name, request.Parameter("q"), std::nullopt, page.body);
    page.body.Add("<p><a href=\"{}/map\">The middle of the map</a></p>\n", MapOwnerAddress(name));
  }
  return RenderPage(page, view, status);
}

}  // namespace

const std::vector<std::string>& MapPageParameters() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all = MapParameters();
    all.insert(all.end(), {"q", "side", "click"});
    return all;
  }();
  return names;
}

std::string MapAddressAt(const std::string& name, double ra_deg, double dec_deg) {
  return fmt::format("{}/map?ra={:.5f}&dec={:.5f}&size=20arcmin", MapOwnerAddress(name), ra_deg, dec_deg);
}

std::string MapAddress(PipelineView& view, const std::string& name) {
  return MapImagesOf(view, name) ? MapOwnerAddress(name) + "/map" : "";
}

Html MapLink(PipelineView& view, const std::string& name) {
  const std::string address = MapAddress(view, name);
  return address.empty() ? Html() : MakeHtml("<a href=\"{}\">Look at the map</a>", address);
}

HttpResponse MapPage(const HttpRequest& request, PipelineView& view) {
  Page page;
  page.title = "Map of " + request.tail;
  page.current = ParseMosaicName(request.tail) ? "/mosaics" : "/groups";
  const auto images = MapImagesOf(view, request.tail);
  if (!images) {
    return NoMapPage(page, view, request, 404, fmt::format("No FITS image of {} is on the disk.", request.tail));
  }
  try {
    MapLook look = MapLookOf(request, *images);
    if (const std::string words = request.Parameter("q"); !words.empty()) {
      look.place = PlaceOfWords(view, words);
      return Elsewhere(*images, look);
    }
    if (request.query.count("click") > 0) {
      look.place = ClickedPlace(request, look).value_or(look.place);
      return Elsewhere(*images, look);
    }
    const ShownMap map{view, *images, look, SourcesIn(view, look.square)};
    Html& html = page.body;
    html.Add("<div class=\"head\">");
    DrawMapHead(images->name, html);
    html.Add("<p>{} across</p>", MapSizeText(Angle::Radians(look.square.side_rad())));
    DrawMapLayers(map, html);
    html.Add("</div>\n<div class=\"looking\"><section class=\"of-map\" aria-label=\"Map\">");
    DrawMapPictures(map, html);
    DrawMapSteps(map, html);
    html.Add("</section>\n<div>");
    DrawMapForm(images->name, "", map, html);
    DrawSection(html, [&](Html& part) { DrawMapFigures(map, part); });
    DrawSection(html, [&](Html& part) { DrawMapSources(map, part); });
    html.Add("</div></div>\n");
    return RenderPage(page, view);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kUsage && !IsGone(error, *images)) throw;
    return NoMapPage(page, view, request, error.kind() == ErrorKind::kUsage ? 400 : 404, error.what());
  }
}

}  // namespace contimg::ops
