#include "ops/base/link_target.h"

#include <limits.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "config/error.h"

namespace contimg::ops {

std::optional<std::filesystem::path> LinkTarget(const std::filesystem::path& path) {
  char target[PATH_MAX];
  const ssize_t n = ::readlink(path.c_str(), target, sizeof target);
  if (n >= 0) return std::filesystem::path(std::string(target, static_cast<std::size_t>(n)));
  if (errno == EINVAL || errno == ENOENT || errno == ENOTDIR) return std::nullopt;
  throw SystemError("files", path.string(), "cannot be looked at", errno);
}

}  // namespace contimg::ops
