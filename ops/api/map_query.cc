#include "ops/api/map_query.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "config/error.h"
#include "config/os.h"
#include "config/product_paths.h"
#include "config/sky_text.h"
#include "config/trimmed.h"
#include "ops/api/answer.h"
#include "ops/lightcurves/find_source.h"
#include "ops/lightcurves/sources_in_view.h"

namespace contimg::ops {
namespace {

using mosaic::MapLayer;

Error WrongMap(const char* name, const std::string& words) { return Error(ErrorKind::kUsage, "http", name, words); }

std::optional<MapLayer> LayerOf(const state::ProductRow& product) {
  const auto kind = FindProductKind(product.kind);
  if (kind == ProductKind::kMosaic || kind == ProductKind::kImage) return MapLayer::kImage;
  if (kind == ProductKind::kMosaicResidual || kind == ProductKind::kResidual) return MapLayer::kResidual;
  if (kind == ProductKind::kPbcor) return MapLayer::kCorrected;
  if (kind == ProductKind::kRms) return MapLayer::kRms;
  if (kind == ProductKind::kWeight) return MapLayer::kWeight;
  if (kind == ProductKind::kPb) return MapLayer::kResponse;
  return std::nullopt;
}

MapLayer LayerParameter(const HttpRequest& request, const MapImages& images) {
  const std::string word = request.Parameter("kind");
  if (word.empty()) return images.Usual();
  if (const auto layer = mosaic::FindMapLayer(word, images.files)) return *layer;
  throw WrongMap("kind", fmt::format("expected {}, which are on the disk, and found '{}'",
                                     mosaic::LayerWords(images.files), word));
}

SkyDirection PlaceParameter(const HttpRequest& request, const image::FitsHeader& header) {
  const std::string ra = request.Parameter("ra"), dec = request.Parameter("dec");
  if (ra.empty() && dec.empty()) return mosaic::MiddleOfImage(header);
  const auto ra_deg = ParseRightAscension(ra), dec_deg = ParseDeclination(dec);
  if (!ra_deg) throw WrongMap("ra", fmt::format("expected degrees or hh:mm:ss and found '{}'", ra));
  if (!dec_deg) throw WrongMap("dec", fmt::format("expected degrees or dd:mm:ss and found '{}'", dec));
  return {Angle::Degrees(*ra_deg == 360 ? 0 : *ra_deg), Angle::Degrees(*dec_deg)};
}

Angle SizeParameter(const HttpRequest& request, const image::FitsHeader& header) {
  const image::ImageGeometry& g = header.geometry;
  const std::string text = request.Parameter("size");
  if (text.empty()) {
    const Angle whole = Angle::Radians(static_cast<double>(std::max(g.nx, g.ny)) * g.cell_rad);
    return std::min(Angle::Degrees(kUsualMapDeg), whole);
  }
  const auto degrees = ParseAngularSize(text);
  if (!degrees) {
    throw WrongMap("size", fmt::format("expected an angle as 0.5 (degrees), 30' or 30arcmin and found '{}'", text));
  }
  return Angle::Degrees(*degrees);
}

}  // namespace

std::optional<MapImages> MapImagesOf(PipelineView& view, const std::string& name) {
  if (name.empty()) return std::nullopt;  // a query without a group is one of all
  MapImages images;
  images.name = name;
  images.mosaic = ParseMosaicName(name).has_value();
  state::ProductQuery query;
  query.group_id = name;
  query.status = "present";
  for (const state::ProductRow& product : view.Products(query)) {  // newest first
    const auto layer = LayerOf(product);
    if (!layer || product.path.find(".fits") == std::string::npos) continue;
    if (images.products.emplace(*layer, product).second) images.files[*layer] = product.path;
  }
  return images.files.empty() ? std::nullopt : std::optional(std::move(images));
}

const std::vector<std::string>& MapParameters() {
  static const std::vector<std::string> names{"ra", "dec", "size", "kind", "names"};
  return names;
}

MapLook MapLookOf(const HttpRequest& request, const MapImages& images) {
  MapLook look;
  look.layer = LayerParameter(request, images);
  look.names = FlagParameter(request, "names");
  const std::filesystem::path& path = images.files.at(look.layer);
  look.header = image::ReadFitsHeader(path);
  look.place = PlaceParameter(request, look.header);
  look.size = SizeParameter(request, look.header);
  look.square = mosaic::SquareAbout(look.header, path.filename(), look.place, look.size);
  return look;
}

SkyDirection PlaceOfWords(PipelineView& view, const std::string& words) {
  const std::string text(Trimmed(words));
  if (const auto place = PlaceOf(text)) return {Angle::Degrees(place->ra_deg), Angle::Degrees(place->dec_deg)};
  if (state::SourceStore* store = view.Sources(); store != nullptr && !text.empty()) {
    if (const auto source = SourceCalled(*store, text)) {
      return {Angle::Degrees(source->ra_deg), Angle::Degrees(source->dec_deg)};
    }
  }
  throw WrongMap("q", fmt::format("expected a place as 0.367 16.2 or 00:01:28 +16:12:04, or the name of a source of "
                                  "ours, and found '{}'",
                                  text));
}

std::string MapSizeWords(Angle size) { return fmt::format("{:.6g}arcmin", size.arcsec() / 60); }

std::string MapParametersOf(const MapLook& look) {
  return fmt::format("ra={:.5f}&dec={:.5f}&size={}&kind={}{}", look.place.ra.deg(), look.place.dec.deg(),
                     MapSizeWords(look.size), mosaic::ToString(look.layer), look.names ? "&names=yes" : "");
}

std::vector<state::ListedSource> SourcesIn(PipelineView& view, const mosaic::MapSquare& square) {
  state::SourceStore* store = view.Sources();
  return store == nullptr ? std::vector<state::ListedSource>()
                          : SourcesInView(store->database(), square, kMostMapSources);
}

bool IsGone(const Error& error, const MapImages& images) {
  if (error.kind() == ErrorKind::kBadInput) return true;
  return error.kind() == ErrorKind::kIo &&
         std::any_of(images.files.begin(), images.files.end(), [](const auto& file) { return !Exists(file.second); });
}

HttpResponse AnswerMap(const HttpRequest& request, PipelineView& view,
                       const std::function<HttpResponse(const MapImages&, const MapLook&)>& answer) {
  const auto images = MapImagesOf(view, request.tail);
  if (!images) return HttpProblem(404, fmt::format("no FITS image of {} is on the disk", request.tail));
  try {
    return answer(*images, MapLookOf(request, *images));
  } catch (const Error& error) {
    if (!IsGone(error, *images)) throw;
    return HttpProblem(404, error.what());
  }
}

HttpResponse ApiMap(const HttpRequest& request, PipelineView& view) {
  return AnswerMap(request, view, [&](const MapImages& images, const MapLook& look) {
    const mosaic::PlaceFigures figures = mosaic::FiguresAt(images.files, look.place);
    nlohmann::ordered_json answer{{"name", images.name},
                                  {"kind", mosaic::ToString(look.layer)},
                                  {"ra_deg", look.place.ra.deg()},
                                  {"dec_deg", look.place.dec.deg()},
                                  {"size_deg", Angle::Radians(look.square.side_rad()).deg()},
                                  {"pixels", look.square.part.nx},
                                  {"cell_arcsec", Angle::Radians(look.header.geometry.cell_rad).arcsec()},
                                  {"values", nlohmann::ordered_json::object()},
                                  {"noise_jy", nullptr},
                                  {"sources", nlohmann::ordered_json::array()}};
    for (const auto& [layer, path] : images.files) {
      const auto value = figures.values.find(layer);
      answer["values"][std::string(mosaic::ToString(layer))] =
          value == figures.values.end() ? nlohmann::ordered_json() : nlohmann::ordered_json(value->second);
    }
    if (figures.noise_jy) answer["noise_jy"] = *figures.noise_jy;
    for (const state::ListedSource& listed : SourcesIn(view, look.square)) {
      answer["sources"].push_back({{"id", listed.source.id},
                                   {"name", listed.source.name},
                                   {"ra_deg", listed.source.ra_deg},
                                   {"dec_deg", listed.source.dec_deg}});
    }
    return JsonAnswer(answer);
  });
}

}  // namespace contimg::ops
