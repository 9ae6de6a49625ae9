#include "ops/base/table_checksum.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <fstream>

#include "config/error.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;

}  // namespace

std::vector<fs::path> TableFiles(const fs::path& table, Os& os) {
  std::vector<fs::path> files = FilesBelow(table, os);
  files.erase(std::remove_if(files.begin(), files.end(), [](const auto& f) { return f.filename() == "table.lock"; }),
              files.end());
  return files;
}

std::string TableChecksum(const fs::path& table, Os& os) {
  std::uint64_t hash = 14695981039346656037ULL;
  const auto add = [&](const char* bytes, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) hash = (hash ^ static_cast<unsigned char>(bytes[i])) * 1099511628211ULL;
  };
  std::array<char, 65536> buffer;
  for (const fs::path& file : TableFiles(table, os)) {
    const std::string name = file.lexically_relative(table).string();
    add(name.c_str(), name.size() + 1);
    std::ifstream in(file, std::ios::binary);
    while (in.read(buffer.data(), buffer.size()) || in.gcount() > 0) {
      add(buffer.data(), static_cast<std::size_t>(in.gcount()));
    }
    if (!in.eof()) throw Error(ErrorKind::kIo, "calibrate", file.string(), "cannot be read");
  }
  return fmt::format("{:016x}", hash);
}

}  // namespace contimg::ops
