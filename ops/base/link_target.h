// Links of a file system, looked at themselves.
#pragma once

#include <filesystem>
#include <optional>

namespace contimg::ops {

// Where a link leads, as it says; nothing when the name is no link. Throws Error{kIo} when that cannot be told.
std::optional<std::filesystem::path> LinkTarget(const std::filesystem::path& path);

}  // namespace contimg::ops
