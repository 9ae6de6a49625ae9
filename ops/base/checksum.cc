#include "ops/base/checksum.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "config/checksum.h"
#include "config/error.h"
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

std::string ProductChecksum(const fs::path& path, int threads) {
  if (!fs::is_directory(path)) return FileChecksum(path);
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(path)) {
    if (entry.is_regular_file() && entry.path().filename() != "table.lock") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  std::vector<std::string> lines(files.size());
  ParallelFor(threads, files.size(), [&](std::size_t i) {
    lines[i] = fmt::format("{}  {}\n", FileChecksum(files[i]), files[i].lexically_relative(path).string());
  });
  Xxh64 hash;
  for (const std::string& line : lines) hash.Add(line);
  return hash.Hex();
}

std::uint64_t ProductBytes(const fs::path& path) {
  if (!fs::is_directory(path)) return fs::file_size(path);
  std::uint64_t bytes = 0;
  for (const auto& entry : fs::recursive_directory_iterator(path)) {
    if (entry.is_regular_file()) bytes += entry.file_size();
  }
  return bytes;
}

}  // namespace contimg::ops
