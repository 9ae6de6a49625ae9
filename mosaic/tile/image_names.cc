#include "mosaic/tile/image_names.h"

#include "config/os.h"

namespace contimg::mosaic {

std::string PlainName(const std::filesystem::path& path) {
  std::string text = path.string();
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  return text;
}

std::optional<std::string> WithoutSuffix(const std::string& path, const std::string& suffix) {
  const std::string end = "." + suffix;
  if (path.size() <= end.size() || path.compare(path.size() - end.size(), end.size(), end) != 0) return std::nullopt;
  return path.substr(0, path.size() - end.size());
}

std::optional<std::string> PrefixOfImage(const std::filesystem::path& image, ProductKind kind) {
  for (const ImageFormat format : kImageFormats) {
    if (const auto prefix = WithoutSuffix(PlainName(image), ProductSuffix(kind, format))) return prefix;
  }
  return std::nullopt;
}

std::filesystem::path ProductBeside(const std::string& prefix, ProductKind kind) {
  for (const ImageFormat format : kImageFormats) {
    const std::filesystem::path path = prefix + "." + ProductSuffix(kind, format);
    if (Exists(path)) return path;
  }
  return {};
}

}  // namespace contimg::mosaic
