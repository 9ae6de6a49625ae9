#include "ops/web/cutouts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "config/error.h"
#include "config/product_paths.h"
#include "config/units.h"
#include "image/plane/sky_coordinates.h"
#include "image/products/fits_part.h"
#include "image/quality/cutout.h"
#include "ops/api/source_query.h"
#include "ops/web/figures.h"
#include "ops/web/served_files.h"

namespace contimg::ops {
namespace {

constexpr double kReachBeams = 4;  // to each side
constexpr int kFewestPixels = 16, kMostPixels = 256;

HttpResponse NoCutout(const std::string& why) { return HttpProblem(404, "there is no cut-out: " + why); }

// The pixel of the source, where the image holds it.
std::optional<image::PixelPosition> PlaceIn(const image::FitsHeader& header, const state::OwnSourceRow& source) {
  const auto at =
      image::CosinesOfDirection(header.centre, {Angle::Degrees(source.ra_deg), Angle::Degrees(source.dec_deg)});
  if (!at) return std::nullopt;
  const image::PixelPosition place = image::DirectionToPixel(header.geometry, at->l, at->m);
  const bool inside = place.x >= 0 && place.y >= 0 && place.x < static_cast<double>(header.geometry.nx) &&
                      place.y < static_cast<double>(header.geometry.ny);
  return inside ? std::optional(place) : std::nullopt;
}

std::string DrawCutout(const std::filesystem::path& path, const state::OwnSourceRow& source, double low, double high) {
  const image::FitsHeader header = image::ReadFitsHeader(path);
  const auto found = PlaceIn(header, source);
  if (!found) {
    throw Error(ErrorKind::kBadInput, "image", path.string(), "the image does not hold the place of the source");
  }
  const image::PixelPosition place = *found;
  const double beam = header.beam ? header.beam->major_rad / header.geometry.cell_rad : 5;
  const int size = std::clamp(static_cast<int>(std::ceil(2 * kReachBeams * beam)), kFewestPixels, kMostPixels);
  const auto x = static_cast<std::ptrdiff_t>(std::lround(place.x)) - size / 2,
             y = static_cast<std::ptrdiff_t>(std::lround(place.y)) - size / 2;
  const auto side = static_cast<std::size_t>(size);
  const std::vector<float> pixels = image::ReadFitsPart(path, {x, y, side, side});
  return image::CutoutPng({pixels.data(), {side, side}}, low, high, place.x - static_cast<double>(x),
                          place.y - static_cast<double>(y), beam);
}

}  // namespace

std::optional<state::ProductRow> ImageForCutouts(PipelineView& view, const std::string& group) {
  state::ProductQuery query;
  query.group_id = group;
  query.kind = ToString(ParseMosaicName(group) ? ProductKind::kMosaic : ProductKind::kPbcor);
  query.status = "present";
  query.limit = 1;
  auto rows = view.Products(query);
  if (rows.empty() || rows.front().path.find(".fits") == std::string::npos) return std::nullopt;
  return std::move(rows.front());
}

std::optional<state::MosaicRow> ReferenceAt(PipelineView& view, const state::OwnSourceRow& source) {
  constexpr double kReachDeg = 5, kDegreesAnHour = 15;  // beyond half the height of any tile
  state::MosaicQuery query;
  query.references_only = true;
  query.lst_h = source.ra_deg / kDegreesAnHour;
  for (const state::MosaicRow& row : view.Mosaics(query)) {
    if (std::abs(row.strip_deg - source.dec_deg) > kReachDeg) continue;
    const auto image = ImageForCutouts(view, row.name);
    if (!image) continue;
    try {
      if (PlaceIn(image::ReadFitsHeader(image->path), source)) return row;
    } catch (const Error&) {
      // Its place on disk is empty by now, or it is no such file: as if there were none.
    }
  }
  return std::nullopt;
}

HttpResponse CutoutServer::Answer(const HttpRequest& request, PipelineView& view) {
  const std::size_t slash = request.tail.find('/');
  const std::string ending = ".png";
  state::SourceStore* store = view.Sources();
  if (store == nullptr || slash == std::string::npos || request.tail.size() < slash + 1 + ending.size() ||
      request.tail.substr(request.tail.size() - ending.size()) != ending) {
    return NoCutout("expected SOURCE/GROUP.png");
  }
  const std::string group = request.tail.substr(slash + 1, request.tail.size() - slash - 1 - ending.size());
  const auto source = SourceOfWord(*store, request.tail.substr(0, slash));
  if (!source) return NoCutout("there is no such source");
  const auto image = ImageForCutouts(view, group);
  state::LightCurveStore curves(store->database());
  const auto tile = curves.Tile(group);
  const bool mosaic = ParseMosaicName(group).has_value();
  if (!image || (!tile && !mosaic)) {
    return NoCutout("the image of this group is not on disk, or nothing was measured in it");
  }
  // From the noise of the place to the source's own flux.
  double noise = 0;
  if (mosaic) {
    noise = FigureAt(nlohmann::json::parse(image->qa_json, nullptr, false), {"quality", "rms_median_jy"}).value_or(0);
  } else {
    for (const char* kind : {"forced", "detection"}) {
      for (const auto& row : curves.Measurements(source->id, kind, tile->mjd, tile->mjd)) noise = row.flux_error_jy;
    }
  }
  const auto statistics = curves.Statistics(source->id, "forced", "tile");
  const double high = std::max({statistics ? statistics->max_jy : 0.0, 8 * noise, 1e-6});
  const double low = std::min(-3 * noise, -0.05 * high);
  const std::string etag =
      fmt::format("\"{}-{}-{:.0f}-{:.4g}-{:.4g}\"", source->id, image->id, image->updated_at * 1000, low, high);
  HttpResponse response = Conditional(request, etag);
  response.content_type = "image/png";
  if (response.status == 304) return response;
  try {
    response.body = pictures_.Of(etag, [&] { return DrawCutout(image->path, *source, low, high); });
  } catch (const Error& error) {
    return NoCutout(error.message());
  }
  return response;
}

}  // namespace contimg::ops
