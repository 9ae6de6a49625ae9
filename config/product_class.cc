#include "config/product_class.h"

#include <algorithm>

namespace contimg {

namespace fs = std::filesystem;

const std::vector<std::string_view>& AllProductClasses() {
  static const std::vector<std::string_view> classes{"incoming", "science_ms", "calibrators", "caltables",
                                                     "images",   "mosaics",    "qa",          "failed"};
  return classes;
}

std::string_view ProductClass(ProductKind kind, const fs::path& path, const DirectoryRoots& roots) {
  const fs::path failed = roots.output / "failed";
  switch (kind) {
    case ProductKind::kUvh5:
      return "incoming";
    case ProductKind::kScienceMs:
      return std::mismatch(failed.begin(), failed.end(), path.begin(), path.end()).first == failed.end() ? "failed"
                                                                                                         : "science_ms";
    case ProductKind::kCalibratorMs:
      return "calibrators";
    case ProductKind::kCalTable:
      return "caltables";
    case ProductKind::kFailedLog:
      return "failed";
    case ProductKind::kMosaic:
    case ProductKind::kMosaicResidual:
    case ProductKind::kMosaicPhotometry:
    case ProductKind::kMosaicSources:
    case ProductKind::kRms:
    case ProductKind::kWeight:
    case ProductKind::kTileTable:
      return "mosaics";
    case ProductKind::kMosaicPicture:
    case ProductKind::kMosaicMetrics:
    case ProductKind::kQaPicture:
    case ProductKind::kQaMetrics:
    case ProductKind::kPhotometry:
    case ProductKind::kSources:
      return "qa";
    default:
      return "images";
  }
}

}  // namespace contimg
