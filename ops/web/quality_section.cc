#include "ops/web/quality_section.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "config/text.h"
#include "ops/base/words.h"
#include "ops/web/figures.h"
#include "ops/web/sky_words.h"

namespace contimg::ops {
namespace {

using nlohmann::json;

// The figures may be the quality itself, or hold it.
const json& QualityPart(const json& figures) {
  const auto inside = figures.find("quality");
  return inside != figures.end() && inside->is_object() ? *inside : figures;
}

std::string GateValue(const json& gate, const char* which) {
  const auto value = FigureAt(gate, {which});
  if (!value) return "–";
  const std::string name = WordAt(gate, {"name"}).value_or(""), unit = WordAt(gate, {"unit"}).value_or("");
  if (name.find("fraction") != std::string::npos) return DescribeFigure("x_fraction", *value).value;
  if (unit == "Jy/beam") return Flux(*value) + "/beam";
  return Figure(*value) + (unit.empty() ? "" : " " + unit);
}

// Of a state ("CLEAN reached its level") the number says nothing: it is so, or it is not.
bool IsState(const json& gate) {
  return WordAt(gate, {"bound"}).value_or("") == "at_least" && FigureAt(gate, {"limit"}).value_or(0) == 1 &&
         (FigureAt(gate, {"value"}).value_or(-1) == 0 || FigureAt(gate, {"value"}).value_or(-1) == 1) &&
         WordAt(gate, {"unit"}).value_or("").empty();
}

// Rows of equal length of finite numbers, or nothing.
std::vector<std::vector<double>> MapOf(const json& value) {
  std::vector<std::vector<double>> map;
  if (!value.is_array() || value.size() < 2 || value.size() > 64) return {};
  for (const json& row : value) {
    if (!row.is_array() || row.size() != value.front().size() || row.size() < 2 || row.size() > 64) return {};
    map.emplace_back();
    for (const json& cell : row) map.back().push_back(cell.is_number() ? cell.get<double>() : NAN);
  }
  return map;
}

// The local noise over the field, north up: darker where it is higher.
void DrawNoiseMap(const std::vector<std::vector<double>>& map, Html& html) {
  double low = INFINITY, high = -INFINITY;
  for (const auto& row : map) {
    for (const double value : row) {
      if (!std::isfinite(value)) continue;
      low = std::min(low, value);
      high = std::max(high, value);
    }
  }
  if (!(high >= low)) return;
  const std::size_t ny = map.size(), nx = map.front().size();
  html.Add(
      "<figure class=\"noise\"><figcaption>noise over the field, {} to {} (dark: high)</figcaption><svg viewBox=\"0 0 "
      "{} {}\" role=\"img\" aria-label=\"Map of the local noise\">",
      Flux(low) + "/beam", Flux(high) + "/beam", nx, ny);
  for (std::size_t y = 0; y < ny; ++y) {
    for (std::size_t x = 0; x < nx; ++x) {
      const double value = map[y][x];
      if (!std::isfinite(value)) continue;
      const double level = high > low ? (value - low) / (high - low) : 0;
      html.Add("<rect x=\"{}\" y=\"{}\" width=\"1\" height=\"1\" fill-opacity=\"{:.2f}\"><title>{}</title></rect>", x,
               ny - 1 - y, 0.08 + 0.92 * level, Flux(value) + "/beam");
    }
  }
  html.Add("</svg></figure>\n");
}

// What the image's metrics have of its bright sources (docs/formats/fits_images.md).
void DrawSpectra(const json& figures, Html& html) {
  const auto found = figures.find("spectra");
  if (found == figures.end() || !found->is_array() || found->empty()) return;
  html.Add(
      "<details id=\"spectra\"><summary>Spectral indices of {}</summary><table class=\"rows\"><thead><tr><th>place</th>"
      "<th>apparent flux</th><th>index within the band</th></tr></thead><tbody>\n",
      Counted(static_cast<std::int64_t>(found->size()), "bright source"));
  for (const json& each : *found) {
    const auto ra = FigureAt(each, {"ra_deg"}), dec = FigureAt(each, {"dec_deg"}),
               flux = FigureAt(each, {"apparent_flux_jy"}), index = FigureAt(each, {"spectral_index"}),
               error = FigureAt(each, {"error"});
    if (!ra || !dec || !flux || !index || !error) continue;
    const int digits = *error < 0.01 ? 3 : 2;
    const std::string place = RaWords(*ra) + " " + DecWords(*dec);
    html.Add("<tr><th scope=\"row\"><a href=\"/sources?q={}\">{}</a></th><td>{}</td><td>{}</td></tr>\n", UrlPart(place),
             place, Flux(*flux), fmt::format("{:.{}f} ± {:.{}f}", *index, digits, *error, digits));
  }
  html.Add("</tbody></table></details>\n");
}

}  // namespace

std::string_view GradeMeaning(std::string_view grade) {
  if (grade == "A") return "every gate holds";
  if (grade == "B") return "a gate is missed by a little, up to half its limit: usable with a look";
  if (grade == "C")
    return "a gate is missed by up to three times its limit, or something is not known: not for measuring";
  if (grade == "F") return "a gate is missed by far: do not use";
  return "";
}

void DrawGates(const json& figures, Html& html) {
  const json& part = QualityPart(figures);
  const auto found = part.find("gates");
  if (found == part.end() || !found->is_array() || found->empty()) return;
  html.Add(
      "<table class=\"rows "
      "gates\"><thead><tr><th>gate</th><th>value</th><th>limit</th><th></th></tr></thead><tbody>\n");
  for (const json& gate : *found) {
    if (!gate.is_object()) continue;
    const auto told = gate.find("passed");
    const bool passed = told != gate.end() && told->is_boolean() && told->get<bool>();
    const std::string name = WordAt(gate, {"name"}).value_or("?"),
                      title = WordAt(gate, {"title"}).value_or(Spoken(name)),
                      explanation = WordAt(gate, {"explanation"}).value_or(""),
                      grade = WordAt(gate, {"grade"}).value_or(""), bound = WordAt(gate, {"bound"}).value_or("");
    const std::string sign = bound == "at_most" ? "≤ " : bound == "at_least" ? "≥ " : "";
    const bool state = IsState(gate);
    html.Add(
        "<tr><th scope=\"row\" title=\"{}\">{}{}</th><td>{}</td><td>{}</td><td><span class=\"verdict {}\">{}</span>"
        "</td></tr>\n",
        explanation, title,
        passed || explanation.empty() ? Html() : MakeHtml("<small class=\"meaning\">{}</small>", explanation),
        state ? (passed ? "yes" : "no") : GateValue(gate, "value"),
        state ? std::string() : sign + GateValue(gate, "limit"), passed ? "passed" : "missed",
        passed                          ? "passed"
        : grade.empty() || grade == "A" ? "missed"
                                        : "missed: " + grade);
  }
  html.Add("</tbody></table>\n");
}

void DrawOtherFigures(const json& figures, const char* title, Html& html) {
  json rest = figures;
  json& inside = rest.contains("quality") && rest["quality"].is_object() ? rest["quality"] : rest;
  for (const char* shown : {"gates", "local_rms_map_jy", "reasons", "grade"}) inside.erase(shown);
  html.Add("<details id=\"figures\"><summary>{}</summary>{}</details>", title, FigureTable(rest));
}

void DrawQuality(const TileQuality& quality, Html& html) {
  if (quality.figures.empty()) return;
  const json& part = QualityPart(quality.figures);
  html.Add("<section aria-labelledby=\"quality\"><h2 id=\"quality\">Quality {}</h2>", GradeBadge(quality.grade));
  if (const auto meaning = GradeMeaning(quality.grade); !meaning.empty()) {
    html.Add("<p class=\"lead\">{}: {}.</p>", quality.grade, meaning);
  }
  html.Add("<dl class=\"key\">");
  const auto line = [&](const char* name, const std::string& value) {
    html.Add("<div><dt>{}</dt><dd>{}</dd></div>", name, value);
  };
  if (quality.rms_jy) {
    line("noise (rms)", Flux(*quality.rms_jy) + "/beam" +
                            (quality.rms_over_thermal ? fmt::format(", {} × thermal", Figure(*quality.rms_over_thermal))
                                                      : ", thermal noise not known"));
  }
  if (const auto peak = FigureAt(part, {"peak_jy"})) {
    line("peak", Flux(*peak) + "/beam" +
                     (quality.dynamic_range ? fmt::format(", dynamic range {:.0f}", *quality.dynamic_range) : ""));
  }
  if (quality.beam_major_arcsec && quality.beam_minor_arcsec) {
    line("beam", fmt::format("{:.1f}″ × {:.1f}″", *quality.beam_major_arcsec, *quality.beam_minor_arcsec));
  }
  if (quality.flagged_fraction) line("flagged", fmt::format("{:.1f} %", 100 * *quality.flagged_fraction));
  if (quality.matched && *quality.matched > 0) {
    std::string text = fmt::format("{:.0f} sources", *quality.matched);
    if (quality.flux_ratio) text += fmt::format(", flux ratio {:.3f}", *quality.flux_ratio);
    if (quality.offset_arcsec) text += fmt::format(", offset {:.2f}″", *quality.offset_arcsec);
    line("against the catalogue", text);
  }
  html.Add("</dl>");
  DrawGates(quality.figures, html);
  const auto map = part.find("local_rms_map_jy");
  if (map != part.end()) DrawNoiseMap(MapOf(*map), html);

  DrawSpectra(quality.figures, html);
  json rest = quality.figures;
  rest.erase("spectra");
  DrawOtherFigures(rest, "All figures of the image", html);
  html.Add("</section>\n");
}

}  // namespace contimg::ops
