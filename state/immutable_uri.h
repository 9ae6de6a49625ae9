// How SQLite is told that a database does not change while it is read. Used within state only.
#pragma once

#include <filesystem>
#include <string>

namespace contimg::state {

// `path` as a URI: the file is read as it is, nothing is made beside it.
std::string ImmutableUri(const std::filesystem::path& path);
// Whether a write-ahead log may hold what the file itself does not yet.
bool HasLog(const std::filesystem::path& path);

}  // namespace contimg::state
