#include "ops/base/table_checksum.h"

#include <algorithm>

#include "config/checksum.h"
#include "config/error.h"
#include "ops/base/checksum.h"

namespace contimg::ops {

namespace fs = std::filesystem;

std::vector<fs::path> TableFiles(const fs::path& table, Os& os) {
  std::vector<fs::path> files = FilesBelow(table, os);
  files.erase(std::remove_if(files.begin(), files.end(), [](const auto& f) { return f.filename() == "table.lock"; }),
              files.end());
  return files;
}

std::string TableChecksum(const fs::path& table, Os& os) { return ProductChecksum(table, 1, os); }

bool HasTableChecksum(const fs::path& table, const std::string& recorded, Os& os) {
  if (TableChecksum(table, os) == recorded) return true;
  Fnv1a hash;  // names and contents, one after the other
  for (const fs::path& file : TableFiles(table, os)) {
    const std::string name = file.lexically_relative(table).string();
    hash.Add(name.c_str(), name.size() + 1);
    ReadInPieces(file, "calibrate", [&](const void* data, std::size_t n) { hash.Add(data, n); });
  }
  return hash.Hex() == recorded;
}

}  // namespace contimg::ops
