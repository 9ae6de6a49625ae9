#include "ops/records/table_condition.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

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
Signature SignatureOf(const fs::path& table) {
  Signature out;
  Xxh64 hash;
  for (const fs::path& file : TableFiles(table)) {
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
  out.value = hash.Digest();
  return out;
}

}  // namespace

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
          HasTableChecksum(row.path, row.checksum) ? TableCondition::kIntact : TableCondition::kChanged;
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
