// Files that others made and that were imported, kept as they came.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "config/os.h"
#include "config/product_paths.h"

namespace contimg::ops {

// Where the original of this content is kept: <scratch>/static/catalogs/raw/CATALOGUE/SHA256; nothing without a scratch
// directory.
std::optional<std::filesystem::path> OriginalPath(const ProductPaths& paths, const std::string& catalogue,
                                                  const std::string& sha256);

// Copies the file there, read-only, unless its content is there already; returns where. Throws Error{kIo, kResource}
// when it cannot be kept, Error{kBadInput} when it has changed since its checksum was taken.
std::optional<std::filesystem::path> KeepOriginal(const ProductPaths& paths, const std::string& catalogue,
                                                  const std::filesystem::path& file, const std::string& sha256,
                                                  Os& os = RealOs());

}  // namespace contimg::ops
