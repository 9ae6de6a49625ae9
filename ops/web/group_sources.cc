#include "ops/web/group_sources.h"

#include <algorithm>
#include <cmath>

#include "config/error.h"
#include "config/units.h"
#include "image/plane/sky_coordinates.h"
#include "image/products/fits_image.h"
#include "ops/base/words.h"
#include "ops/web/sky_words.h"
#include "ops/web/tile_quality.h"
#include "state/own_source_store.h"

namespace contimg::ops {
namespace {

constexpr std::size_t kSourcesListed = 20, kSourcesMarked = 1000;
constexpr double kSide = 1000;  // of the picture, units of its marks

struct MeasuredSource {
  state::OwnSourceRow source;
  state::MeasurementRow measured;
};

// The header of an image of the tile that is on disk.
std::optional<image::FitsHeader> HeaderOf(const std::vector<state::ProductRow>& products) {
  for (const state::ProductRow& product : products) {
    const bool image = product.kind == ToString(ProductKind::kPbcor) || product.kind == ToString(ProductKind::kImage);
    if (!image || product.status != "present" || product.path.find(".fits") == std::string::npos) continue;
    try {
      return image::ReadFitsHeader(product.path);
    } catch (const Error&) {
      // Its place on disk is empty by now, or it is no such file: the list does without the picture.
    }
  }
  return std::nullopt;
}

void DrawMarks(const std::vector<MeasuredSource>& rows, const image::FitsHeader& header, const std::string& picture,
               Html& html) {
  html.Add(
      "<svg class=\"sky\" viewBox=\"0 0 {0} {0}\" role=\"group\" aria-label=\"Sources on the sky\"><image href=\"{1}\" "
      "width=\"{0}\" height=\"{0}\"/>\n",
      kSide, picture);
  for (std::size_t i = 0; i < std::min(rows.size(), kSourcesMarked); ++i) {
    const auto& [source, measured] = rows[i];
    const auto at =
        image::CosinesOfDirection(header.centre, {Angle::Degrees(source.ra_deg), Angle::Degrees(source.dec_deg)});
    if (!at) continue;
    const image::PixelPosition place = image::DirectionToPixel(header.geometry, at->l, at->m);
    const double x = (place.x + 0.5) / static_cast<double>(header.geometry.nx) * kSide,
                 y = (1 - (place.y + 0.5) / static_cast<double>(header.geometry.ny)) * kSide;
    if (!(x >= 0 && x <= kSide && y >= 0 && y <= kSide)) continue;
    html.Add(
        "<a href=\"{}\" tabindex=\"-1\"><circle class=\"{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"11\"><title>{}, {}</title>"
        "</circle></a>\n",
        SourceAddress(source.id), (measured.flags & kDefaultQualityMask) != 0 ? "left-out" : "", x, y, source.name,
        FluxWithError(measured.flux_jy, measured.flux_error_jy));
  }
  html.Add("</svg>\n");
}

}  // namespace

Html DrawGroupSources(PipelineView& view, const std::string& group, const std::vector<state::ProductRow>& products,
                      const std::optional<state::ProductRow>& picture) {
  Html html;
  state::SourceStore* store = view.Sources();
  if (store == nullptr) return html;
  state::OwnSourceStore sources(store->database());
  std::vector<MeasuredSource> rows;
  for (state::MeasurementRow& measured : state::LightCurveStore(store->database()).MeasurementsOf(group)) {
    if (auto source = sources.Find(measured.source_id)) rows.push_back({*std::move(source), std::move(measured)});
  }
  if (rows.empty()) return html;
  std::stable_sort(rows.begin(), rows.end(),
                   [](const auto& a, const auto& b) { return a.measured.flux_jy > b.measured.flux_jy; });
  html.Add(
      "<section class=\"wide\" aria-labelledby=\"sources\"><div class=\"head\"><h2 id=\"sources\">Sources</h2><p>{} "
      "measured</p><nav class=\"spans\"><a href=\"/sources?group={}&amp;sort=flux\">as a list</a></nav></div>"
      "<div class=\"beside\">\n",
      rows.size(), UrlPart(group));
  if (picture) {
    // Larger than the thumbnails of lists: sources are to be told apart.
    std::string address = PictureAddress("/thumbnails/", view, *picture);
    const auto header = address.empty() ? std::nullopt : HeaderOf(products);
    if (header) DrawMarks(rows, *header, address + "&size=1000", html);
  }
  html.Add(
      "<div class=\"scroll\"><table class=\"rows stacked\"><thead><tr><th>source</th><th>flux</th><th>beam</th>"
      "<th>flags</th></tr></thead><tbody>\n");
  for (std::size_t i = 0; i < std::min(rows.size(), kSourcesListed); ++i) {
    const auto& [source, measured] = rows[i];
    html.Add(
        "<tr class=\"{}\"><td>{}</td><td>{}</td><td data-name=\"beam\">{:.0f} %</td><td class=\"why\">{}</td></tr>\n",
        (measured.flags & kDefaultQualityMask) != 0 ? "left-out" : "", SourceLink(source.id, source.name),
        FluxWithError(measured.flux_jy, measured.flux_error_jy), 100 * measured.response, FlagWords(measured.flags));
  }
  html.Add("</tbody></table>");
  if (rows.size() > kSourcesListed) {
    html.Add("<p class=\"twin\">The brightest {}; <a href=\"/sources?group={}&amp;sort=flux\">all {}</a>.</p>",
             kSourcesListed, UrlPart(group), rows.size());
  }
  html.Add("</div></div></section>\n");
  return html;
}

}  // namespace contimg::ops
