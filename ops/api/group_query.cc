#include "ops/api/group_query.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "config/error.h"
#include "config/product_paths.h"
#include "config/time.h"

namespace contimg::ops {

int LimitOf(const HttpRequest& request, int otherwise, int most) {
  const std::string text = request.Parameter("limit");
  if (text.empty()) return otherwise;
  if (text.size() > 9 || !std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; }) ||
      std::stoi(text) < 1) {
    throw Error(ErrorKind::kUsage, "http", "limit", fmt::format("expected a number from 1 on and found '{}'", text));
  }
  return std::min(std::stoi(text), most);
}

state::GroupQuery QueryOf(const HttpRequest& request, int otherwise, int most) {
  state::GroupQuery query;
  const std::string states = request.Parameter("state");
  for (std::size_t at = 0; at < states.size();) {
    const std::size_t end = std::min(states.find(',', at), states.size());
    query.states.push_back(state::ParseGroupState(states.substr(at, end - at)));
    at = end + 1;
  }
  if (const std::string kind = request.Parameter("error_kind"); !kind.empty()) {
    try {
      query.error_kind = ParseErrorKind(kind);
    } catch (const Error& error) {
      throw Error(ErrorKind::kUsage, "http", "error_kind", error.what());
    }
  }
  // The least id of a group that begins at that time or later.
  const auto id_of = [&](const char* name) {
    const std::string text = request.Parameter(name);
    if (text.empty()) return text;
    return UtcTime::FromMjdSeconds(std::ceil(UtcTime::FromPerson(name, text).mjd_s() - 1e-6)).Iso8601();
  };
  query.id_from = id_of("from");
  query.id_before = id_of("before");
  // Ids sort as text: those that begin so lie between the words and the words with the last of all characters behind.
  if (const std::string begin = request.Parameter("q"); !begin.empty()) {
    query.id_from = std::max(query.id_from, begin);
    const std::string end = begin + "\x7f";
    if (query.id_before.empty() || end < query.id_before) query.id_before = end;
  }
  const std::string after = request.Parameter("after");
  if (!after.empty() && !IsTimestamp(after)) {
    throw Error(ErrorKind::kUsage, "http", "after",
                fmt::format("expected the id of a group like 2025-10-13T13:28:03 and found '{}'", after));
  }
  if (!after.empty() && (query.id_before.empty() || after < query.id_before)) query.id_before = after;
  query.limit = LimitOf(request, otherwise, most);
  return query;
}

}  // namespace contimg::ops
