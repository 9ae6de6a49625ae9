#include "ops/records/table_condition.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
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
std::vector<fs::path> FilesOf(const fs::path& table, Os& os) {
  std::vector<fs::path> files = FilesBelow(table, os);
  files.erase(std::remove_if(files.begin(), files.end(), [](const auto& f) { return f.filename() == "table.lock"; }),
              files.end());
  return files;
}

struct Signature {
  std::uint64_t value = 0;
  double youngest_unix_s = 0;
};
Signature SignatureOf(const fs::path& table, Os& os) {
  Signature out;
  Fnv1a hash;
  for (const fs::path& file : FilesOf(table, os)) {
    const FileStatus status = os.Status(file);
    hash.Add(file.c_str(), std::strlen(file.c_str()));
    hash.AddNumber(status.size);
    hash.AddNumber(status.inode);
    hash.AddNumber(status.mtime_ns);
    out.youngest_unix_s = std::max(out.youngest_unix_s, 1e-9 * static_cast<double>(status.mtime_ns));
  }
  out.value = hash.value();
  return out;
}

}  // namespace

std::string TableChecksum(const fs::path& table, Os& os) {
  Fnv1a hash;
  std::array<char, 65536> buffer;
  for (const fs::path& file : FilesOf(table, os)) {
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
  try {
    if (!Exists(row.path, os_)) return TableCondition::kMissing;
    if (row.checksum.empty()) return TableCondition::kIntact;
    const Signature signature = SignatureOf(row.path, os_);
    if (depth_ == Depth::kSuspicion && signature.youngest_unix_s <= row.registered_at) return TableCondition::kIntact;
    const std::string key = row.path + "\n" + row.checksum;
    auto seen = seen_.find(key);
    if (seen == seen_.end() || seen->second.signature != signature.value) {
      // Remembered only when the content could be read.
      const bool same = TableChecksum(row.path, os_) == row.checksum;
      seen =
          seen_.insert_or_assign(key, Seen{signature.value, same ? TableCondition::kIntact : TableCondition::kChanged})
              .first;
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
