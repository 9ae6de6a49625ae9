#include "ops/records/table_condition.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <string_view>
#include <system_error>
#include <vector>

#include "config/error.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;

class Fnv1a {
 public:
  void Add(const char* bytes, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) hash_ = (hash_ ^ static_cast<unsigned char>(bytes[i])) * 1099511628211ULL;
  }
  template <class T>
  void AddNumber(T value) {
    char bytes[sizeof value];
    std::memcpy(bytes, &value, sizeof value);
    Add(bytes, sizeof bytes);
  }
  std::uint64_t value() const { return hash_; }

 private:
  std::uint64_t hash_ = 14695981039346656037ULL;
};

// Every file of the table but its lock, which changes whenever somebody opens the table.
std::vector<fs::path> FilesOf(const fs::path& table) {
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

struct Signature {
  std::uint64_t value = 0;
  double youngest_unix_s = 0;
};
Signature SignatureOf(const fs::path& table) {
  Signature out;
  Fnv1a hash;
  for (const fs::path& file : FilesOf(table)) {
    struct stat info {};
    if (::stat(file.c_str(), &info) != 0) throw SystemError("calibrate", file.string(), "cannot look at", errno);
    hash.Add(file.c_str(), std::strlen(file.c_str()));
    hash.AddNumber(info.st_size);
    hash.AddNumber(info.st_ino);
    hash.AddNumber(info.st_mtim.tv_sec);
    hash.AddNumber(info.st_mtim.tv_nsec);
    out.youngest_unix_s = std::max(out.youngest_unix_s, static_cast<double>(info.st_mtim.tv_sec) +
                                                            1e-9 * static_cast<double>(info.st_mtim.tv_nsec));
  }
  out.value = hash.value();
  return out;
}

}  // namespace

std::string TableChecksum(const fs::path& table) {
  Fnv1a hash;
  std::array<char, 65536> buffer;
  for (const fs::path& file : FilesOf(table)) {
    const std::string name = file.lexically_relative(table).string();
    hash.Add(name.c_str(), name.size() + 1);
    std::ifstream in(file, std::ios::binary);
    while (in.read(buffer.data(), buffer.size()) || in.gcount() > 0) {
      hash.Add(buffer.data(), static_cast<std::size_t>(in.gcount()));
    }
    if (!in.eof()) throw Error(ErrorKind::kIo, "calibrate", file.string(), "cannot be read");
  }
  return fmt::format("{:016x}", hash.value());
}

TableCondition TableConditions::Of(const state::CalTableRow& row) {
  std::error_code error;
  if (!fs::exists(row.path, error)) return TableCondition::kMissing;
  if (row.checksum.empty()) return TableCondition::kIntact;
  try {
    const Signature signature = SignatureOf(row.path);
    if (depth_ == Depth::kSuspicion && signature.youngest_unix_s <= row.registered_at) return TableCondition::kIntact;
    const auto [seen, is_new] = seen_.try_emplace(row.path + "\n" + row.checksum);
    if (is_new || seen->second.signature != signature.value) {
      seen->second.signature = signature.value;
      seen->second.condition =
          TableChecksum(row.path) == row.checksum ? TableCondition::kIntact : TableCondition::kChanged;
    }
    return seen->second.condition;
  } catch (const Error&) {
    return TableCondition::kChanged;
  }
}

std::string TableConditions::Words(TableCondition condition) {
  switch (condition) {
    case TableCondition::kIntact:
      return "";
    case TableCondition::kMissing:
      return "its files are missing";
    case TableCondition::kChanged:
      return "its files have changed since it was registered";
  }
  return "";
}

}  // namespace contimg::ops
