#include "ops/web/map_pictures.h"

#include <fmt/format.h>

#include <cctype>
#include <functional>
#include <optional>
#include <string_view>
#include <utility>

#include "config/error.h"
#include "image/products/fits_part.h"
#include "mosaic/map/map_view.h"
#include "ops/api/answer.h"
#include "ops/api/map_query.h"
#include "ops/lightcurves/sources_in_view.h"

namespace contimg::ops {
namespace {

// What the picture depends on.
std::string KeyOf(const MapImages& images, const MapLook& look, const mosaic::MapPicture& wishes) {
  std::string marks;
  for (const mosaic::MapMark& mark : wishes.marks) {
    marks += fmt::format("{} {:.6f} {:.6f};", mark.name, mark.place.ra.deg(), mark.place.dec.deg());
  }
  std::string files;
  for (const auto& [layer, product] : images.products) {
    files += fmt::format("{}.{:.0f}-", product.id, product.updated_at * 1000);
  }
  return fmt::format("\"{}{}-{}-{}-{}-{}-{}-{}-{:x}\"", files, mosaic::ToString(look.layer), look.square.part.x,
                     look.square.part.y, look.square.part.nx, wishes.side_px, wishes.scale, look.names ? 1 : 0,
                     std::hash<std::string>()(marks));
}

// Groups bear the names of files, which may be anything.
std::string PlainFileName(std::string name) {
  for (char& c : name) {
    const bool plain =
        std::isalnum(static_cast<unsigned char>(c)) != 0 || std::string_view("-+_.:").find(c) != std::string_view::npos;
    if (!plain) c = '_';
  }
  return name;
}

}  // namespace

const std::vector<std::string>& MapServer::PictureParameters() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all = MapParameters();
    all.insert(all.end(), {"side", "scale"});
    return all;
  }();
  return names;
}

HttpResponse MapServer::Picture(const HttpRequest& request, PipelineView& view) {
  const auto side = NumberParameter(request, "side", mosaic::kFewestSidePx, mosaic::kMostSidePx);
  const auto scale = NumberParameter(request, "scale", 1, 2);
  return AnswerMap(request, view, [&](const MapImages& images, const MapLook& look) {
    mosaic::MapPicture wishes;
    wishes.layer = look.layer;
    wishes.names = look.names;
    wishes.side_px = static_cast<int>(side.value_or(kMapSidePx));
    wishes.scale = scale.value_or(1);
    wishes.marks = MarksOf(SourcesIn(view, look.square));
    const std::string etag = KeyOf(images, look, wishes);
    HttpResponse response = Conditional(request, etag);
    response.content_type = "image/png";
    if (response.status == 304) return response;
    response.body = pictures_.Of(etag, [&] {
      wishes.noise_jy = mosaic::NoiseOfLayer(mosaic::FiguresAt(images.files, look.place), look.layer);
      return mosaic::MapPng(images.files.at(look.layer), look.square, wishes);
    });
    return response;
  });
}

HttpResponse MapServer::Cutout(const HttpRequest& request, PipelineView& view) {
  return AnswerMap(request, view, [&](const MapImages& images, const MapLook& look) {
    HttpResponse response;
    response.held = large_.Take();
    if (!response.held) return LargeAnswers::Later();
    response.content_type = "application/fits";
    response.headers.emplace_back(
        "Content-Disposition",
        fmt::format("attachment; filename=\"{}.{}.{:.4f}{:+.4f}.fits\"", PlainFileName(images.name),
                    mosaic::ToString(look.layer), look.place.ra.deg(), look.place.dec.deg()));
    response.body = image::FitsCutoutBytes(images.files.at(look.layer), look.square.part);
    return response;
  });
}

}  // namespace contimg::ops
