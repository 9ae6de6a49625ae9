// Classes of products: what is kept, archived and let go alike. C++17-clean.
//
//   incoming     subband files                 images    images of single tiles, of all kinds
//   science_ms   Measurement Sets              mosaics
//   calibrators  those of calibrators          qa        pictures and figures of quality
//   caltables    calibration tables            failed    what groups that were given up left behind
#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

#include "config/product_kind.h"
#include "config/product_paths.h"

namespace contimg {

const std::vector<std::string_view>& AllProductClasses();

// A Measurement Set in <output>/failed is "failed", not "science_ms".
std::string_view ProductClass(ProductKind kind, const std::filesystem::path& path, const DirectoryRoots& roots);

}  // namespace contimg
