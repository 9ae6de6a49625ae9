#include "ops/job/job_id.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "config/error.h"

namespace contimg::ops {

JobId JobId::Parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  const auto allowed = [](std::string_view part) {
    return !part.empty() && part.front() != '.' && std::all_of(part.begin(), part.end(), [](unsigned char c) {
      return std::isalnum(c) != 0 || c == '-' || c == '_' || c == ':' || c == '.' || c == '+';
    });
  };
  if (slash == std::string_view::npos || !allowed(text.substr(0, slash)) || !allowed(text.substr(slash + 1))) {
    throw Error(ErrorKind::kBadInput, "queue", std::string(text),
                "expected the id of a job, as group/2025-10-13T13:28:03 or backup/2025-10-14T03:00:00");
  }
  return {std::string(text.substr(0, slash)), std::string(text.substr(slash + 1))};
}

std::string JobId::AttemptName(int attempt) const { return fmt::format("contimg-{}-{}-{}", kind, subject, attempt); }

}  // namespace contimg::ops
