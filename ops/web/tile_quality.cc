#include "ops/web/tile_quality.h"

#include <cmath>

#include "ops/web/figures.h"
#include "ops/web/quality_section.h"

namespace contimg::ops {
namespace {

// Figures stand beside "quality" in a metrics file, or are the quality itself.
std::optional<double> QualityFigure(const nlohmann::json& figures, const char* name) {
  const auto inside = FigureAt(figures, {"quality", name});
  return inside ? inside : FigureAt(figures, {name});
}
std::optional<double> CatalogueFigure(const nlohmann::json& figures, const char* name) {
  const auto inside = FigureAt(figures, {"quality", "catalogue", name});
  return inside ? inside : FigureAt(figures, {"catalogue", name});
}

}  // namespace

TileQuality QualityOf(const std::vector<state::ProductRow>& products) {
  TileQuality quality;
  // The richest source of figures first.
  for (const ProductKind kind :
       {ProductKind::kQaMetrics, ProductKind::kQaPicture, ProductKind::kPbcor, ProductKind::kImage}) {
    for (const state::ProductRow& product : products) {
      if (product.kind != ToString(kind)) continue;
      if (quality.grade.empty()) quality.grade = product.qa_grade;
      if (!quality.figures.empty()) continue;
      nlohmann::json parsed = nlohmann::json::parse(product.qa_json, nullptr, false);
      if (parsed.is_object()) quality.figures = std::move(parsed);
    }
  }
  for (const state::ProductRow& product : products) {
    if (product.kind == ToString(ProductKind::kQaPicture) && product.status == "present") quality.picture = product;
  }
  const nlohmann::json& figures = quality.figures;
  if (quality.grade.empty()) {
    quality.grade = WordAt(figures, {"quality", "grade"}).value_or(WordAt(figures, {"grade"}).value_or(""));
  }
  quality.rms_jy = QualityFigure(figures, "rms_jy");
  quality.rms_over_thermal = QualityFigure(figures, "rms_over_thermal");
  quality.dynamic_range = QualityFigure(figures, "dynamic_range");
  quality.flagged_fraction = QualityFigure(figures, "flagged_fraction");
  quality.flux_ratio = CatalogueFigure(figures, "flux_ratio_median");
  quality.offset_arcsec = CatalogueFigure(figures, "offset_median_arcsec");
  quality.matched = CatalogueFigure(figures, "matched");
  quality.beam_major_arcsec = FigureAt(figures, {"beam", "major_arcsec"});
  quality.beam_minor_arcsec = FigureAt(figures, {"beam", "minor_arcsec"});
  return quality;
}

Html GradeBadge(const std::string& grade) {
  if (grade.empty()) return MakeHtml("<span class=\"grade none\" title=\"no quality grade\">–</span>");
  const char* css_class = grade == "A" ? "a" : grade == "B" ? "b" : grade == "C" ? "c" : "f";
  return MakeHtml("<span class=\"grade {}\" title=\"quality grade {}: {}\">{}</span>", css_class, grade,
                  GradeMeaning(grade), grade);
}

std::string PictureAddress(const char* route, const PipelineView& view, const state::ProductRow& product) {
  const std::string root = view.paths().roots().images.string() + "/";
  if (product.path.size() <= root.size() || product.path.compare(0, root.size(), root) != 0) return "";
  return fmt::format("{}{}?v={}", route, UrlPath(product.path.substr(root.size())),
                     static_cast<std::int64_t>(std::llround(product.updated_at * 1000)));
}

}  // namespace contimg::ops
