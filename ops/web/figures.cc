#include "ops/web/figures.h"

#include <algorithm>
#include <array>
#include <functional>
#include <string_view>
#include <vector>

#include "ops/web/words.h"

namespace contimg::ops {
namespace {

using nlohmann::json;

constexpr int kDeepest = 8;
constexpr std::size_t kMostRows = 200;  // of one array

struct Unit {
  std::string_view end;
  std::string (*format)(double);
};

std::string With(double value, const char* unit) { return Figure(value) + unit; }

const std::vector<Unit>& Units() {
  static const std::vector<Unit> units{
      {"_jy", Flux},
      {"_mjd_s", [](double v) { return StampOfMjd(v / 86400); }},
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

bool IsPlain(const json& value) { return !value.is_structured(); }

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
      std::string list;
      for (const json& item : field) list += (list.empty() ? "" : ", ") + Cell(name, item);
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
  for (const Unit& unit : Units()) {
    if (name.size() > unit.end.size() && std::string_view(name).substr(name.size() - unit.end.size()) == unit.end) {
      return {Spoken(name.substr(0, name.size() - unit.end.size())), unit.format(value)};
    }
  }
  return {Spoken(name), Figure(value)};
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
