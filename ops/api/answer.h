// How the API answers: JSON, and tables in the form that was asked for.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "mosaic/table/table.h"
#include "ops/http/http_server.h"

namespace contimg::ops {

HttpResponse JsonAnswer(const nlohmann::ordered_json& value);

// By the parameter "format": json (also without it), csv, votable, fits. JSON is `head` with the rows as `rows_name`;
// other forms are files called `file_name` and the ending. Throws Error{kUsage} for other words.
HttpResponse TableAnswer(const HttpRequest& request, const mosaic::Table& table, nlohmann::ordered_json head,
                         const char* rows_name, const std::string& file_name);

// Parameters of the query; nothing for one that is not there or empty. Throws Error{kUsage} for what is no such number
// (finite, from `low` to `high`).
std::optional<double> NumberParameter(const HttpRequest& request, const char* name, double low, double high);
std::optional<std::int64_t> WholeParameter(const HttpRequest& request, const char* name, std::int64_t low);
// A time in the forms of UtcTime::FromPerson.
std::optional<double> MjdParameter(const HttpRequest& request, const char* name);
// "1", "yes", "true" or "0", "no", "false".
bool FlagParameter(const HttpRequest& request, const char* name);

}  // namespace contimg::ops
