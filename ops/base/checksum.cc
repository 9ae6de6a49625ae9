#include "ops/base/checksum.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "config/checksum.h"
#include "config/error.h"
#include "config/os.h"
#include "config/parallel.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;

std::string FileChecksum(const fs::path& path) {
  Xxh64 hash;
  ReadInPieces(path, "checksum", [&](const void* data, std::size_t n) { hash.Add(data, n); });
  return hash.Hex();
}

}  // namespace

std::string ProductChecksum(const fs::path& path, int threads, Os& os,
                            const std::map<std::string, std::string>& known) {
  if (!IsDirectory(path, os)) return FileChecksum(path);
  std::vector<fs::path> files = FilesBelow(path, os);
  files.erase(std::remove_if(files.begin(), files.end(), [](const auto& f) { return f.filename() == "table.lock"; }),
              files.end());
  std::vector<std::string> lines(files.size());
  ParallelFor(threads, files.size(), [&](std::size_t i) {
    const std::string name = files[i].lexically_relative(path).string();
    const auto at = known.find(name);
    lines[i] = fmt::format("{}  {}\n", at != known.end() ? at->second : FileChecksum(files[i]), name);
  });
  Xxh64 hash;
  for (const std::string& line : lines) hash.Add(line);
  return hash.Hex();
}

std::uint64_t ProductBytes(const fs::path& path, Os& os) {
  if (!IsDirectory(path, os)) return FileSize(path, os);
  std::uint64_t bytes = 0;
  for (const fs::path& file : FilesBelow(path, os)) bytes += FileSize(file, os);
  return bytes;
}

}  // namespace contimg::ops
