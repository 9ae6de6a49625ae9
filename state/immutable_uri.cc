#include "state/immutable_uri.h"

#include <fmt/format.h>

#include <system_error>

#include "config/os.h"

namespace contimg::state {

std::string ImmutableUri(const std::filesystem::path& path) {
  std::string uri = "file:";
  for (const char c : Absolute(path).string()) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '/' ||
                       c == '-' || c == '_' || c == '.';
    uri += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return uri + "?immutable=1";
}

bool HasLog(const std::filesystem::path& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path.string() + "-wal", error);
  return error ? error != std::errc::no_such_file_or_directory : size > 0;
}

}  // namespace contimg::state
