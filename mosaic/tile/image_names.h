// Images that belong together, by their names: PREFIX.image.fits, PREFIX.residual.fits.fz, PREFIX.pb/ …
#pragma once

#include <array>
#include <filesystem>
#include <optional>
#include <string>

#include "config/product_paths.h"

namespace contimg::mosaic {

inline constexpr std::array kImageFormats{ImageFormat::kFits, ImageFormat::kFitsCompressed, ImageFormat::kCasa};

// The path as text, without slashes at its end.
std::string PlainName(const std::filesystem::path& path);
// What stands before ".SUFFIX" at the end of a name; nothing where it ends otherwise.
std::optional<std::string> WithoutSuffix(const std::string& path, const std::string& suffix);
// The prefix of an image of this kind by its name, in whatever format; nothing when it is named otherwise.
std::optional<std::string> PrefixOfImage(const std::filesystem::path& image, ProductKind kind = ProductKind::kImage);
// PREFIX.<kind> in whatever format there is; empty when there is none.
std::filesystem::path ProductBeside(const std::string& prefix, ProductKind kind);

}  // namespace contimg::mosaic
