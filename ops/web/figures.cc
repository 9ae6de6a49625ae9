#include "ops/web/figures.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <string_view>
#include <utility>
#include <vector>

#include "config/time.h"
#include "ops/base/words.h"

namespace contimg::ops {
namespace {

using nlohmann::json;

constexpr int kDeepest = 8;
constexpr std::size_t kMostRows = 200;    // of one array
constexpr std::size_t kMostNumbers = 12;  // in one cell

struct Unit {
  std::string_view end;
  std::string (*format)(double);
};

std::string With(double value, const char* unit) { return Figure(value) + unit; }

const std::vector<Unit>& Units() {
  static const std::vector<Unit> units{
      {"_jy", Flux},
      {"_mjd_s", [](double v) { return StampOfMjd(v / kSecondsPerDay); }},
      {"_mjd", StampOfMjd},
      {"_bytes", Bytes},
      {"_s", [](double v) { return v < 100 ? With(v, " s") : Duration(v); }},
      {"_arcsec", [](double v) { return With(v, "″"); }},
      {"_deg", [](double v) { return With(v, "°"); }},
      {"_rad", [](double v) { return With(v, " rad"); }},
      {"_hz", [](double v) { return v > 1e5 ? With(v / 1e6, " MHz") : With(v, " Hz"); }},
      {"_lambda", [](double v) { return With(v, " λ"); }},
      {"_m", [](double v) { return With(v, " m"); }},
      {"_fraction", [](double v) { return With(100 * v, " %"); }},
      {"_ns", [](double v) { return With(v, " ns"); }},
  };
  return units;
}

// Names whose parts do not say what they mean.
std::string_view KnownName(std::string_view name) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 20> kNames{{
      {"rms_jy", "noise (rms of the residual)"},
      {"thermal_rms_jy", "thermal noise expected"},
      {"thermal_from", "thermal noise told by"},
      {"rms_over_thermal", "noise / thermal noise"},
      {"negative_ratio", "deepest negative / peak"},
      {"bowl_ratio", "bowl around the peak / noise"},
      {"residual_peak_jy", "peak of the residual"},
      {"local_rms_min_jy", "lowest local noise"},
      {"local_rms_max_jy", "highest local noise"},
      {"pb_max", "highest primary beam"},
      {"primary_beam_max", "highest primary beam"},
      {"flagged_fraction", "flagged"},
      {"flux_ratio_median", "flux / catalogue, median"},
      {"flux_ratio_scatter", "flux / catalogue, scatter"},
      {"offset_median_arcsec", "offset from the catalogue, median"},
      {"offset_east_median_arcsec", "offset to the east, median"},
      {"offset_north_median_arcsec", "offset to the north, median"},
      {"shift_east_arcsec", "shift to the east"},
      {"shift_north_arcsec", "shift to the north"},
      {"rotation_deg", "rotation, north through east"},
  }};
  for (const auto& [key, words] : kNames) {
    if (key == name) return words;
  }
  return "";
}

bool IsPlain(const json& value) { return !value.is_structured(); }

// Arrays of arrays of numbers are no reading matter: how many, and from where to where.
std::string Extent(const std::string& name, const json& value) {
  std::size_t n = 0;
  double low = INFINITY, high = -INFINITY;
  const std::function<void(const json&)> walk = [&](const json& each) {
    if (each.is_number()) {
      ++n;
      low = std::min(low, each.get<double>());
      high = std::max(high, each.get<double>());
    } else if (each.is_array()) {
      for (const json& item : each) walk(item);
    }
  };
  walk(value);
  if (n == 0) return "–";
  return fmt::format("{} numbers, {} to {}", Count(static_cast<std::int64_t>(n)), DescribeFigure(name, low).value,
                     DescribeFigure(name, high).value);
}

std::string Cell(const std::string& name, const json& value) {
  if (value.is_number()) return DescribeFigure(name, value.get<double>()).value;
  if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
  if (value.is_string()) return value.get<std::string>();
  if (value.is_null()) return "–";
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string CellName(const std::string& name, const json& value) {
  return value.is_number() ? DescribeFigure(name, value.get<double>()).name : Spoken(name);
}

bool IsTableOfObjects(const json& value) {
  return value.is_array() && !value.empty() && std::all_of(value.begin(), value.end(), [](const json& row) {
           return row.is_object() && std::all_of(row.begin(), row.end(), IsPlain);
         });
}

void ArrayTable(const json& rows, Html& html) {
  std::vector<std::string> columns;
  for (const json& row : rows) {
    for (const auto& [name, value] : row.items()) {
      if (std::find(columns.begin(), columns.end(), name) == columns.end()) columns.push_back(name);
    }
  }
  // What a row is about comes first.
  std::stable_partition(columns.begin(), columns.end(),
                        [](const std::string& c) { return c == "name" || c == "kind" || c == "cycle"; });
  html.Add("<div class=\"scroll\"><table class=\"rows\"><thead><tr>");
  for (const std::string& column : columns) html.Add("<th>{}</th>", DescribeFigure(column, 0).name);
  html.Add("</tr></thead><tbody>\n");
  std::size_t n = 0;
  for (const json& row : rows) {
    if (++n > kMostRows) break;
    html.Add("<tr>");
    for (const std::string& column : columns) {
      html.Add("<td>{}</td>", row.contains(column) ? Cell(column, row[column]) : std::string());
    }
    html.Add("</tr>\n");
  }
  html.Add("</tbody></table></div>\n");
}

void Rows(const json& value, int depth, Html& html) {
  if (depth > kDeepest) return;
  Html plain, nested;
  for (const auto& [name, field] : value.items()) {
    if (IsPlain(field) || field.empty()) {
      plain.Add("<tr><th scope=\"row\">{}</th><td>{}</td></tr>\n", CellName(name, field),
                field.is_structured() ? std::string("–") : Cell(name, field));
    } else if (IsTableOfObjects(field)) {
      nested.Add("<h4>{}</h4>", Spoken(name));
      ArrayTable(field, nested);
    } else if (field.is_array()) {
      const bool many = field.front().is_array() || (field.size() > kMostNumbers && field.front().is_number());
      std::string list;
      if (many) {
        list = Extent(name, field);
      } else {
        for (const json& item : field) list += (list.empty() ? "" : ", ") + Cell(name, item);
      }
      plain.Add("<tr><th scope=\"row\">{}</th><td>{}</td></tr>\n", CellName(name, field.front()), list);
    } else {
      nested.Add("<h4>{}</h4>", Spoken(name));
      Rows(field, depth + 1, nested);
    }
  }
  if (!plain.empty()) html.Add("<table class=\"figures\"><tbody>\n{}</tbody></table>\n", plain);
  if (!nested.empty()) html.Add("<div class=\"nested\">{}</div>\n", nested);
}

const json* At(const json& figures, std::initializer_list<const char*> path) {
  const json* at = &figures;
  for (const char* name : path) {
    if (!at->is_object()) return nullptr;
    const auto found = at->find(name);
    if (found == at->end()) return nullptr;
    at = &*found;
  }
  return at;
}

}  // namespace

std::string Spoken(std::string name) {
  std::replace(name.begin(), name.end(), '_', ' ');
  return name;
}

NamedFigure DescribeFigure(const std::string& name, double value) {
  const std::string_view known = KnownName(name);
  for (const Unit& unit : Units()) {
    if (name.size() > unit.end.size() && std::string_view(name).substr(name.size() - unit.end.size()) == unit.end) {
      return {known.empty() ? Spoken(name.substr(0, name.size() - unit.end.size())) : std::string(known),
              unit.format(value)};
    }
  }
  return {known.empty() ? Spoken(name) : std::string(known), Figure(value)};
}

Html FigureTable(const json& figures) {
  Html html;
  if (IsTableOfObjects(figures)) {
    ArrayTable(figures, html);
  } else if (figures.is_structured() && !figures.empty()) {
    Rows(figures, 0, html);
  }
  return html;
}

std::optional<double> FigureAt(const json& figures, std::initializer_list<const char*> path) {
  const json* at = At(figures, path);
  return at != nullptr && at->is_number() ? std::optional(at->get<double>()) : std::nullopt;
}

std::optional<std::string> WordAt(const json& figures, std::initializer_list<const char*> path) {
  const json* at = At(figures, path);
  return at != nullptr && at->is_string() ? std::optional(at->get<std::string>()) : std::nullopt;
}

}  // namespace contimg::ops
