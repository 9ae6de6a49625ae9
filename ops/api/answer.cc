#include "ops/api/answer.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <system_error>
#include <utility>

#include "config/error.h"
#include "config/time.h"
#include "mosaic/table/fits_table.h"
#include "mosaic/table/table_json.h"

namespace contimg::ops {
namespace {

Error WrongParameter(const char* name, const std::string& expected, const std::string& found) {
  return Error(ErrorKind::kUsage, "http", name, fmt::format("expected {} and found '{}'", expected, found));
}

HttpResponse FileAnswer(std::string body, const char* type, const std::string& name) {
  HttpResponse response;
  response.body = std::move(body);
  response.content_type = type;
  response.headers.emplace_back("Content-Disposition", fmt::format("attachment; filename=\"{}\"", name));
  return response;
}

}  // namespace

HttpResponse JsonAnswer(const nlohmann::ordered_json& value) {
  HttpResponse response;
  response.body = value.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  return response;
}

HttpResponse TableAnswer(const HttpRequest& request, const mosaic::Table& table, nlohmann::ordered_json head,
                         const char* rows_name, const std::string& file_name) {
  const std::string format = request.Parameter("format");
  if (format.empty() || format == "json") {
    head[rows_name] = mosaic::RowsJson(table);
    return JsonAnswer(head);
  }
  // A header takes neither quotes nor blanks well.
  std::string name = file_name;
  std::replace_if(
      name.begin(), name.end(),
      [](unsigned char c) { return std::isalnum(c) == 0 && c != '.' && c != '+' && c != '-'; }, '_');
  if (format == "csv") return FileAnswer(mosaic::CsvText(table), "text/csv; charset=utf-8", name + ".csv");
  if (format == "votable") return FileAnswer(mosaic::VotableText(table), "application/x-votable+xml", name + ".vot");
  if (format == "fits") return FileAnswer(mosaic::FitsTableBytes(table), "application/fits", name + ".fits");
  throw WrongParameter("format", "json, csv, votable or fits", format);
}

std::optional<double> NumberParameter(const HttpRequest& request, const char* name, double low, double high) {
  const std::string text = request.Parameter(name);
  if (text.empty()) return std::nullopt;
  double value = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, value);
  if (parsed.ec != std::errc() || parsed.ptr != end || !std::isfinite(value) || value < low || value > high) {
    const std::string from = std::isfinite(low) ? fmt::format(" from {:g}", low) : "",
                      to = std::isfinite(high) ? fmt::format(" to {:g}", high) : "";
    throw WrongParameter(name, "a number" + from + to, text);
  }
  return value;
}

std::optional<std::int64_t> WholeParameter(const HttpRequest& request, const char* name, std::int64_t low) {
  const std::string text = request.Parameter(name);
  if (text.empty()) return std::nullopt;
  std::int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, value);
  if (parsed.ec != std::errc() || parsed.ptr != end || value < low) {
    throw WrongParameter(name, fmt::format("a whole number from {} on", low), text);
  }
  return value;
}

std::optional<double> MjdParameter(const HttpRequest& request, const char* name) {
  const std::string text = request.Parameter(name);
  if (text.empty()) return std::nullopt;
  return UtcTime::FromPerson(name, text).mjd();
}

bool FlagParameter(const HttpRequest& request, const char* name) {
  const std::string text = request.Parameter(name);
  if (text.empty() || text == "0" || text == "no" || text == "false") return false;
  if (text == "1" || text == "yes" || text == "true") return true;
  throw WrongParameter(name, "yes or no", text);
}

}  // namespace contimg::ops
