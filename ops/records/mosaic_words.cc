#include "ops/records/mosaic_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <nlohmann/json.hpp>

#include "config/product_kind.h"
#include "ops/records/served_names.h"

namespace contimg::ops {

std::string LstWords(double hours) {
  constexpr long kMinutesADay = 24L * 60;
  const long minutes = std::lround(hours * 60) % kMinutesADay;
  return fmt::format("{:02}:{:02}", minutes / 60, minutes % 60);
}

std::vector<std::string> GradeReasons(const std::vector<state::ProductRow>& products) {
  std::vector<std::string> reasons;
  for (const state::ProductRow& product : products) {
    const auto figures = nlohmann::json::parse(product.qa_json, nullptr, false);
    if (!figures.is_object() || !figures.contains("quality") || !figures["quality"].is_object()) continue;
    const auto told = figures["quality"].find("reasons");
    if (told == figures["quality"].end() || !told->is_array()) continue;
    for (const nlohmann::json& reason : *told) {
      if (reason.is_string()) reasons.push_back(reason.get<std::string>());
    }
    break;
  }
  return reasons;
}

const state::ProductRow* MosaicImage(const std::vector<state::ProductRow>& products) {
  const auto found = std::find_if(products.begin(), products.end(), [](const state::ProductRow& product) {
    return product.kind == ToString(ProductKind::kMosaic);
  });
  return found == products.end() ? nullptr : &*found;
}

std::string ServedPath(const std::filesystem::path& images, const state::ProductRow& product) {
  const std::string root = images.string() + "/", &path = product.path;
  if (product.status != "present" || !IsServed(path, product.size_bytes)) return "";
  if (path.size() <= root.size() || path.compare(0, root.size(), root) != 0) return "";
  const std::string below = path.substr(root.size());
  const bool plain = std::all_of(below.begin(), below.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || std::string_view("-._:+/").find(static_cast<char>(c)) != std::string_view::npos;
  });
  return plain ? below : std::string();
}

}  // namespace contimg::ops
