#include "ops/base/table_checksum.h"

#include <algorithm>
#include <system_error>

#include "config/checksum.h"
#include "config/error.h"
#include "ops/base/checksum.h"

namespace contimg::ops {

namespace fs = std::filesystem;

std::vector<fs::path> TableFiles(const fs::path& table) {
  std::vector<fs::path> files;
  std::error_code error;
  for (auto entry = fs::recursive_directory_iterator(table, error);
       !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    if (entry->is_regular_file(error) && entry->path().filename() != "table.lock") files.push_back(entry->path());
  }
  if (error) throw Error(ErrorKind::kIo, "calibrate", table.string(), "cannot be listed: " + error.message());
  std::sort(files.begin(), files.end());
  return files;
}

std::string TableChecksum(const fs::path& table) { return ProductChecksum(table); }

bool HasTableChecksum(const fs::path& table, const std::string& recorded) {
  if (TableChecksum(table) == recorded) return true;
  Fnv1a hash;  // names and contents, one after the other
  for (const fs::path& file : TableFiles(table)) {
    const std::string name = file.lexically_relative(table).string();
    hash.Add(name.c_str(), name.size() + 1);
    ReadInPieces(file, "calibrate", [&](const void* data, std::size_t n) { hash.Add(data, n); });
  }
  return hash.Hex() == recorded;
}

}  // namespace contimg::ops
