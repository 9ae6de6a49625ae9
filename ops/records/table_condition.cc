#include "ops/records/table_condition.h"

#include <algorithm>
#include <cstring>

#include "config/checksum.h"
#include "config/error.h"
#include "ops/base/table_checksum.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;

struct Signature {
  std::uint64_t value = 0;
  double youngest_unix_s = 0;
};
Signature SignatureOf(const fs::path& table, Os& os) {
  Signature out;
  Xxh64 hash;
  for (const fs::path& file : TableFiles(table, os)) {
    const FileStatus status = os.Status(file);
    hash.Add(file.c_str(), std::strlen(file.c_str()));
    hash.AddNumber(status.size);
    hash.AddNumber(status.inode);
    hash.AddNumber(status.mtime_ns);
    out.youngest_unix_s = std::max(out.youngest_unix_s, 1e-9 * static_cast<double>(status.mtime_ns));
  }
  out.value = hash.Digest();
  return out;
}

}  // namespace

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
      const bool same = HasTableChecksum(row.path, row.checksum, os_);
      const Seen now{signature.value, same ? TableCondition::kIntact : TableCondition::kChanged};
      seen = seen_.insert_or_assign(key, now).first;
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
